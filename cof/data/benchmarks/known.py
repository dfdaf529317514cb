"""The benchmarks that are read from a user's own copy, by name.

One of another package is named by an entry point of the group `cof.benchmarks`, or by a Python path `module:name`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cof import registry
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.errors import InvalidConfig

GROUP = "cof.benchmarks"  # of entry points
BUILT_IN = ("vstar", "hrbench", "mme-realworld", "treebench", "visualprobe", "jsonl")


class Reader(Protocol):
    """The items of the user's file or folder. Rows that cannot be used go to `left_out`; without it the first is raised."""

    def __call__(self, data: Path, seed: int, left_out: LeftOut | None = None) -> Iterator[Example]: ...


def benchmark_named(name: str) -> Reader:
    """The reader of the benchmark of that name, or at that Python path. Raises InvalidConfig."""
    own = {each: f"cof.data.benchmarks.{each.replace('-', '_')}:items" for each in BUILT_IN}
    found = registry.part("benchmark", name, registry.known(GROUP, own))
    if not callable(found):
        raise InvalidConfig(f"benchmark {name!r} is {type(found).__name__}; want a function of (data, seed, left_out)")
    reader: Reader = found
    return reader


def benchmark_names() -> tuple[str, ...]:
    """The names of the benchmarks of this package, and of others that are installed."""
    return tuple(registry.known(GROUP, dict.fromkeys(BUILT_IN, "")))
