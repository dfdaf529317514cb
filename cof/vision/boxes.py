"""Pure geometry of boxes. Every function names the frame it works in; none but `smart_resize` rounds."""

from __future__ import annotations

import math

from cof.errors import InvalidBox, InvalidImage
from cof.geometry import Box

MAX_ASPECT = 200.0  # the Qwen2-VL image processor refuses pictures longer than 200 : 1


def full(size: tuple[int, int], picture: int = 0) -> Box:
    """The box of a whole picture of `size` = (width, height), which has the number `picture` in its question."""
    return Box(0.0, 0.0, float(size[0]), float(size[1]), picture=picture)


def intersect(a: Box, b: Box) -> Box | None:
    """The common part of two boxes of one frame, or None; boxes of two pictures have none."""
    if a.picture != b.picture:
        return None
    x0, y0, x1, y1 = max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1)
    return Box(x0, y0, x1, y1, picture=a.picture) if x0 < x1 and y0 < y1 else None


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes of one frame, in [0, 1]; 0 where an area leaves the range of floats."""
    common = intersect(a, b)
    union = a.area + b.area - common.area if common else 0.0
    return common.area / union if common and 0 < union < math.inf else 0.0


def giou(a: Box, b: Box) -> float:
    """Generalised IoU of two boxes of one frame (arXiv 1902.09630), in [-1, 1]: below 0 the farther they are apart.

    It is -1 for boxes of two pictures.
    """
    if a.picture != b.picture:
        return -1.0
    hull = Box(min(a.x0, b.x0), min(a.y0, b.y0), max(a.x1, b.x1), max(a.y1, b.y1))
    common = intersect(a, b)
    union = a.area + b.area - (common.area if common else 0.0)
    return iou(a, b) - (hull.area - union) / hull.area if 0 < hull.area < math.inf else 0.0


def contains(outer: Box, inner: Box, slack: float = 1e-6) -> bool:
    """Whether `inner` lies within `outer`, both in one frame, give or take `slack` in the frame's unit."""
    return (
        outer.picture == inner.picture
        and outer.x0 - slack <= inner.x0
        and outer.y0 - slack <= inner.y0
        and inner.x1 <= outer.x1 + slack
        and inner.y1 <= outer.y1 + slack
    )


def grow(box: Box, by: float, least: float = 0.0) -> Box:
    """The box with its sides times `by`, and each at least `least` long, about the same centre."""
    (cx, cy), w, h = box.center, max(box.width * by, least) / 2, max(box.height * by, least) / 2
    return Box(cx - w, cy - h, cx + w, cy + h, picture=box.picture)


def shift_inside(box: Box, frame: Box) -> Box:
    """The box moved, and cut where it is larger than `frame`, so that it lies within `frame`, exactly.

    Raises InvalidBox for a box so thin that it vanishes among the floats at its new place.
    """
    w, h = min(box.width, frame.width), min(box.height, frame.height)
    x0 = max(frame.x0, min(box.x0, frame.x1 - w))
    y0 = max(frame.y0, min(box.y0, frame.y1 - h))
    return Box(x0, y0, min(x0 + w, frame.x1), min(y0 + h, frame.y1), picture=box.picture)


def clip(box: Box, frame: Box) -> Box:
    """The part of `box` inside `frame`. Raises InvalidBox if there is none."""
    inside = intersect(box, frame)
    if inside is None:
        raise InvalidBox(f"box {_short(box)} lies outside the picture {_short(frame)}; want a box that overlaps it")
    return inside


def snap(box: Box, size: tuple[int, int], grid: int) -> Box:
    """The box (pixels of a picture of `size`) in multiples of `grid`, inside the picture, at least two steps long each way.

    Raises InvalidBox where it lies outside.
    """
    inside, (w, h) = clip(box, full(size)), size
    x0, y0 = (max(0, min(round(v / grid) * grid, side - 2 * grid)) for v, side in ((inside.x0, w), (inside.y0, h)))
    x1, y1 = (max(round(v / grid) * grid, low + 2 * grid) for v, low in ((inside.x1, x0), (inside.y1, y0)))
    return Box(x0, y0, min(x1, w), min(y1, h))


def scale(box: Box, sx: float, sy: float) -> Box:
    """The box in a frame whose axes are `sx` and `sy` times as fine."""
    return Box(box.x0 * sx, box.y0 * sy, box.x1 * sx, box.y1 * sy, picture=box.picture)


def shrink(size: tuple[int, int], longer: int) -> tuple[tuple[int, int], float]:
    """The size of a picture whose longer side is made `longer` pixels, and the factor; a smaller picture is left as it is."""
    factor = min(1.0, longer / max(size))
    return (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))), factor


def smart_resize(size: tuple[float, float], factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The (width, height) at which a Qwen-VL processor shows a picture of `size` = (width, height).

    Both sides become multiples of `factor`, the area falls within [min_pixels, max_pixels] where whole tokens and the
    aspect allow it, and the aspect ratio is kept as nearly as that permits. Same numbers as `smart_resize` of
    transformers' Qwen2-VL image processor (tested against it). Raises InvalidImage beyond 200 : 1.
    """
    width, height = size
    if min(size) <= 0 or max(size) / min(size) > MAX_ASPECT:
        raise InvalidImage(f"a picture of {width:g} x {height:g} is longer than {MAX_ASPECT:g} : 1; crop it first")
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > max_pixels:
        beta = math.sqrt(width * height / max_pixels)
        w = max(factor, math.floor(width / beta / factor) * factor)
        h = max(factor, math.floor(height / beta / factor) * factor)
    elif w * h < min_pixels:
        beta = math.sqrt(min_pixels / (width * height))
        w, h = math.ceil(width * beta / factor) * factor, math.ceil(height * beta / factor) * factor
    return w, h


def rounded(box: Box) -> list[float]:
    """Its corners to a tenth of a pixel, for replies and logs."""
    return [round(v, 1) for v in box.as_tuple()]


def in_words(box: Box) -> str:
    """Its corners in whole pixels, for people."""
    return "[" + ", ".join(f"{v:.0f}" for v in box.as_tuple()) + "]"


def _short(box: Box) -> str:
    return "[" + ", ".join(f"{v:.6g}" for v in box.as_tuple()) + "]"
