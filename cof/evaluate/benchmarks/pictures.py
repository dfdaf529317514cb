"""Ways to a question's picture that cost nothing before it is looked at: a file, or text in base64."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from cof.errors import InputError, InvalidImage
from cof.evaluate.benchmarks.rows import Row
from cof.vision.load import load

Picture = Callable[[], Image.Image]


def in_file(path: Path) -> Picture:
    return partial(load, path)


def in_bytes(content: bytes) -> Picture:
    """A picture file's bytes, which are held as long as this is."""
    return partial(load, content)


def in_text(row: Row, text: str) -> Picture:
    """A picture as base64 or as a data URL. The text is held as long as this is."""
    return partial(_decoded, row.place, text)


def locate(row: Row, name: str, folders: Sequence[Path], get: str) -> Path:
    """The picture called `name` in the first folder that has it. Raises InputError with `get`, what to do else."""
    for folder in folders:
        if os.path.isfile(folder / name):  # unlike Path.is_file this takes any name, also one that is too long
            return folder / name
    places = " or ".join(repr(str(folder)) for folder in folders)
    shown = name if len(name) < 200 else name[:40] + "..."
    raise InputError(f"{row.place} names the picture {shown!r}, which is not in {places}; {get}")


def _decoded(place: str, text: str) -> Image.Image:
    try:
        return load(text if text.startswith("data:") else base64.b64decode("".join(text.split()), validate=True))
    except ValueError as error:
        raise InvalidImage(f"{place} holds a picture that is not base64 ({error}); get the file anew") from error
    except InvalidImage as error:
        raise InvalidImage(f"{place}: {error}") from error
