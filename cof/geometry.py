"""Boxes, view rules, and what a model was shown of a picture: a region, edits and a size.

Every box names its frame, every size its unit. No pixels, no rounding. Omits how a region is chosen and rendered (`vision/`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from cof.errors import InvalidBox, InvalidConfig


@dataclass(frozen=True)
class Box:
    """A rectangle (x0, y0, x1, y1); unless a name says otherwise in float pixels of a question's *source picture*.

    Origin top-left, x to the right, y down; x1 and y1 are exclusive. Always finite, with x0 < x1 and y0 < y1. `picture` is the
    number of that picture among those of the question, from 0; boxes of two pictures share nothing.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    picture: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.x0, self.y0, self.x1, self.y1)):
            raise InvalidBox(f"box {self.as_tuple()} has a number that is not finite; want four finite numbers")
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise InvalidBox(f"box {self.as_tuple()} is empty or reversed; want x0 < x1 and y0 < y1")

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """In square pixels of the box's frame."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """The point (x, y) in the middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def as_tuple(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class ViewSpec:
    """How pixels are chosen, for the overview and for every zoom. The same value is used wherever a picture is shown.

    An overview is the whole picture resized to between `min_pixels` and `max_pixels`; a zoom is the box grown by
    `grow` about its centre, scaled by `scale`, and held between `zoom_min_pixels` and `zoom_max_pixels`. All sides are
    multiples of `factor` pixels, the side of one visual token. `source` names the pixels a zoom is cut from: the
    original file, or the resized overview (as the paper's evaluation does). `pad` widens the box of a zoom on each side by
    that part of the picture's side, up to its edge, before it is grown. No side is longer than `max_side` pixels, where that
    is given.
    """

    min_pixels: int = 56 * 56
    max_pixels: int = 448 * 448
    zoom_min_pixels: int = 168 * 168
    zoom_max_pixels: int = 252 * 252
    factor: int = 28
    grow: float = 1.25
    scale: float = 1.0
    source: Literal["original", "resized"] = "original"
    resample: Literal["lanczos", "bicubic", "bilinear"] = "lanczos"
    pad: float = 0.0
    max_side: int | None = None


@dataclass(frozen=True)
class Rotate:
    """An edit: the region is turned clockwise by `degrees`, which is 90, 180 or 270."""

    degrees: int

    def __post_init__(self) -> None:
        if self.degrees not in (90, 180, 270):
            raise InvalidConfig(
                f"a rotation by {self.degrees!r} degrees is not possible; want 90, 180 or 270, clockwise"
            )

    def turned(self, box: Box, size: tuple[float, float]) -> Box:
        """The box in a frame of `size` = (width, height), as a box in that frame turned."""
        width, height = size
        match self.degrees:
            case 90:
                return Box(height - box.y1, box.x0, height - box.y0, box.x1)
            case 180:
                return Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)
            case _:
                return Box(box.y0, width - box.x1, box.y1, width - box.x0)


Edit = Rotate  # becomes a union with the next kind of edit


@dataclass(frozen=True)
class Shown:
    """What a model was shown: a region of a picture with edits, at a size. It holds no pixels, and renders exactly again.

    `region` is in source pixels of the picture that `region.picture` numbers; `edits` are applied to it in order; `size` is the
    (width, height) in pixels of what results. `id` numbers what was shown in a run, from 0; `made_by` names the tool whose
    observation it is in, or is empty for the overview of a picture. Two values that show the same are equal.
    `to_source` and `from_source` are exact inverses of each other up to float rounding.
    """

    region: Box
    size: tuple[int, int]
    edits: tuple[Edit, ...] = ()
    id: int = field(default=0, compare=False)
    made_by: str = field(default="", compare=False)

    @property
    def picture(self) -> int:
        """The number of the picture among those of the question, from 0."""
        return self.region.picture

    @property
    def pixels(self) -> int:
        """How many pixels are shown: width times height."""
        return self.size[0] * self.size[1]

    @property
    def unedited(self) -> tuple[int, int]:
        """The (width, height) in pixels before the edits."""
        quarters = sum(edit.degrees for edit in self.edits) // 90
        return (self.size[1], self.size[0]) if quarters % 2 else self.size

    @property
    def detail(self) -> float:
        """Pixels that are shown per source pixel, at most 1: an enlarged region shows no more than its source."""
        width, height = self.unedited
        return min(width / self.region.width, height / self.region.height, 1.0)

    def to_source(self, box: Box) -> Box:
        """A box in pixels of what is shown, as a box in source pixels of the picture."""
        frame: tuple[int, int] = self.size
        for edit in reversed(self.edits):
            box, frame = _inverse(edit).turned(box, frame), frame[::-1] if edit.degrees != 180 else frame
        sx, sy = self.region.width / frame[0], self.region.height / frame[1]
        x, y = self.region.x0, self.region.y0
        return Box(x + box.x0 * sx, y + box.y0 * sy, x + box.x1 * sx, y + box.y1 * sy, picture=self.picture)

    def from_source(self, box: Box) -> Box:
        """A box in source pixels of the picture, as a box in pixels of what is shown; it may lie outside."""
        frame = self.unedited
        sx, sy = frame[0] / self.region.width, frame[1] / self.region.height
        x, y = self.region.x0, self.region.y0
        found = Box((box.x0 - x) * sx, (box.y0 - y) * sy, (box.x1 - x) * sx, (box.y1 - y) * sy)
        for edit in self.edits:
            found, frame = edit.turned(found, frame), frame[::-1] if edit.degrees != 180 else frame
        return found


def _inverse(edit: Edit) -> Edit:
    return Rotate(360 - edit.degrees)
