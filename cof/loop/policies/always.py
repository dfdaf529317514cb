"""The model has to zoom before it answers: what its zooms are worth where it would not have asked for any."""

from __future__ import annotations

from dataclasses import dataclass

from cof.loop.policies.base import Policy
from cof.trace import Trace


@dataclass(frozen=True)
class Always(Policy):
    """Refuses an answer that no zoom came before."""

    def accepts(self, trace: Trace) -> bool:
        return trace.zooms > 0


POLICY = Always("always", "the model must zoom")
