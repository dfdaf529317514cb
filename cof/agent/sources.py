"""Where questions with answers come from: the needle world, files, and folders in V*Bench's layout or of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cof.agent.calls import Task
from cof.agent.experts import NeedleTask
from cof.data.benchmarks import jsonl, rows, vstar
from cof.data.benchmarks.base import Item
from cof.data.benchmarks.ids import unique
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.conversations import holds_trajectories, trajectories
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InputError
from cof.loop.setting import with_budget
from cof.needle.samples import Sample, asked_at, samples
from cof.types import Question, ViewSpec
from cof.vision import views


@dataclass(frozen=True)
class Drawn:
    """Which questions of the needle world: `n` of `seed`, at most `per_picture` about one; pictures take the `sides`
    (pixels of the longer one) in turn."""

    n: int = 300
    seed: int = 0
    sides: tuple[int, ...] = (1792,)
    per_picture: int = 1


def needle_tasks(drawn: Drawn, spec: ViewSpec, budgets: Sequence[int] = ()) -> Iterator[NeedleTask]:
    """Questions about training scenes, each at every one of the overview `budgets`. Raises InputError on a bad side."""
    found = samples("train", drawn.seed, drawn.n, drawn.sides, spec, per_scene=drawn.per_picture)
    return (task for sample in found for task in _needle_tasks(sample, spec, budgets))


def _needle_tasks(sample: Sample, spec: ViewSpec, budgets: Sequence[int]) -> Iterator[NeedleTask]:
    size = (round(sample.scene.extent[0] * sample.side), round(sample.scene.extent[1] * sample.side))
    for question, own in _at_budgets(sample.question, spec, budgets):
        asked = asked_at(sample, views.overview(size, own), sample.side, own)
        yield NeedleTask(replace(asked, id=question.id), size, sample.picture, own, sample)


def count(path: Path, dialect: Dialect = COF, left_out: LeftOut | None = None) -> int:
    """How many questions of a file or folder can be searched; no picture of a question is opened. Raises InputError."""
    return sum(item.question.answer is not None for item in _items(path, dialect, left_out))


def file_tasks(
    path: Path,
    spec: ViewSpec,
    budgets: Sequence[int] = (),
    dialect: Dialect = COF,
    left_out: LeftOut | None = None,
) -> Iterator[Task]:
    """The questions of a file or folder, each at every one of the overview `budgets`. Raises InputError.

    A file holds questions in the form of `cof eval jsonl`, or conversations in `dialect`, whose questions and answers are
    taken; a folder holds Parquet or Arrow files, as `datasets` saves them, or is in V*Bench's layout. A question without an
    answer or whose picture cannot be read goes to `left_out`; without it, it is an error.
    """
    for item in _items(path, dialect, left_out):
        try:
            if item.question.answer is None:
                raise InputError("there is no answer to search for; want 'answer'")
            size = item.picture().size
        except InputError as error:
            if left_out is None or item.row is None:
                raise InputError(f"question {item.question.id}: {error}") from error
            left_out.add(item.row, error)
            continue
        for question, own in _at_budgets(replace(item.question, depth=None), spec, budgets):
            yield Task(question, size, item.picture, own)


def _at_budgets(question: Question, spec: ViewSpec, budgets: Sequence[int]) -> Iterator[tuple[Question, ViewSpec]]:
    """The question at each overview budget (visual tokens), which its id names where there are several; without any, at
    the spec's own."""
    if not budgets:
        yield question, spec
    for budget in budgets:
        name = f"{question.id}@{budget}" if len(budgets) > 1 else question.id
        yield replace(question, id=name), with_budget(spec, budget)


def _items(path: Path, dialect: Dialect, left_out: LeftOut | None) -> Iterator[Item]:
    tables = sorted(file for form in ("*.parquet", "*.arrow") for file in path.rglob(form)) if path.is_dir() else [path]
    if not tables:
        yield from vstar.items(path, 0, left_out)
    elif holds_trajectories(tables[0]):
        found = (each for table in tables for each in trajectories(table, dialect, left_out))
        yield from unique(Item(each.trace.question, each.picture, row=each.row) for each in found)
    else:
        make = partial(_numbered, tables=tables) if len(tables) > 1 else jsonl.item
        yield from items_of((row for table in tables for row in rows.read(table)), make, left_out)


def _numbered(row: Row, tables: Sequence[Path]) -> Item:
    """An item whose id names the table that it is in, by its number."""
    found = jsonl.item(row)
    name = f"{tables.index(row.file)}-{found.question.id}"
    return replace(found, question=replace(found.question, id=name))
