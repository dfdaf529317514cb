"""A picture as pages show it: data URLs of the whole and of its views, each encoded once for all pages.

A small view is a PNG with exactly the pixels that the model saw. A larger one is a JPEG of the same size. The whole picture is
shrunk.
"""

from __future__ import annotations

from functools import cached_property

from PIL import Image

from cof.geometry import Shown
from cof.trace import Trace
from cof.vision import views
from cof.vision.urls import jpeg_url, png_url

PICTURE_SIDE = 1600  # pixels of the longer side of the whole picture
PICTURE_QUALITY = 80
LOSSLESS_PIXELS = 250_000  # of a PNG; a larger one would have more bytes than the rest of its page
VIEW_QUALITY = 90
GREY = (128, 128, 128)


class EncodedPicture:
    """A picture (RGB, as `load` gives it) with its data URLs. Raises InvalidImage where views were made for another size."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.size = image, image.size
        self._views = dict[tuple[Shown, Shown, str, str], str]()

    @cached_property
    def whole(self) -> str:
        """The picture with a longer side of at most `PICTURE_SIDE`."""
        by = max(1, max(self.image.size) // PICTURE_SIDE)
        small = self.image.convert("RGB").reduce(by) if by > 1 else self.image.convert("RGB")
        small.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        return jpeg_url(small, PICTURE_QUALITY)

    def view(self, view: Shown, trace: Trace) -> str:
        """A view of the trace, at the size at which the model saw it."""
        first = trace.overview_of(view.region)
        key = view, first, trace.spec.source, trace.spec.resample
        if key not in self._views:
            pixels = views.render(self.image, view, first, trace.spec)
            self._views[key] = png_url(pixels) if view.pixels <= LOSSLESS_PIXELS else jpeg_url(pixels, VIEW_QUALITY)
        return self._views[key]


class GreyPicture(EncodedPicture):
    """Grey in the place of a picture of `size` = (width, height) pixels that cannot be read; all of it is small."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(_grey(size))
        self.size = size

    def view(self, view: Shown, trace: Trace) -> str:  # noqa: ARG002
        return png_url(_grey(view.size))


def _grey(size: tuple[int, int]) -> Image.Image:
    by = min(1.0, PICTURE_SIDE / max(size))
    return Image.new("RGB", (max(1, round(size[0] * by)), max(1, round(size[1] * by))), GREY)
