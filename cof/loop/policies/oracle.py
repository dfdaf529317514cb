"""The model is shown the question's true boxes before its first turn, then chooses: how well it answers without a search."""

from __future__ import annotations

from dataclasses import dataclass

from cof.loop.policies.base import Looks, Next, Policy
from cof.tools.zoom import zooms
from cof.trace import Trace


@dataclass(frozen=True)
class Oracle(Policy):
    """Zooms into each true box, in the order of `Question.targets`."""

    def next(self, trace: Trace) -> Next | Looks:
        return Next.MODEL if trace.turns else tuple(zooms([box]) for box in trace.question.targets)


POLICY = Oracle("oracle", "the true boxes are shown first", needs_targets=True)
