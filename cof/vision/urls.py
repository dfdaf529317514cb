"""Pictures as data URLs: for pages, logs and models behind a server.

Only pixels go out: no profile, comment or other metadata of a file. The bytes depend on the pixels and the form alone.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from cof.errors import InvalidConfig

LOSSLESS_PIXELS = 2_000_000  # the most that a PNG has where the form is chosen by the picture
LOSSLESS_BYTES = 2**20  # the most that its file has
URL_BYTES = 5 * 2**20  # the most that Anthropic takes of a picture, in base64: "image exceeds 5 MB maximum"
LOWER = (85, 75)  # qualities of a JPEG whose URL would be longer than that
FULL_COLOUR = 90  # the least JPEG quality with a colour for every pixel, which keeps small coloured text legible


def png_url(image: Image.Image) -> str:
    """Without loss."""
    return _url("png", _encoded(image, "PNG"))


def jpeg_url(image: Image.Image, quality: int) -> str:
    """`quality` is 1 to 100; below 90 a colour is shared by four pixels."""
    return _url("jpeg", _jpeg(image, quality))


@dataclass(frozen=True)
class Wire:
    """The form in which a picture is sent to a server: a PNG, or a JPEG of `quality` 1 to 100.

    "auto" depends on the picture: a PNG up to 2 megapixels and 1 MiB of file, else a JPEG of `quality`, or of 85 or 75
    where its URL would be longer than 5 MiB. Raises InvalidConfig for another quality.
    """

    form: Literal["auto", "png", "jpeg"] = "auto"
    quality: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InvalidConfig(f"quality {self.quality} of a JPEG is not possible; want 1 to 100, such as jpeg:85")

    @classmethod
    def of(cls, text: str) -> Wire:
        """The form by its name: auto, png, jpeg or jpeg:QUALITY. Raises InvalidConfig."""
        named = re.fullmatch(r"(auto|png|jpeg)|jpeg:([0-9]{1,3})", text)
        if named is None:
            raise InvalidConfig(f"wire {text!r} is not known; want auto, png, jpeg, or jpeg:QUALITY such as jpeg:85")
        match named[1]:
            case "auto" | "png" | "jpeg" as form:
                return cls(form)
            case _:
                return cls("jpeg", int(named[2]))

    def __str__(self) -> str:
        return f"jpeg:{self.quality}" if self.form == "jpeg" else self.form

    def url(self, image: Image.Image) -> str:
        """The picture as a data URL."""
        match self.form:
            case "png":
                return png_url(image)
            case "jpeg":
                return jpeg_url(image, self.quality)
            case "auto":
                return self._fitting(image)

    def _fitting(self, image: Image.Image) -> str:
        if image.width * image.height <= LOSSLESS_PIXELS:
            content = _encoded(image, "PNG")
            if len(content) <= LOSSLESS_BYTES:
                return _url("png", content)
        url = jpeg_url(image, self.quality)
        for quality in LOWER:
            if len(url) <= URL_BYTES:
                break
            url = jpeg_url(image, quality)
        return url


def _jpeg(image: Image.Image, quality: int) -> bytes:
    return _encoded(image, "JPEG", quality=quality, subsampling="4:4:4" if quality >= FULL_COLOUR else "4:2:0")


def _encoded(image: Image.Image, form: str, **how: Any) -> bytes:
    buffer, bare = io.BytesIO(), image.copy()
    bare.info.clear()
    bare.save(buffer, form, **how)
    return buffer.getvalue()


def _url(form: str, content: bytes) -> str:
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"
