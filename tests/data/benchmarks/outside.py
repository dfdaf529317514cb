"""A benchmark that is no part of the package: a folder of pictures, each asked what colour it has; its name is the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.types import Question
from cof.vision.load import load

NO_BENCHMARK = 5


def items(data: Path, _seed: int, _left_out: LeftOut | None = None) -> Iterator[Example]:
    for path in sorted(data.glob("*.png")):
        asked = Question(path.stem, (str(path),), "What colour is it?", answer=path.stem)
        yield Example(asked, functools.partial(load, path))


def raising(data: Path, _seed: int, _left_out: LeftOut | None = None) -> Iterator[Example]:
    yield from items(data, 0)
    raise ZeroDivisionError("division by zero")


def numbers(_data: Path, _seed: int, _left_out: LeftOut | None = None) -> list[int]:
    return [1, 2]


def twice(data: Path, _seed: int, _left_out: LeftOut | None = None) -> Iterator[Example]:
    for example in items(data, 0):
        yield replace(example, question=replace(example.question, id="red"))


def without_arguments() -> list[Example]:
    return []


def nothing(_data: Path, _seed: int, _left_out: LeftOut | None = None) -> list[Example]:
    return []
