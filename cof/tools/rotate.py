"""Rotation: what was shown, turned by a quarter, a half or three quarters, for text that runs another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cof.geometry import Rotate
from cof.tools.base import InvalidCall, State
from cof.trace import Observation
from cof.types import Call, Limits

QUARTERS = (90, 180, 270)


@dataclass(frozen=True)
class Rotation:
    """Shows what the call is about again, turned clockwise by `degrees`."""

    name: str = "rotate"
    about: str = "Shows a picture again, turned clockwise by 90, 180 or 270 degrees."
    schema: Mapping[str, Any] = field(
        default_factory=lambda: {
            "type": "object",
            "properties": {"degrees": {"type": "integer", "enum": list(QUARTERS)}},
            "required": ["degrees"],
        }
    )

    def run(self, call: Call, state: State, limits: Limits) -> Observation | None:
        degrees = call.arguments.get("degrees")
        if type(degrees) not in (int, float) or degrees not in QUARTERS:
            raise InvalidCall(f"degrees are {degrees!r:.40}; want 90, 180 or 270, clockwise")
        subject = state.subject(call)
        spent = state.trace.pixels + sum(shown.pixels for shown in state.shown)
        if spent + subject.pixels > limits.pixels:
            return None
        turned = replace(subject, edits=(*subject.edits, Rotate(int(degrees))))
        return Observation((replace(turned, size=subject.size if degrees == 180 else subject.size[::-1]),))


TOOL = Rotation()
