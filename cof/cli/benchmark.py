"""Which questions `cof eval` asks: of a benchmark on disk, or of a world that draws them.

Owns the refusal of options that do not fit the benchmark. Omits how questions are answered (`evaluate.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cof.cli.options import split_of
from cof.data.benchmarks.known import benchmark_named, benchmark_names
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.data.worlds import is_registered, is_world, world_of
from cof.errors import InputError, InvalidConfig
from cof.evaluate.run import scored_by
from cof.geometry import ViewSpec
from cof.registry import is_path
from cof.types import Metric

NEEDLE = "needle"
SIDE, SPLIT = 1792, "test"
NEEDLES = 200  # questions, where --n does not say

Examples = Callable[[int], Iterable[Example]]  # those of a seed


@dataclass(frozen=True)
class Selection:
    """The questions of an evaluation.

    `bench`: the name of a benchmark or of a world, or a Python path of one.
    `data`: the local copy of a benchmark; None for a world, whose pictures are drawn.
    `n`: most questions of a seed; None: all, or NEEDLES of a world.
    `side`, `split`, `multiple_choice`: of a world alone: the longer side of its pictures in pixels, which of its splits is
    asked, and whether questions have options.
    `metric`: of every question; None leaves each question its own.
    """

    bench: str
    data: Path | None
    n: int | None
    side: int
    split: str
    multiple_choice: bool
    metric: Metric | None

    @property
    def manifest(self) -> dict[str, Any]:
        """What a run folder must agree on about the questions, besides what the data holds."""
        asked = {"benchmark": self.bench, "n": self.n, "side": self.side, "split": self.split}
        asked |= {"multiple_choice": self.multiple_choice}
        return asked | ({"metric": self.metric} if self.metric else {})


def checked(asked: Selection) -> Selection:
    """Refuse an unknown benchmark, options that do not fit it, and data without a usable row; a world has none."""
    bench, data = asked.bench, asked.data
    if is_world(bench) and (data is None or is_registered(bench)):
        if data is not None:
            raise InvalidConfig(f"--data does not apply to {bench}, whose pictures are drawn; leave it out")
        split_of(asked.split)
        world_of(bench)
        return asked
    if not is_path(bench) and bench not in benchmark_names():
        want = f"want one of {', '.join([NEEDLE, *benchmark_names()])}, or module:NAME"
        raise InputError(f"unknown benchmark {bench!r}; {want}")
    reader = benchmark_named(bench)
    if (asked.side, asked.split, asked.multiple_choice) != (SIDE, SPLIT, False):
        raise InvalidConfig(f"--side, --split and --multiple-choice apply to needle alone; leave them out for {bench}")
    if data is None:
        raise InputError(f"benchmark {bench} needs your local copy; give --data (docs/evaluate.md says from where)")
    next(iter(reader(data, 0, LeftOut())), None)
    return asked


def examples_of(asked: Selection, spec: ViewSpec, left_out: LeftOut) -> Examples:
    """The examples of a seed, scored by the metric that is asked for; rows that cannot be used go to `left_out`."""
    found = _examples(asked, spec, left_out)
    return lambda seed: (scored_by(example, asked.metric) for example in found(seed))


def _examples(asked: Selection, spec: ViewSpec, left_out: LeftOut) -> Examples:
    bench, data, n = asked.bench, asked.data, asked.n
    if data is None:  # its pictures are drawn
        return lambda seed: world_of(bench).examples(
            split_of(asked.split), seed, n or NEEDLES, (asked.side,), spec, asked.multiple_choice
        )
    return lambda seed: islice(benchmark_named(bench)(data, seed, left_out), n)
