"""Pictures that are given as a text: data URLs (RFC 2397), and http addresses, which are distinguished from paths here.

Owns also how an address is shown. Fetches nothing: that is `fetch`. `urls.py` writes pictures as data URLs.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from urllib.parse import unquote_to_bytes, urlsplit

from cof.errors import InvalidImage

DATA_URL = re.compile(r'data:((?:[^,"]*+(?:"[^"]*")?+)*+),', re.IGNORECASE)  # a quoted parameter may hold a comma
ADDRESS = re.compile(r"\s*(https?):/+", re.IGNORECASE)  # one slash where `Path` took the other


def bytes_of_data_url(url: str) -> bytes:
    """The content of a data URL, whatever media type it names: base64, which may be broken into lines, or percent-encoded.

    Raises InvalidImage where it is none.
    """
    begin = DATA_URL.match(url)
    if begin is None:
        raise InvalidImage("the picture is no data URL")
    body = url[begin.end() :]
    content = unquote_to_bytes(body) if "%" in body else body.encode()
    if begin[1].rpartition(";")[2].strip().lower() != "base64":
        return content
    packed = b"".join(content.split())
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidImage(f"the picture's data URL is not base64 ({error})") from None


def url_of(source: object) -> str | None:
    """The http or https address that a text or path is, with both slashes also where `Path` took one; None for others."""
    text = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    begin = ADDRESS.match(text) if isinstance(text, str) else None
    return f"{begin[1].lower()}://{begin.string[begin.end() :].strip()}" if begin else None


def shown(url: str) -> str:
    """An address for a message: without its user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "..."
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return place if len(place) <= 200 else place[:200] + "..."
