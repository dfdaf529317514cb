"""A benchmark that is no part of the package: a folder of pictures, each asked what colour it has; its name is the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterator
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
