"""Where questions with answers come from: worlds, files, and folders in V*Bench's layout or of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cof.data.benchmarks import jsonl, rows, vstar
from cof.data.benchmarks.ids import unique
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.conversations import holds_trajectories, trajectories
from cof.data.example import Example
from cof.data.worlds import World
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InputError
from cof.geometry import ViewSpec
from cof.loop.setting import with_budget


@dataclass(frozen=True)
class Drawn:
    """Which questions of a world: `n` of `seed`, at most `per_picture` about one; pictures take the `sides`
    (pixels of the longer one) in turn."""

    n: int = 300
    seed: int = 0
    sides: tuple[int, ...] = (1792,)
    per_picture: int = 1


def world_examples(world: World, drawn: Drawn, spec: ViewSpec, budgets: Sequence[int] = ()) -> Iterator[Example]:
    """Questions of a world's training split, each at every one of the overview `budgets`. Raises InputError on a bad side."""
    found = world.examples("train", drawn.seed, drawn.n, drawn.sides, spec, per_picture=drawn.per_picture)
    return (at for example in found for at in _at_budgets(example, spec, budgets))


def count(path: Path, dialect: Dialect = COF, left_out: LeftOut | None = None) -> int:
    """How many questions of a file or folder can be searched; no picture of a question is opened. Raises InputError."""
    return sum(each.question.answer is not None for each in _examples(path, dialect, left_out))


def file_examples(
    path: Path,
    spec: ViewSpec,
    budgets: Sequence[int] = (),
    dialect: Dialect = COF,
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The questions of a file or folder, each at every one of the overview `budgets`. Raises InputError.

    A file holds questions in the form of `cof eval jsonl`, or conversations in `dialect`, whose questions and answers are
    taken; a folder holds Parquet or Arrow files, as `datasets` saves them, or is in V*Bench's layout. A question without an
    answer or whose picture cannot be read goes to `left_out`; without it, it is an error.
    """
    for example in _examples(path, dialect, left_out):
        try:
            if example.question.answer is None:
                raise InputError("there is no answer to search for; want 'answer'")
            if example.further:
                raise InputError(f"it is about {1 + len(example.further)} pictures; want one, as a search looks at one")
            example.picture  # noqa: B018
        except InputError as error:
            if left_out is None or example.row is None:
                raise InputError(f"question {example.question.id}: {error}") from error
            left_out.add(example.row, error)
            continue
        asked = replace(example.question, depth=None)  # a file's depth is for an overview that it does not name
        yield from _at_budgets(replace(example, question=asked), spec, budgets)


def _at_budgets(example: Example, spec: ViewSpec, budgets: Sequence[int]) -> Iterator[Example]:
    """The example at each overview budget (visual tokens), which its id names where there are several; without any, at
    the spec's own."""
    if not budgets:
        yield example.at(spec)
    for budget in budgets:
        name = f"{example.question.id}@{budget}" if len(budgets) > 1 else example.question.id
        yield replace(example, question=replace(example.question, id=name)).at(with_budget(spec, budget))


def _examples(path: Path, dialect: Dialect, left_out: LeftOut | None) -> Iterator[Example]:
    tables = sorted(file for form in ("*.parquet", "*.arrow") for file in path.rglob(form)) if path.is_dir() else [path]
    if not tables:
        yield from vstar.items(path, 0, left_out)
    elif holds_trajectories(tables[0]):
        found = (each for table in tables for each in trajectories(table, dialect, left_out))
        yield from unique(Example(each.trace.question, each.picture, row=each.row) for each in found)
    else:
        make = partial(_numbered, tables=tables) if len(tables) > 1 else jsonl.item
        yield from items_of((row for table in tables for row in rows.read(table)), make, left_out)


def _numbered(row: Row, tables: Sequence[Path]) -> Example:
    """An example whose id names the table that it is in, by its number."""
    found = jsonl.item(row)
    name = f"{tables.index(row.file)}-{found.question.id}"
    return replace(found, question=replace(found.question, id=name))
