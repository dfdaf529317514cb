"""The words of a question alone: without the picture's placeholder and the label "Question:", which conversations put there."""

from __future__ import annotations

import re

from cof.data.benchmarks.rows import Row
from cof.errors import InputError

PLACEHOLDER = re.compile(r"<image(?:[ _]?(\d+))?>")  # <image>, and <image 1> as MMMU numbers them
_AT_START = re.compile(rf"(?:\s*{PLACEHOLDER.pattern})*\s*")
_LABEL = re.compile(r"question\s*[:：]\s*", re.IGNORECASE)


def bare(row: Row, text: str, pictures: int = 1) -> str:
    """The question in a text that may hold the placeholder of its one picture, at an end or on a line of its own.

    Of several `pictures` those at the beginning are left out, and others become "picture 2". Raises InputError where there
    are more placeholders than pictures, one of a single picture is inside a sentence, or there are no words.
    """
    if pictures > 1:
        text = _numbered(row, text, pictures)
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


def _numbered(row: Row, text: str, pictures: int) -> str:
    """A text about several pictures, with their numbers in place of placeholders, and none at its beginning."""
    numbers = [int(mark[1] or n) for n, mark in enumerate(PLACEHOLDER.finditer(text), 1)]
    if any(not 1 <= number <= pictures for number in numbers):
        raise InputError(
            f"{row.place} has a question about picture {max(numbers)} of {pictures}; want as many pictures"
        )
    start = _AT_START.match(text)
    first = start.end() if start else 0
    left = iter(numbers[len(PLACEHOLDER.findall(text[:first])) :])
    return PLACEHOLDER.sub(lambda _: f"picture {next(left)}", text[first:])
