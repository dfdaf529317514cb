"""A picture file, or its bytes, as upright RGB pixels: the one door through which foreign pixels enter.

Owns what is accepted (JPEG, PNG and WEBP, told by content and never by name), the limits that are checked on the
header before anything is decoded, and what "the pixels" of a picture are: first frame, EXIF orientation applied, 16-bit
grey scaled to 8 bit, transparency laid on white. Refuses everything else with one `InvalidImage` line; no other
exception leaves. Omits fetching over a network, colour management (ICC profiles are ignored), orientation outside EXIF
(XMP), the single transparent shade of a 16-bit grey PNG (shown opaque), and partial reading of very large files.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from cof.errors import InvalidImage
from cof.vision import boxes

Source = str | os.PathLike[str] | bytes

WANTED = "a JPEG, PNG or WEBP picture"
WHITE = (255, 255, 255)
HEAD_BYTES = 16  # enough to tell every format named below

REFUSED = {  # what else people send, by its first bytes: only to name it in the message
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
}
UPRIGHT = {  # EXIF 2.32, tag 0x0112: what turns a picture of each orientation upright; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DAMAGE = (  # what Pillow's readers raise on damaged input; UserWarning where warnings are errors (a broken APNG)
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    UserWarning,
)


@dataclass(frozen=True)
class LoadLimits:
    """What a picture may be, as its header tells. Checked before decoding, which takes 8 to 12 bytes a pixel.

    `aspect` is the long side over the short one. Snapping both to whole tokens may double it, so half of what the
    Qwen2-VL image processor refuses is the most whose overview it always takes.
    """

    pixels: int = 200_000_000
    side: int = 30_000  # pixels
    aspect: float = boxes.MAX_ASPECT / 2
    file_bytes: int = 512 * 2**20


def load(source: Source, limits: LoadLimits = LoadLimits()) -> Image.Image:
    """The first frame of the picture at a path, or in bytes: RGB, upright, without metadata (so nobody turns it twice).

    Raises InvalidImage where there is no such file, where it is not a whole JPEG, PNG or WEBP, or beyond `limits`.
    Keeps no file open, and neither reads nor sets any of Pillow's process-wide limits for JPEG and PNG.
    """
    with _read(source, limits) as picture:
        picture.load()
        return _upright_rgb(picture)


def pixels_of(source: Source, limits: LoadLimits = LoadLimits()) -> int:
    """How many pixels `load` would give, by the picture's header: nothing is decoded. Raises InvalidImage as `load` does."""
    with _read(source, limits) as picture:
        return picture.width * picture.height


@contextmanager
def _read(source: Source, limits: LoadLimits) -> Iterator[ImageFile.ImageFile]:
    """The picture with its header read and its size checked; whatever damage shows in the block becomes InvalidImage."""
    name = "the picture given as bytes" if isinstance(source, bytes) else f"picture {os.fspath(source)!r}"
    with _open(source, name, limits) as stream:
        reader = _reader(stream, name)
        try:
            picture = reader(stream)
            _check_size(picture.size, name, limits)
            yield picture
        except Image.DecompressionBombError as error:  # WEBP alone: Pillow checks before it makes a decoder
            raise InvalidImage(f"{name} has more pixels than Pillow allows a WEBP; downscale it first") from error
        except DAMAGE as error:
            reason = f"it is truncated, damaged or of a rare kind ({error})"
            raise InvalidImage(f"{name} starts as {WANTED} but cannot be decoded: {reason}; save it again") from error


def _open(source: Source, name: str, limits: LoadLimits) -> BinaryIO:
    if isinstance(source, bytes):
        _check_bytes(len(source), name, limits)
        return io.BytesIO(source)
    try:
        status = os.stat(source)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
            raise InvalidImage(f"{name} is {kind}; give the path of {WANTED}")
        _check_bytes(status.st_size, name, limits)
        return open(source, "rb")
    except FileNotFoundError:
        raise InvalidImage(f"{name} does not exist; give the path of {WANTED}") from None
    except (OSError, ValueError) as error:  # no permission, a loop of links, a NUL in the path
        raise InvalidImage(f"{name} cannot be opened ({error}); give the path of {WANTED}") from error


def _check_bytes(count: int, name: str, limits: LoadLimits) -> None:
    if count == 0:
        raise InvalidImage(f"{name} is empty (0 bytes); give {WANTED}")
    if count > limits.file_bytes:
        raise InvalidImage(f"{name} has {count:,} bytes; want at most {limits.file_bytes:,}: compress or downscale it")


def _reader(stream: BinaryIO, name: str) -> type[ImageFile.ImageFile]:
    """Pillow's reader by content. Not `Image.open`, which warns and raises by a process-wide limit of its own."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if head.startswith(b"\xff\xd8\xff"):
        return _Jpeg
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    raise InvalidImage(f"{name} is {_kind(head)}, not {WANTED}; convert it first")


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's reader of one JPEG, without its look into EXIF for a resolution, which warns of damaged tags."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


def _kind(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    for magic, kind in REFUSED.items():
        if head.startswith(magic):
            return kind
    return "text" if head.isascii() and b"\0" not in head else "of an unknown format"


def _check_size(size: tuple[int, int], name: str, limits: LoadLimits) -> None:
    """Pixels, sides and aspect of a header's `size` = (width, height)."""
    width, height = size
    faults = [
        (width * height > limits.pixels, f"at most {limits.pixels:,} pixels in all: downscale it"),
        (max(size) > limits.side, f"sides of at most {limits.side:,} pixels: downscale or crop it"),
        (max(size) > limits.aspect * min(size), f"at most {limits.aspect:g} : 1: crop it"),
    ]
    for broken, want in faults:
        if broken:
            raise InvalidImage(f"{name} is {width} x {height} pixels; want {want}")


def _upright_rgb(picture: ImageFile.ImageFile) -> Image.Image:
    turn = UPRIGHT.get(_orientation(picture.info.get("exif", b"")))
    image = _rgb(picture)
    if turn is not None:
        image = image.transpose(turn)
    image.info = {}
    return image


def _orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block: a TIFF file whose first directory holds it. 1 if absent or damaged.

    Not Pillow's `getexif`, which reads every tag there is and warns of those that are damaged.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(order + "H6xH", tiff, entry)  # tag, type and count, value
            if tag == ExifTags.Base.Orientation:
                return int(value)
    except struct.error:
        pass
    return 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "I;16":
        return Image.merge("RGB", [_eight_bit(picture)] * 3)
    if picture.has_transparency_data:
        return _on_white(picture.convert("RGBA"))
    return picture.convert("RGB")


def _eight_bit(grey: Image.Image) -> Image.Image:
    """16-bit grey as 8 bit: 0..65535 onto 0..255, rounded. Pillow's own conversion clips at 255 instead."""
    return grey.point(lambda value: value * (1 / 257) + 0.5).convert("L")


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, WHITE)
    white.paste(rgba, mask=rgba)
    return white
