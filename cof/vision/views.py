"""From boxes to views to pixels. The one place that decides which pixels a model sees, in every run and training.

`overview` and `zoom` are geometry; `render` is the only function that touches pixels, and `Picture` keeps what it gave last.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from threading import Lock

from PIL import Image

from cof.errors import InvalidImage
from cof.geometry import Box, Shown, ViewSpec
from cof.vision import boxes

ZOOM_ASPECT = boxes.MAX_ASPECT / 4  # snapping to whole tokens may double a ratio twice: the overview's, and the zoom's

RENDERED = 1_000_000  # pixels of a picture's views that are kept, however small it is

RESAMPLE = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}

TURNS = {  # Pillow turns anticlockwise
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}

PAPER = ViewSpec(
    min_pixels=112 * 112,
    max_pixels=3840 * 3840,
    zoom_min_pixels=112 * 112,
    zoom_max_pixels=3840 * 3840,
    grow=1.5,
    scale=2.0,
)
"""The view rules of the released CoF checkpoints (arXiv 2505.15436), but for zooms that are cut from the original file."""


def overview(size: tuple[int, int], spec: ViewSpec, picture: int = 0) -> Shown:
    """The whole picture of `size` = (width, height) source pixels, as the model sees it first; `picture` is its number."""
    return Shown(boxes.full(size, picture), _resized(size, spec, spec.min_pixels, spec.max_pixels))


def zoom(box: Box, first: Shown, spec: ViewSpec) -> Shown:
    """The view that answers a zoom on `box` (source pixels) in the picture whose overview is `first`.

    The part of the box inside the picture is padded by `spec.pad`, grown by `spec.grow`, and to at least one visual token of
    the overview on each side (a smaller box is finer than the model can point), then moved inside the picture. A region
    longer than `ZOOM_ASPECT` : 1, or than `spec.zoom_max_pixels` can show as one row of visual tokens, is widened; where the
    picture itself is thinner than `ZOOM_ASPECT` : 1, its middle is taken. Raises InvalidBox when the box lies outside the
    picture.
    """
    picture = first.region
    token = spec.factor * max(picture.width / first.size[0], picture.height / first.size[1])
    inside = _padded(boxes.clip(box, picture), picture, spec.pad)
    aspect = max(1.0, min(ZOOM_ASPECT, spec.zoom_max_pixels / spec.factor**2))
    least = max(token, spec.grow * max(inside.width, inside.height) / aspect)
    region = _middle(boxes.shift_inside(boxes.grow(inside, spec.grow, least), picture))
    native = _native_size(region, first, spec)
    return Shown(region, _resized(native, spec, spec.zoom_min_pixels, spec.zoom_max_pixels))


def render(image: Image.Image, view: Shown, first: Shown, spec: ViewSpec) -> Image.Image:
    """The pixels of `view` of `image` (RGB, as `load` gives it), of exactly `view.size`; `first` is its overview.

    Raises InvalidImage when `image` is not of the size that the views were made for.
    """
    if boxes.full(image.size, first.picture) != first.region:
        want = f"{first.region.width:g} x {first.region.height:g}"
        raise InvalidImage(
            f"picture is {image.width} x {image.height} pixels, want {want}; give the one it was made for"
        )
    resample = RESAMPLE[spec.resample]
    if spec.source == "resized" and view != first:
        image = image.resize(first.size, resample)
        part = boxes.clip(first.from_source(view.region), boxes.full(first.size))
    else:
        part = boxes.clip(view.region, first.region)
    shown = image.resize(view.unedited, resample, box=part.as_tuple())
    for edit in view.edits:
        shown = shown.transpose(TURNS[edit.degrees])
    return shown


class Picture:
    """A picture (RGB, as `load` gives it) with views of it that were rendered: each once for all its users, also from several
    threads.

    The views that were asked for last are kept, as many pixels as the picture has, but `RENDERED` at least.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._rendered, self._lock = OrderedDict[tuple[Shown, Shown, str, str], Image.Image](), Lock()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in source pixels."""
        return self.image.size

    def show(self, view: Shown, first: Shown, spec: ViewSpec) -> Image.Image:
        """What `render` gives."""
        key = view, first, spec.source, spec.resample
        with self._lock:
            if key not in self._rendered:
                self._rendered[key] = render(self.image, view, first, spec)
            self._rendered.move_to_end(key)
            shown = self._rendered[key]
            most = max(RENDERED, self.image.width * self.image.height)
            while len(self._rendered) > 1 and sum(each.pixels for each, *_ in self._rendered) > most:
                self._rendered.popitem(last=False)
        return shown


class Rendered(Mapping[Shown, Image.Image]):
    """Views and their pixels. A view is rendered, by `render`, when its pixels are first asked for, and kept until `clear`.

    `add` renders nothing, so that it takes no time. Pixels may be asked for in another thread, but in one at a time.
    """

    def __init__(self, render: Callable[[Shown], Image.Image]) -> None:
        self._render, self._known = render, dict[Shown, Image.Image | None]()

    def add(self, *shown: Shown) -> None:
        """Name views whose pixels may be asked for."""
        for view in shown:
            self._known.setdefault(view, None)

    def clear(self) -> None:
        """Forget all views."""
        self._known.clear()

    def __getitem__(self, view: Shown) -> Image.Image:
        pixels = self._known[view]
        if pixels is None:
            pixels = self._known[view] = self._render(view)
        return pixels

    def __iter__(self) -> Iterator[Shown]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _resized(size: tuple[float, float], spec: ViewSpec, least: int, most: int) -> tuple[int, int]:
    """The (width, height) at which `size` is shown: `smart_resize`, with no side longer than `spec.max_side`.

    Where a thin picture at that side has fewer pixels than `least`, it keeps the side.
    """
    if spec.max_side is None:
        return _at_most(size, spec.factor, least, most)
    longer = max(size)
    width, height = (side * min(1.0, spec.max_side / longer) for side in size)
    largest = int(spec.max_side**2 * min(size) / longer)
    sides = _at_most((width, height), spec.factor, min(least, largest), most)
    longest = max(spec.factor, spec.max_side // spec.factor * spec.factor)
    return max(spec.factor, min(sides[0], longest)), max(spec.factor, min(sides[1], longest))


def _at_most(size: tuple[float, float], factor: int, least: int, most: int) -> tuple[int, int]:
    """`smart_resize`, which may round up beyond `most` where `least` is near it: then it is rounded down.

    What is so thin that it has one row of visual tokens may have more.
    """
    sides = boxes.smart_resize(size, factor, least, most)
    if sides[0] * sides[1] <= most:
        return sides
    beta = math.sqrt(size[0] * size[1] / most)
    width, height = (max(factor, math.floor(side / beta / factor) * factor) for side in size)
    return width, height


def _padded(box: Box, picture: Box, part: float) -> Box:
    """The box wider by a part of the picture's side on each side, without what lies outside the picture."""
    across, down = part * picture.width, part * picture.height
    if not part:
        return box
    return boxes.clip(Box(box.x0 - across, box.y0 - down, box.x1 + across, box.y1 + down, picture=box.picture), picture)


def _native_size(region: Box, first: Shown, spec: ViewSpec) -> tuple[float, float]:
    if spec.source == "resized":
        region = first.from_source(region)
    return region.width * spec.scale, region.height * spec.scale


def _middle(region: Box) -> Box:
    """The region, its long side cut about the centre where it is longer than `ZOOM_ASPECT` : 1."""
    w, h = min(region.width, region.height * ZOOM_ASPECT), min(region.height, region.width * ZOOM_ASPECT)
    (cx, cy) = region.center
    return boxes.shift_inside(Box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, picture=region.picture), region)
