"""Which reader takes a picture file, decided by its first bytes and never by its name; what is refused, by name.

Owns the formats that are read, and Pillow's readers as they are used here: without their process-wide limits, text and colour
profiles, and with the pixels as they lie in the file. Omits turning and converting the pixels (`pixels`), PDF, SVG, video and
camera raw files, and the orientation that a JPEG 2000 may hold in a box of its own. The readers of TIFF are not silent: Pillow
warns of odd tags, and libtiff writes a line to stderr about a damaged file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cof.errors import MissingExtra

FORMATS = ("JPEG", "PNG", "WEBP", "HEIC", "AVIF", "TIFF", "GIF", "BMP", "JPEG 2000")
WEB = FORMATS[:3]
"""What every browser shows: all that a server takes from strangers."""

HEAD_BYTES = 512  # enough to tell every format named below

BEGINS = {  # a format by its first bytes; those in RIFF and ISO-BMFF containers are below
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"\xff\x4f\xff\x51": "JPEG 2000",  # a bare codestream
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
}
BRANDS = {  # of ISO-BMFF (ISO 23008-12, AV1 Image File Format), the first that a file names decides
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
}
PLAIN_BRANDS = (b"mif1", b"msf1", b"mif2", b"mif3")  # a picture, but of which codec is given by another brand

FRAME = "take a frame of it as a picture"
RENDER = "render what you ask about to a PNG"
CONVERT = "convert it first"
REFUSED = {  # what else people send, by its first bytes, and what to do about it
    b"%PDF": ("a PDF", RENDER),
    b"%!PS": ("a PostScript file", RENDER),
    b"\x1aE\xdf\xa3": ("a video", FRAME),
    b"\0\0\1\xba": ("a video", FRAME),
    b"FLV": ("a video", FRAME),
    b"8BPS": ("a Photoshop file", CONVERT),
    b"\0\0\1\0": ("an icon", CONVERT),
    b"\xff\x0a": ("a JPEG XL", CONVERT),
    b"\0\0\0\x0cJXL ": ("a JPEG XL", CONVERT),
    b"PK\3\4": ("an archive", "unpack it first"),
    b"\x1f\x8b": ("an archive", "unpack it first"),
    b"\x93NUMPY": ("a numpy file", "give the array (numpy.load)"),
    b"version https://git-lfs": ("a Git LFS pointer", "get the file itself (git lfs pull)"),
}

Reader = Callable[[BinaryIO], ImageFile.ImageFile]


def format_of(head: bytes) -> str | None:
    """Which of `FORMATS` a file is that begins with `head`; None for another."""
    if head[4:8] == b"ftyp":
        return _in_container(head)
    if head.startswith(b"RIFF"):
        return "WEBP" if head[8:12] == b"WEBP" else None
    if head[8:10] == b"CR" and head.startswith(b"II*\0"):  # a Canon raw file, which begins with a preview
        return None
    return next((name for magic, name in BEGINS.items() if head.startswith(magic)), None)


def kind_of(head: bytes) -> tuple[str, str]:
    """What a file is that none of the readers takes, in words, and what to do about it."""
    if head[4:8] == b"ftyp" or head[8:12] == b"AVI ":
        return "a video", FRAME
    if head[8:10] == b"CR" and head.startswith(b"II*\0"):
        return "a camera's raw file", "develop it to a JPEG or PNG"
    for magic, kind in REFUSED.items():
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "an SVG", RENDER
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "give the picture itself"
    return "text" if head.isascii() and b"\0" not in head else "of an unknown format", CONVERT


def reader_of(name: str) -> Reader:
    """What opens a stream of that one of `FORMATS`, its header alone. Raises MissingExtra for HEIC without its extra."""
    return _heic() if name == "HEIC" else READERS[name]


def _in_container(head: bytes) -> str | None:
    """By the brands in the first box: its major brand, a version, then the compatible ones."""
    (size,) = struct.unpack_from(">I", head)
    box = head[: max(16, min(size, len(head)))]
    brands = [box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))]
    known = [BRANDS[brand] for brand in brands if brand in BRANDS]
    if known:
        return known[0]
    return "HEIC" if brands[0] in PLAIN_BRANDS else None


def _heic() -> Reader:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise MissingExtra("a HEIC picture", error.name, "heif") from None
    reader: Reader = HeifImageFile
    return reader


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """One JPEG, without the look into EXIF for a resolution, which warns of damaged tags."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


class _Chunks(PngImagePlugin.PngStream):
    """The chunks of a PNG; those that no pixel depends on are passed over, packed as they are and however large."""

    def _pass_over(self, pos: int, length: int) -> bytes:  # noqa: ARG002 (called by Pillow)
        assert self.fp is not None
        return ImageFile._safe_read(self.fp, length)  # for the checksum

    chunk_tEXt = chunk_zTXt = chunk_iTXt = chunk_iCCP = _pass_over
    chunk_gAMA = chunk_cHRM = chunk_sRGB = chunk_pHYs = _pass_over


class _Png(PngImagePlugin.PngImageFile):
    """A PNG, read through `_Chunks`: Pillow's reader makes its stream in the midst of opening, and here it is put."""

    _stream: PngImagePlugin.PngStream | None = None

    @property
    def png(self) -> PngImagePlugin.PngStream | None:
        return self._stream

    @png.setter
    def png(self, stream: PngImagePlugin.PngStream | None) -> None:
        self._stream = _Chunks(stream.fp) if stream is not None and stream.fp is not None else None


class _Gif(GifImagePlugin.GifImageFile):
    """The first frame of a GIF: how it is taken away again does not matter, and needs no memory."""

    @property
    def disposal_method(self) -> int:
        return 0

    @disposal_method.setter
    def disposal_method(self, method: int) -> None:
        pass


class Tiff(TiffImagePlugin.TiffImageFile):
    """The first page of a TIFF as it lies: Pillow's reader turns it while it decodes, and asks for a limit of the process."""

    def _setup(self) -> None:
        if self.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) > TiffImagePlugin.MAX_SAMPLESPERPIXEL:
            raise ValueError("too many samples a pixel")  # which Pillow would log, too
        if self.tag_v2.get(ExifTags.Base.NewSubfileType, 0) & 1:  # TIFF 6.0, NewSubfileType: of reduced resolution
            raise ValueError("its first page is a preview, as in a camera's raw file; develop it to a JPEG or PNG")
        super()._setup()
        self._size = self._tile_size

    @property
    def orientation(self) -> int:
        """Its orientation, as EXIF has it."""
        value = self.tag_v2.get(ExifTags.Base.Orientation, 1)
        return value if isinstance(value, int) else 1

    def load_prepare(self) -> None:
        ImageFile.ImageFile.load_prepare(self)

    def load_end(self) -> None:
        pass


READERS: dict[str, Reader] = {
    "JPEG": _Jpeg,
    "PNG": _Png,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "TIFF": Tiff,
    "GIF": _Gif,
    "BMP": BmpImagePlugin.BmpImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
