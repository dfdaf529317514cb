"""The numbers by which model families name a place, and boxes. A frame is a unit of a view: converted here, once.

"pixel" counts pixels of the view as it was shown, "thousand" thousandths of its sides, "unit" parts of its sides, all from the
top left. "unit or pixel" is read as pixels where a number is above 1. The order is x0, y0, x1, y1 ("xy"), or y0, x0, y1, x1
("yx").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cof.errors import InvalidBox
from cof.geometry import Box, Shown
from cof.vision import boxes

Unit = Literal["pixel", "thousand", "unit", "unit or pixel"]
Order = Literal["xy", "yx"]
LARGEST = 1e6  # no picture is so large; beyond it floats lose pixels


def numbers(box: Box, view: Shown, unit: Unit, order: Order = "xy") -> tuple[float, float, float, float]:
    """A box in source pixels as the numbers of a view's frame, not rounded."""
    (w, h), shown = _steps(view, unit), view.from_source(box)
    x0, y0, x1, y1 = shown.x0 / w, shown.y0 / h, shown.x1 / w, shown.y1 / h
    return (x0, y0, x1, y1) if order == "xy" else (y0, x0, y1, x1)


def box(found: Sequence[float], view: Shown, unit: Unit, order: Order = "xy") -> Box:
    """The inverse of `numbers`, without what lies outside the view. Raises InvalidBox where nothing lies inside."""
    if unit == "unit or pixel":
        unit = "pixel" if max(found) > 1 else "unit"
    if any(abs(number) > LARGEST for number in found):
        raise InvalidBox(f"{list(found)} lies outside the picture")
    (w, h), (x0, y0, x1, y1) = _steps(view, unit), found
    if order == "yx":
        x0, y0, x1, y1 = y0, x0, y1, x1
    inside = boxes.clip(Box(x0 * w, y0 * h, x1 * w, y1 * h), boxes.full(view.size))
    return boxes.clip(view.to_source(inside), view.region)


def described(view: Shown, unit: Unit) -> str:
    """The range of the numbers, for a sentence to the model."""
    match unit:
        case "pixel":
            return f"{view.size[0]} x {view.size[1]} pixels"
        case "thousand":
            return "0 to 1000"
        case _:
            return "0 to 1"


def written(number: float, unit: Unit) -> float | int:
    """A number as it is written to a model: to the pixel or thousandth, or to a ten-thousandth of a side."""
    return round(number) if unit in ("pixel", "thousand") else round(number, 4)


def _steps(view: Shown, unit: Unit) -> tuple[float, float]:
    """Pixels of the view that one of the unit spans, across and down."""
    parts = {"pixel": view.size, "thousand": (1000, 1000)}.get(unit, (1, 1))
    return view.size[0] / parts[0], view.size[1] / parts[1]
