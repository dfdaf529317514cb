"""Ids that are unique: a journal that meets an id again takes the question for done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count

from cof.data.example import Example


def unique(items: Iterable[Example]) -> Iterator[Example]:
    """The same items in the same order; the second with an id `a` is called `a#2`, and so on."""
    taken: set[str] = set()
    for item in items:
        name = item.question.id
        free = next(free for n in count(1) if (free := name if n == 1 else f"{name}#{n}") not in taken)
        taken.add(free)
        yield item if free == name else replace(item, question=replace(item.question, id=free))
