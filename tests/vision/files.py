"""Small picture files for the tests beside it, and how a refusal reads."""

from __future__ import annotations

import io
import struct
import zlib
from importlib.util import find_spec
from typing import Any

import pytest
from PIL import ExifTags, Image

from cof.errors import InputError, InvalidImage
from cof.vision.load import LoadLimits, load

DEFAULT = LoadLimits()
WRITTEN = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "HEIC")
HERE = WRITTEN if find_spec("pillow_heif") else WRITTEN[:-1]  # where the extra heif is not installed
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A picture file of Pillow's format `kind`, or "HEIC"."""
    file = io.BytesIO()
    if kind == "HEIC":
        heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
        heif.from_pillow(image).save(file, format="HEIF", quality=-1, **options)
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image, orientation: int, kind: str, **options: object) -> bytes:
    """A file whose EXIF says that the picture in it lies in that orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(image, kind, exif=exif.tobytes() if kind == "HEIC" else exif, **options)


def colours(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red, green, blue and grey quarters: no two orientations alike."""
    image = Image.new("RGB", size, (128, 128, 128))
    w, h = size[0] // 2, size[1] // 2
    image.paste(RED, (0, 0, w, h))
    image.paste((0, 255, 0), (w, 0, 2 * w, h))
    image.paste((0, 0, 255), (0, h, w, 2 * h))
    return image


def near(a: Image.Image, b: Image.Image, most: float = 24) -> bool:
    """Whether the quarters' centres of two pictures differ by at most `most` of 255."""
    spots = [(a.width * x // 4, a.height * y // 4) for x in (1, 3) for y in (1, 3)]
    pairs = [(a.getpixel(s), b.getpixel(s)) for s in spots]
    return a.size == b.size and all(abs(p - q) <= most for x, y in pairs for p, q in zip(_rgb(x), _rgb(y), strict=True))


def _rgb(pixel: object) -> tuple[int, ...]:
    assert isinstance(pixel, tuple)
    return pixel


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand: of `rows` already compressed, with `extra` chunks before them."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def refusal(source: Any, limits: LoadLimits = DEFAULT, kind: type[InputError] = InvalidImage) -> str:
    """The message, which is one line."""
    with pytest.raises(kind) as caught:
        load(source, limits)
    message = str(caught.value)
    assert "\n" not in message
    return message
