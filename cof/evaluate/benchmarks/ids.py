"""Ids that are unique: a journal that meets an id again takes the question for done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from cof.evaluate.benchmarks.base import Item


def unique(items: Iterable[Item]) -> Iterator[Item]:
    """The same items in the same order; the second with an id `a` is called `a#2`, and so on."""
    seen: Counter[str] = Counter()
    for item in items:
        name = item.question.id
        seen[name] += 1
        if seen[name] > 1:
            item = replace(item, question=replace(item.question, id=f"{name}#{seen[name]}"))
        yield item
