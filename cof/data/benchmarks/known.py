"""The benchmarks that are read from a user's own copy, by name.

One of another package is named by an entry point of the group `cof.benchmarks`, or by a Python path `module:name`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from cof import registry
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.errors import CofError, InputError, InvalidConfig

GROUP = "cof.benchmarks"  # of entry points
BUILT_IN = ("vstar", "hrbench", "mme-realworld", "treebench", "visualprobe", "jsonl")


class BenchmarkReader(Protocol):
    """The items of the user's file or folder. Rows that cannot be used go to `left_out`; without it the first is raised."""

    def __call__(self, data: Path, seed: int, left_out: LeftOut | None = None) -> Iterator[Example]: ...


def benchmark_named(name: str) -> BenchmarkReader:
    """The reader of the benchmark of that name, or at that Python path. Raises InvalidConfig."""
    own = {each: f"cof.data.benchmarks.{each.replace('-', '_')}:items" for each in BUILT_IN}
    found = registry.part("benchmark", name, registry.known(GROUP, own))
    if not callable(found):
        raise InvalidConfig(f"benchmark {name!r} is {type(found).__name__}; want a function of (data, seed, left_out)")
    reader: BenchmarkReader = found
    return partial(_checked, name, reader)


def _checked(
    name: str, reader: BenchmarkReader, data: Path, seed: int, left_out: LeftOut | None = None
) -> Iterator[Example]:
    """The examples that a reader gives. Raises InputError where it fails, gives something else, or none at all."""
    count, names = 0, set[str]()
    try:
        for example in reader(data, seed, left_out):
            if not isinstance(example, Example) or not isinstance(example.question.id, str):
                raise InputError(f"benchmark {name} gives {type(example).__name__}; want cof.data.example.Example")
            if example.question.id in names:
                raise InputError(
                    f"benchmark {name} gives two questions with the id {example.question.id!r}; want one each"
                )
            names.add(example.question.id)
            count += 1
            yield example
    except CofError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"benchmark {name} failed ({reason}); want it corrected") from error
    if not count:
        raise InputError(f"benchmark {name} gives no question of {str(data)!r}; want its data there")


def benchmark_names() -> tuple[str, ...]:
    """The names of the benchmarks of this package, and of others that are installed."""
    return tuple(registry.known(GROUP, dict.fromkeys(BUILT_IN, "")))
