"""A tool that is no part of the package: it says how large the pictures are, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cof.tools.base import State
from cof.trace import Observation
from cof.types import Call, Limits


@dataclass
class Measure:
    """`runs` counts how often it was run."""

    name: str = "tests.tools.outside:MEASURE"
    about: str = "Says the size of a picture."
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    runs: int = 0

    def run(self, call: Call, state: State, _limits: Limits) -> Observation:
        self.runs += 1
        region = state.subject(call).region
        return Observation(words=f"It has {region.width:g} x {region.height:g} pixels.")


MEASURE = Measure()
NO_TOOL = 5
