"""Box answers against true boxes, all in source pixels. Omits the frames in which model families name boxes (`dialects/`).

Where several boxes are true, each is: the best match counts, as with several true texts. A union of them would be a place
that nobody asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cof.errors import InputError, InvalidBox
from cof.geometry import Box
from cof.types import Question
from cof.vision import boxes

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,12}(?:\.\d{1,12})?(?![\w.]*\w)")


def truth_boxes(question: Question) -> tuple[Box, ...]:
    """The true boxes of a question: its targets, else the four numbers of its true answers; empty without a truth.

    Raises InputError where a true answer is no box.
    """
    if question.targets or question.answer is None:
        return question.targets
    return tuple(map(_truth, (question.answer, *question.aliases)))


def box_in(text: str) -> Box | None:
    """The box whose x0, y0, x1, y1 are the only four numbers of a text, in source pixels; None where there is none such."""
    found = [float(number) for number in _NUMBER.findall(text)]
    try:
        return Box(*found) if len(found) == 4 else None
    except InvalidBox:
        return None


def best_iou(box: Box, truths: Iterable[Box]) -> float:
    """The IoU of a box with the true one that it matches best, in [0, 1]."""
    return max(boxes.iou(box, truth) for truth in truths)


def _truth(text: str) -> Box:
    box = box_in(text)
    if box is None:
        raise InputError(f"the truth {text!r} is no box; want x0, y0, x1, y1 in source pixels, or targets")
    return box
