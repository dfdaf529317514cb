"""Ways to a question's picture that cost nothing before it is looked at: a file, bytes, or text in base64."""

from __future__ import annotations

import base64
import os
import reprlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from cof import files
from cof.data.benchmarks.rows import Row
from cof.errors import InputError, InvalidImage
from cof.vision.addresses import shown, url_of
from cof.vision.fetch import fetched
from cof.vision.load import load

Picture = Callable[[], Image.Image]
BASE64_STARTS = (  # a JPEG, PNG, WEBP, GIF and TIFF in base64, which has no dot; the name of a file has
    "/9j/",
    "iVBORw0KGgo",
    "UklGR",
    "R0lGOD",
    "SUkqA",
    "TU0AK",
)


def in_file(path: Path) -> Picture:
    """A picture file, which is read when it is needed."""
    return partial(load, path)


def in_bytes(content: bytes) -> Picture:
    """A picture file's bytes, which are held as long as this is."""
    return partial(load, content)


def in_text(row: Row, text: str) -> Picture:
    """A picture as base64 or as a data URL. The text is held as long as this is."""
    return partial(_decoded, row.place, text)


def given_several(row: Row, value: Any, get: str, fetch: bool = False) -> list[tuple[str, Picture]]:
    """As `given`, of each picture of a row that may have several. Raises InputError."""
    return [given(row, each, get, fetch) for each in (value if isinstance(value, list) else [value])]


def given(row: Row, value: Any, get: str, fetch: bool = False) -> tuple[str, Picture]:
    """The name of a row's one picture, and the way to it, from any form in which a field has it.

    A path (relative to the file, or after file://), an address as `files.py` has it, an http address with `fetch`, base64, a
    data URL, bytes, {"bytes", "path"} as the Image feature of `datasets` has it, {"image"} as verl has it, or a list of one of
    these. Raises InputError with `get`, what to do else.
    """
    match value:
        case [one]:
            return given(row, one, get, fetch)
        case [_, *_]:
            raise InputError(f"{row.place} has {len(value)} pictures; want one picture a question")
        case bytes(content) | {"bytes": bytes(content)}:
            return row.name, in_bytes(content)
        case str(text) | {"path": str(text)} | {"image": str(text)} if text.strip():
            return _spelled(row, text.strip(), get, fetch)
        case {"image": {**inner}}:
            return given(row, inner, get, fetch)
    raise InputError(f"{row.place} gives its picture as {reprlib.repr(value)}; want a path, base64, or a data URL")


def _spelled(row: Row, text: str, get: str, fetch: bool) -> tuple[str, Picture]:
    if text.startswith("data:") or (text.startswith(BASE64_STARTS) and "." not in text):
        return row.name, in_text(row, text)
    path = text.removeprefix("file://")
    if files.is_address(path):
        return text, partial(_at_address, text, files.read)
    if fetch and (address := url_of(text)):
        return shown(address), partial(_at_address, address, fetched)
    if text.startswith(("http://", "https://")):
        raise InputError(f"{row.place} names a picture by its URL {text[:80]!r}; want it downloaded, and its path here")
    found = locate(row, path, [row.file.parent], get)
    return str(found), in_file(found)


def locate(row: Row, name: str, folders: Sequence[Path], get: str) -> Path:
    """The whole path of the picture called `name`, in the first folder that has it: a trace is opened from any folder.

    Raises InputError with `get`, what to do else.
    """
    for folder in folders:
        if os.path.isfile(folder / name):  # unlike Path.is_file this takes any name, also one that is too long
            return Path(os.path.abspath(folder / name))
    places = " or ".join(repr(str(folder)) for folder in folders)
    shown = name if len(name) < 200 else name[:40] + "..."
    raise InputError(f"{row.place} names the picture {shown!r}, which is not in {places}; {get}")


def _at_address(address: str, get: Callable[[str], bytes]) -> Image.Image:
    return load(get(address))


def _decoded(place: str, text: str) -> Image.Image:
    try:
        return load(text if text.startswith("data:") else base64.b64decode("".join(text.split()), validate=True))
    except ValueError as error:
        raise InvalidImage(f"{place} holds a picture that is not base64 ({error}); get the file anew") from error
    except InvalidImage as error:
        raise InvalidImage(f"{place}: {error}") from error
