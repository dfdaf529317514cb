"""The model answers from the overview: what it knows without a zoom."""

from __future__ import annotations

from dataclasses import dataclass

from cof.loop.policies.base import Looks, Next, Policy
from cof.trace import Trace


@dataclass(frozen=True)
class Direct(Policy):
    """Asks for the answer before the first turn."""

    def next(self, trace: Trace) -> Next | Looks:  # noqa: ARG002
        return Next.ANSWER


POLICY = Direct("direct", "the model may not zoom", offers_tools=False)
