"""In which frame a model names boxes, worked out from the numbers it gave for known boxes.

Each hypothesis (unit, order, and for pixels the size to which the server shrinks pictures) turns the numbers back into boxes
of the pictures as they were sent; the one whose boxes overlap the true ones best is taken. A model's boxes may be rough: the
median overlap decides, and a frame counts as found from `GOOD` on. Omits frames of single crops.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cof.dialects.frames import Order, Unit
from cof.errors import InvalidBox
from cof.geometry import Box
from cof.vision import boxes

GOOD = 0.5  # median IoU from which a frame counts as found
SHRUNK = 0.97  # scale below which a picture counts as shrunk
LEAST_SAMPLES = 3  # replies with numbers that a frame is worked out from

Four = tuple[float, float, float, float]
ORDERS: tuple[Order, ...] = ("xy", "yx")


@dataclass(frozen=True)
class NamedBox:
    """Four `numbers` that a model gave for a `box` (pixels of a picture of `size` = (width, height))."""

    size: tuple[int, int]
    box: Box
    numbers: Four


@dataclass(frozen=True)
class Frame:
    """A frame of numbers and how well it fits: `iou` is the median overlap with the true boxes.

    Where the server shrinks pictures before the model sees them, `limit` is the most that it leaves: pixels of the longer
    side (`by` "side") or pixels in all (`by` "area"). None: pictures are seen as they are sent.
    """

    unit: Unit
    order: Order
    iou: float
    limit: int | None = None
    by: Literal["side", "area"] = "side"

    @property
    def found(self) -> bool:
        return self.iou >= GOOD


def frame_of(samples: Sequence[NamedBox]) -> Frame | None:
    """The frame that fits best, None with fewer than three boxes. Of frames that fit alike the simplest is taken."""
    if len(samples) < LEAST_SAMPLES:
        return None
    frames = [frame for order in ORDERS for frame in _in_order(samples, order)]
    return max(frames, key=lambda frame: round(frame.iou, 2))


def _in_order(samples: Sequence[NamedBox], order: Order) -> list[Frame]:
    turned = [sample if order == "xy" else _turned(sample) for sample in samples]
    frames = [
        Frame("thousand", order, _fit(turned, lambda size: (size[0] / 1000, size[1] / 1000))),
        Frame("unit", order, _fit(turned, lambda size: (float(size[0]), float(size[1])))),
        Frame("pixel", order, _fit(turned, lambda _: (1.0, 1.0))),
    ]
    side, area = _limit(turned, lambda size: max(size)), _limit(turned, lambda size: math.sqrt(size[0] * size[1]))
    if side is not None:
        frames.append(Frame("pixel", order, _fit(turned, _shrunk(max, side)), round(side)))
    if area is not None:
        found = _fit(turned, _shrunk(lambda size: math.sqrt(size[0] * size[1]), area))
        frames.append(Frame("pixel", order, found, round(area**2), "area"))
    return frames


def _turned(sample: NamedBox) -> NamedBox:
    a, b, c, d = sample.numbers
    return NamedBox(sample.size, sample.box, (b, a, d, c))


def _fit(samples: Sequence[NamedBox], steps: Callable[[tuple[int, int]], tuple[float, float]]) -> float:
    """The median overlap where one of a number is `steps` pixels of a picture of a size, across and down."""
    return statistics.median(_overlap(sample, steps(sample.size)) for sample in samples)


def _overlap(sample: NamedBox, steps: tuple[float, float]) -> float:
    (sx, sy), (x0, y0, x1, y1) = steps, sample.numbers
    try:
        return boxes.iou(Box(x0 * sx, y0 * sy, x1 * sx, y1 * sy), sample.box)
    except InvalidBox:
        return 0.0


def _limit(samples: Sequence[NamedBox], extent: Callable[[tuple[int, int]], float]) -> float | None:
    """The extent that larger pictures seem to be shrunk to; None where fewer than two were."""
    found = [scale * extent(sample.size) for sample in samples if 0 < (scale := _scale(sample)) < SHRUNK]
    return statistics.median(found) if len(found) > 1 else None


def _scale(sample: NamedBox) -> float:
    """The factor from the picture's pixels to the numbers, by least squares."""
    truth = sample.box.as_tuple()
    return sum(n * t for n, t in zip(sample.numbers, truth, strict=True)) / sum(t * t for t in truth)


def _shrunk(
    extent: Callable[[tuple[int, int]], float], most: float
) -> Callable[[tuple[int, int]], tuple[float, float]]:
    """Pixels of a picture that a pixel of the shrunk one spans."""

    def steps(size: tuple[int, int]) -> tuple[float, float]:
        step = max(1.0, extent(size) / most)
        return step, step

    return steps
