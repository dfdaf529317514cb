"""The zoom: a region of a picture, enlarged, as the view rules and the limits allow.

Owns the call and its observation. `vision/limits.py` decides the region and its size; `vision.views.render` cuts the pixels,
when a model is shown them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cof.geometry import Box, Shown
from cof.tools.base import InvalidCall, State
from cof.trace import Observation
from cof.types import ZOOM, Call, Limits
from cof.vision import limits as within

BOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}


@dataclass(frozen=True)
class Zoom:
    """Shows the `box` of a picture enlarged. In a picture that was shown rotated, the enlarged region is rotated too."""

    name: str = ZOOM
    about: str = "Shows a part of a picture enlarged."
    schema: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {"box": BOX}, "required": ["box"]}
    )

    def run(self, call: Call, state: State, _limits: Limits) -> Observation | None:
        if call.box is None:
            raise InvalidCall("the call names no box; want one")
        edits = state.subject(call).edits
        view = within.crop(call.box, state.trace, state.shown, state.coming)
        if view is None:
            return None
        turned = replace(view, edits=edits)
        return Observation((replace(turned, size=turned.unedited),))  # quarters swap width and height, either way


TOOL = Zoom()


def observed(views: Iterable[Shown], first: int = 1) -> tuple[Observation, ...]:
    """The observations of zooms that showed `views`, one each; `first` is the id of the first view in its run."""
    return tuple(Observation((replace(view, id=first + n, made_by=ZOOM),)) for n, view in enumerate(views))


def zooms(boxes: Iterable[Box], label: str = "", thought: str = "") -> tuple[Call, ...]:
    """The calls of one turn that zooms into `boxes` (source pixels)."""
    return tuple(Call(ZOOM, {"box": box}, label, "" if n else thought) for n, box in enumerate(boxes))
