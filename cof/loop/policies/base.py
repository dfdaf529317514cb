"""What a policy is: from what happened so far it decides what is looked at next, and when the model has to answer.

A policy is a value `POLICY` of a module; `known.py` finds it by its name. The loop asks it before each turn of the model. Omits
reading turns and applying limits, which the loop does for every policy alike.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cof.trace import Trace
from cof.types import Call


class Next(enum.Enum):
    """Whose turn it is."""

    MODEL = "model"  # the model's: it may call tools or answer
    ANSWER = "answer"  # the model's, which is asked for its answer; calls are not followed any more


Looks = tuple[tuple[Call, ...], ...]  # turns that are made for the model, in order, each with its calls


@dataclass(frozen=True)
class Policy:
    """The model's own choice; other policies override `next`, `accepts`, or both. A policy keeps nothing between calls.

    `name` is what traces record, `about` one sentence for people. Without `offers_tools` the question itself asks for the
    answer at once, and names no tool. With `needs_targets` it uses the question's true boxes, which only an evaluation has.
    """

    name: str
    about: str
    offers_tools: bool = True
    needs_targets: bool = False

    def next(self, trace: Trace) -> Next | Looks:  # noqa: ARG002
        """What comes next: the model's turn, the order to answer, or looks; after these it is asked again."""
        return Next.MODEL

    def accepts(self, trace: Trace) -> bool:  # noqa: ARG002
        """Whether an answer of the model ends the run. One is refused at most; the model then has to begin its turn with a
        call."""
        return True
