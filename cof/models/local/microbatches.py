"""Micro-batches: how much goes through a network in one pass. Inputs of like size go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
TOKENS = {"cpu": 1024, "cuda": 4096}  # of one pass, padding included: more takes memory and saves no time


def microbatches(inputs: Iterable[T], tokens: Callable[[T], int], device: str) -> list[list[T]]:
    """The inputs in groups for one pass each, smallest first; an input that is larger than a pass may be goes alone."""
    most, groups = TOKENS.get(device, TOKENS["cuda"]), list[list[T]]()
    for each in sorted(inputs, key=tokens):
        if groups and (len(groups[-1]) + 1) * tokens(each) <= most:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups
