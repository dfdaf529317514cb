"""A picture, in whatever form somebody has it, as upright RGB pixels: the one way in which foreign pixels enter.

Owns the forms (a path, a data URL, bytes, a file object, an array, a Pillow picture), and the limits that are checked on the
header before anything is decoded. The formats are those of `readers`, and what the pixels of a picture are is in `pixels`: one
picture gives the same pixels in every form. What is refused is refused in one line: `InvalidImage`, `InputError` for what is no
form of a picture, `MissingExtra` for HEIC without its extra; no other exception leaves. Omits fetching from a network
(`fetch`), frames and pages after the first, and partial reading of very large files.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from PIL import Image, ImageFile

from cof.errors import InputError, InvalidImage
from cof.vision import boxes, pixels, readers
from cof.vision.addresses import bytes_of_data_url, shown, url_of

if TYPE_CHECKING:
    import numpy as np

File = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A picture file: its path, a data URL, its bytes, or a stream of them."""

Source: TypeAlias = "File | np.ndarray[Any, Any] | Image.Image"
"""A picture in any form that `load` takes."""

FORMS = "a path, bytes, a binary file object, a data URL, a numpy array or a Pillow picture"
CHUNK = 2**20  # bytes that are read from a stream at once
MEGAPIXELS = 200  # of the largest picture, where nobody asks for more
LONGEST = 200  # characters of a path that are shown
DAMAGE = (  # what the readers raise on damaged input; UserWarning where warnings are errors (a broken APNG)
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    UserWarning,
)
CLOSED = (AttributeError, AssertionError)  # what Pillow raises, too, where the file of a picture is closed
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)  # for Pillow, which says so of few formats


@dataclass(frozen=True)
class LoadLimits:
    """What a picture may be, as its header tells. Checked before decoding, which takes 8 to 12 bytes a pixel.

    `aspect` is the long side over the short one. Snapping both to whole tokens may double it, so half of what the
    Qwen2-VL image processor refuses is the most whose overview it always takes. `formats` are those of `readers.FORMATS`
    that are read. `raisable`: there is an option that raises the other limits, and a refusal names it.
    """

    pixels: int = MEGAPIXELS * 1_000_000
    side: int = 30_000  # pixels
    aspect: float = boxes.MAX_ASPECT / 2
    file_bytes: int = 512 * 2**20
    formats: tuple[str, ...] = readers.FORMATS
    raisable: bool = False

    @property
    def wanted(self) -> str:
        """Which formats are read, in words."""
        return f"a {', '.join(self.formats[:-1])} or {self.formats[-1]} picture"


def limits_of(megapixels: float = MEGAPIXELS) -> LoadLimits:
    """The limits of a call that has an option for the most `megapixels` of a picture; above 200 its sides may be longer in the
    same proportion, and its file larger. Raises InputError where it is no number above 0."""
    number = isinstance(megapixels, int | float) and not isinstance(megapixels, bool)
    if not number or not isfinite(megapixels) or megapixels <= 0:
        raise InputError(f"max_megapixels is {megapixels!r}; want a number above 0, such as 400")
    by = max(1.0, megapixels * 1e6 / LoadLimits.pixels)
    side, file_bytes = round(LoadLimits.side * sqrt(by)), round(LoadLimits.file_bytes * by)
    return LoadLimits(max(1, round(megapixels * 1e6)), side, file_bytes=file_bytes, raisable=True)


def load(source: Source, limits: LoadLimits = LoadLimits()) -> Image.Image:
    """The picture: RGB, upright, without metadata (so nobody turns it twice), the first frame of several.

    `source` is one of
    - a path, or a data URL;
    - bytes, or a binary file object, which is read from its start where it can be wound back, and is not closed;
    - a numpy array, height x width (x 1, 3 or 4: grey, RGB, RGBA), of uint8, uint16, bool, or floats from 0 to 1;
    - a Pillow picture of any mode but LAB, at the frame it is at; a plain RGB one, as this gives it, is given back itself.

    Raises InvalidImage where there is no such file, where it is not a whole picture of `limits.formats`, or beyond `limits`;
    InputError for another type; MissingExtra for HEIC without the extra `heif`. Keeps no file open, and sets none of Pillow's
    process-wide limits; one is met as it is, by a large WEBP, and by a GIF whose first frame is larger than its canvas.
    """
    if isinstance(source, Image.Image):
        return _of_pillow(source, limits)
    if "numpy" in sys.modules and isinstance(source, sys.modules["numpy"].ndarray):
        name = "the array"
        _check_size(pixels.size_of(source, name), name, limits)
        return pixels.upright_rgb(pixels.image_of(source, name), 1, name)
    with _read(cast("File", source), limits) as (picture, name):
        picture.load()
        _check_size(picture.size, name, limits)  # a HEIC may decode to another size
        orientation = (
            picture.orientation
            if isinstance(picture, readers.Tiff)
            else pixels.orientation_in(picture.info.get("exif"))
        )
        return pixels.upright_rgb(picture, orientation, name)


def pixels_of(source: File, limits: LoadLimits = LoadLimits()) -> int:
    """How many pixels `load` would give, by the picture's header: nothing is decoded. Raises as `load` does."""
    with _read(source, limits) as (picture, _):
        return picture.width * picture.height


def read_stdin(limits: LoadLimits = LoadLimits()) -> bytes:
    """The picture file on standard input. Raises InvalidImage where nothing is piped in, or more than `limits.file_bytes`."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidImage("no picture is piped into standard input (-); want: cof ask - ... < photo.jpg")
    return _all_of(sys.stdin.buffer, "the picture on standard input", limits)


def _of_pillow(image: Image.Image, limits: LoadLimits) -> Image.Image:
    name = "the Pillow picture"
    _check_size(image.size, name, limits)
    try:
        image.load()  # it may be open alone
        return pixels.upright_rgb(image, pixels.orientation_in(image.info.get("exif")), name)
    except (*DAMAGE, *CLOSED, *TOO_LARGE) as error:
        reason = f"its file is closed, truncated or damaged ({_line(error)})"
        raise InvalidImage(f"{name} cannot be decoded: {reason}; open it again") from error


@contextmanager
def _read(source: File, limits: LoadLimits) -> Iterator[tuple[ImageFile.ImageFile, str]]:
    """The picture with its header read and its size checked, and what to call it; damage becomes InvalidImage."""
    stream, name = _opened(source, limits)
    with stream:
        form = _format(stream, name, limits)
        try:
            picture = readers.reader_of(form)(stream)
            _check_size(picture.size, name, limits)
            yield picture, name
        except MemoryError as error:
            raise InvalidImage(f"{name} does not fit into memory; downscale it") from error
        except TOO_LARGE as error:
            raise InvalidImage(f"{name} has more pixels than Pillow allows a {form}; downscale it first") from error
        except DAMAGE as error:
            reason = f"it is truncated, damaged or of a rare kind ({_line(error)})"
            raise InvalidImage(f"{name} starts as {form} but cannot be decoded: {reason}; save it again") from error


def _opened(source: File, limits: LoadLimits) -> tuple[BinaryIO, str]:
    """The file as a stream that is ours to close, and what to call it."""
    if isinstance(source, bytes | bytearray | memoryview):
        return _in_memory(bytes(source), "the picture given as bytes", limits)
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _in_memory(bytes_of_data_url(source), "the picture in the data URL", limits)
    if isinstance(source, str | os.PathLike):
        return _at_path(source, limits)
    if callable(getattr(source, "read", None)):
        with suppress(OSError, ValueError, AttributeError):  # a pipe, and what is no file object beyond `read`
            source.seek(0)
        name = "the picture given as a file object"
        return _in_memory(_all_of(source, name, limits), name, limits)
    raise InputError(f"a picture was given as {type(source).__name__}; want {FORMS}")


def _in_memory(content: bytes, name: str, limits: LoadLimits) -> tuple[BinaryIO, str]:
    _check_bytes(len(content), name, limits)
    return io.BytesIO(content), name


def _at_path(path: str | os.PathLike[str], limits: LoadLimits) -> tuple[BinaryIO, str]:
    text = os.fspath(path)
    name = f"picture {text if len(text) <= LONGEST else text[:LONGEST] + '...'!r}"
    if url := url_of(path):
        raise InvalidImage(f"picture {shown(url)!r} is an address; want --fetch to fetch it (Python: fetch=True)")
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
            raise InvalidImage(f"{name} is {kind}; give the path of {limits.wanted}")
        _check_bytes(status.st_size, name, limits)
        return open(path, "rb"), name
    except FileNotFoundError:
        raise InvalidImage(f"{name} does not exist; give the path of {limits.wanted}") from None
    except (OSError, ValueError) as error:  # no permission, a loop of links, a NUL in the path
        reason = getattr(error, "strerror", None) or error  # without the path, which may be long
        raise InvalidImage(f"{name} cannot be opened ({reason}); give the path of {limits.wanted}") from error


def _all_of(stream: BinaryIO, name: str, limits: LoadLimits) -> bytes:
    """What is left in a stream, which is not read further than the limit."""
    content = bytearray()
    try:
        while len(content) <= limits.file_bytes and (part := stream.read(CHUNK)):
            if not isinstance(part, bytes | bytearray | memoryview):
                raise InputError(f"{name} gives {type(part).__name__}, not bytes; want it open in binary mode ('rb')")
            content += part
    except (OSError, ValueError) as error:  # it is closed, or breaks off
        raise InvalidImage(f"{name} cannot be read ({_line(error)}); open it again") from error
    if len(content) > limits.file_bytes:
        raise InvalidImage(f"{name} has more than {limits.file_bytes:,} bytes; compress or downscale it")
    if not content:
        raise InvalidImage(f"{name} is empty (0 bytes); give {limits.wanted}")
    return bytes(content)


def _check_bytes(count: int, name: str, limits: LoadLimits) -> None:
    if count == 0:
        raise InvalidImage(f"{name} is empty (0 bytes); give {limits.wanted}")
    if count > limits.file_bytes:
        raised = _raised(limits, count / LoadLimits.file_bytes)
        want = f"at most {limits.file_bytes:,}: compress or downscale it{raised}"
        raise InvalidImage(f"{name} has {count:,} bytes; want {want}")


def _format(stream: BinaryIO, name: str, limits: LoadLimits) -> str:
    head = stream.read(readers.HEAD_BYTES)
    stream.seek(0)
    form = readers.format_of(head)
    if form in limits.formats:
        return form
    kind, advice = (f"{'an' if form == 'AVIF' else 'a'} {form}", readers.CONVERT) if form else readers.kind_of(head)
    raise InvalidImage(f"{name} is {kind}, not {limits.wanted}; {advice}")


def _check_size(size: tuple[int, int], name: str, limits: LoadLimits) -> None:
    """Pixels, sides and aspect of a header's `size` = (width, height)."""
    width, height = size
    by = max(width * height / LoadLimits.pixels, (max(size) / LoadLimits.side) ** 2)
    raised = _raised(limits, by)
    faults = [
        (min(size) < 1, "one pixel at least"),
        (width * height > limits.pixels, f"at most {limits.pixels:,} pixels in all: downscale it{raised}"),
        (max(size) > limits.side, f"sides of at most {limits.side:,} pixels: downscale or crop it{raised}"),
        (max(size) > limits.aspect * min(size), f"at most {limits.aspect:g} : 1: crop it"),
    ]
    for broken, want in faults:
        if broken:
            raise InvalidImage(f"{name} is {width} x {height} pixels; want {want}")


def _raised(limits: LoadLimits, by: float) -> str:
    """Which option, at which number, takes what is `by` times as large as the default limits; "" where there is none."""
    n = ceil(by * LoadLimits.pixels / 1e6)
    return f", or raise it with --max-megapixels {n} (Python: max_megapixels={n})" if limits.raisable else ""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
