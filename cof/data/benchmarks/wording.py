"""The words of a question alone: without the picture's placeholder and the label "Question:", which conversations put there."""

from __future__ import annotations

import re

from cof.data.benchmarks.rows import Row
from cof.errors import InputError

PLACEHOLDER = re.compile(r"<image(?:[ _]?(\d+))?>")  # <image>, and <image 1> as MMMU numbers them
_LABEL = re.compile(r"question\s*[:：]\s*", re.IGNORECASE)


def bare(row: Row, text: str) -> str:
    """The question in a text that may hold the placeholder of its one picture, at an end or on a line of its own.

    Raises InputError where there are several placeholders, one inside a sentence, or no words.
    """
    found = list(PLACEHOLDER.finditer(text))
    if len(found) > 1 or (found and int(found[0][1] or 1) != 1):
        names = ", ".join(mark[0] for mark in found[:3])
        raise InputError(f"{row.place} has a question about several pictures ({names}); want one picture")
    for mark in found:
        before, after = text[: mark.start()], text[mark.end() :]
        around = before.rstrip(" \t")[-1:] + after.lstrip(" \t")[:1]
        if before.strip() and after.strip() and around != "\n\n":
            want = "want it at the beginning, at the end, or on a line of its own"
            raise InputError(f"{row.place} has {mark[0]} inside a sentence of its question; {want}")
        text = f"{before.rstrip()}\n{after.lstrip()}"
    text = text.strip()
    label = _LABEL.match(text)
    text = text[label.end() :] if label else text
    if not text:
        raise InputError(f"{row.place} has a question without words; want text")
    return text
