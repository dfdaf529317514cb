"""The picture at a user's own http or https address: fetched only where the caller was asked to.

Owns how long and how large it may be, and errors of one line that show no password, query or fragment of an address. Trusts
the user's address, and proxies and certificates as httpx takes them from the environment; what a server fetches for strangers
is checked in `cof.serve.fetch`. Omits cookies, logins and retries.
"""

from __future__ import annotations

import time

import httpx

from cof.errors import InputError
from cof.vision.addresses import shown, url_of
from cof.vision.load import LoadLimits

REDIRECTS = 3
SECONDS = 60.0  # in all
SILENCE = 20.0  # seconds without a byte
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "cof"}
PAGES = (b"<!doctype html", b"<html")
GET_FILE = "save the picture and give its path"


def fetched(url: str, limits: LoadLimits = LoadLimits(), seconds: float = SECONDS) -> bytes:
    """The file at an http or https address, within `seconds` in all, as far as data arrives, and `limits.file_bytes`.

    Raises InputError; whether the file is a picture, `load` tells.
    """
    address, place = url_of(url), shown(url_of(url) or url)
    if address is None:
        raise InputError(f"{place!r} is no address; want one that begins with http:// or https://")
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=REDIRECTS, timeout=min(SILENCE, seconds)) as client,
            client.stream("GET", address, headers=HEADERS) as reply,
        ):
            return _body(reply, place, limits, time.monotonic() + seconds)
    except httpx.TimeoutException:
        raise InputError(f"{place} did not answer within {min(SILENCE, seconds):g} seconds; {GET_FILE}") from None
    except httpx.TooManyRedirects:
        raise InputError(f"{place} leads on more than {REDIRECTS} times; want the picture's own address") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        raise InputError(f"{place} is, or leads to, no http or https address; {GET_FILE}") from None
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{place} cannot be fetched ({reason}); {GET_FILE}") from None


def _body(reply: httpx.Response, place: str, limits: LoadLimits, end: float) -> bytes:
    if reply.status_code != httpx.codes.OK:
        raise InputError(f"{place} answered with status {reply.status_code}; want the picture itself, or {GET_FILE}")
    content = bytearray()
    for part in reply.iter_bytes():
        content += part
        if len(content) > limits.file_bytes:
            raise InputError(f"{place} has more than {limits.file_bytes:,} bytes; want a smaller picture")
        if time.monotonic() > end:
            raise InputError(f"{place} did not arrive in time, only {len(content):,} bytes did; {GET_FILE}")
    if not content:
        raise InputError(f"{place} sent an empty file; {GET_FILE}")
    if content[:512].lstrip().lower().startswith(PAGES):
        raise InputError(f"{place} is a web page, not a picture; want the address of the picture on it")
    return bytes(content)
