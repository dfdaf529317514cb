"""How much goes through a network in one pass: as much as memory and caches like, those of like size together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
TOKENS = {"cpu": 1024, "cuda": 4096}  # of one pass, padding included: more takes memory and saves no time


def microbatches(things: Iterable[T], tokens: Callable[[T], int], device: str) -> list[list[T]]:
    """The things in groups for a pass each, smallest first; what is larger than a pass may be goes alone."""
    most, groups = TOKENS.get(device, TOKENS["cuda"]), list[list[T]]()
    for thing in sorted(things, key=tokens):
        if groups and (len(groups[-1]) + 1) * tokens(thing) <= most:
            groups[-1].append(thing)
        else:
            groups.append([thing])
    return groups
