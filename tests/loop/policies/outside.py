"""Policies that are no part of the package."""

from __future__ import annotations

from dataclasses import dataclass

from cof.geometry import Box
from cof.loop.policies.base import Looks, Next, Policy
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.types import Call


@dataclass(frozen=True)
class Corners(Policy):
    """Zooms into two corners, one after the other has been shown, then asks for the answer."""

    side: float = 40

    def next(self, trace: Trace) -> Next | Looks:
        whole = trace.overview.region
        corners = ((0, 0), (whole.x1 - self.side, whole.y1 - self.side))
        seen = len(trace.turns)
        if seen == len(corners):
            return Next.ANSWER
        x, y = corners[seen]
        return (zooms([Box(x, y, x + self.side, y + self.side)]),)


@dataclass(frozen=True)
class Endless(Policy):
    """Calls a tool that gives words for ever."""

    def next(self, trace: Trace) -> Next | Looks:  # noqa: ARG002
        return ((Call("tests.tools.outside:MEASURE"),),)


@dataclass(frozen=True)
class Deaf(Policy):
    """Accepts no answer."""

    def accepts(self, trace: Trace) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True)
class Many(Policy):
    """Zooms into the picture `count` times, in turns of `together` calls."""

    count: int = 8
    together: int = 1

    def next(self, trace: Trace) -> Next | Looks:
        box = trace.overview.region
        turns = self.count // self.together
        return Next.ANSWER if trace.turns else tuple(zooms([box] * self.together) for _ in range(turns))


CORNERS = Corners("tests.loop.policies.outside:CORNERS", "shows two corners, then asks")
ENDLESS = Endless("endless", "measures for ever")
DEAF = Deaf("deaf", "accepts nothing")
NO_POLICY = 5
HIDING = Policy("own", "has the name of another")
