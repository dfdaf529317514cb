"""A policy that ends its process when it is asked about one row."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cof.loop.policies.base import Looks, Next, Policy
from cof.trace import Trace


@dataclass(frozen=True)
class Deadly(Policy):
    """Row 99 ends the process, as a fault in a library would."""

    def next(self, trace: Trace) -> Next | Looks:
        if trace.question.id == "99":
            os._exit(7)
        return Next.MODEL


DEADLY = Deadly("tests.batch.deadly:DEADLY", "ends its process")
