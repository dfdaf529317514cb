"""Where questions with answers come from: the needle world, files, and folders in V*Bench's layout or of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cof.errors import InputError, InvalidImage
from cof.evaluate.benchmarks import jsonl, vstar
from cof.evaluate.benchmarks.base import Item
from cof.focus.setting import with_budget
from cof.search.calls import Task
from cof.search.experts import NeedleTask
from cof.search.formats import read_sharegpt
from cof.types import Question, ViewSpec
from cof.vision.load import load
from cof.worlds.needle import Sample, samples


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
        yield NeedleTask(question, size, sample.picture, own, sample)


def count(path: Path, spec: ViewSpec) -> int:
    """How many questions of a file or folder can be searched; no picture is opened. Raises InputError."""
    return sum(item.question.answer is not None for item in _items(path, spec))


def file_tasks(path: Path, spec: ViewSpec, budgets: Sequence[int] = ()) -> Iterator[Task]:
    """The questions of a file or folder, each at every one of the overview `budgets`. Raises InputError.

    A JSONL, Parquet or Arrow file has the fields of `cof eval jsonl`; a `.json` file is ShareGPT's; a folder holds Parquet or
    Arrow files, as `datasets` saves them, or is in V*Bench's layout. Questions without an answer cannot be searched, and
    are passed over; a picture that cannot be read is an error.
    """
    for item in (item for item in _items(path, spec) if item.question.answer is not None):
        try:
            size = item.picture().size
        except InvalidImage as error:
            raise InputError(f"question {item.question.id}: {error}") from error
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


def _items(path: Path, spec: ViewSpec) -> Iterator[Item]:
    if path.suffix == ".json":
        yield from (Item(t.question, partial(load, t.question.image)) for t in read_sharegpt(path, spec))
    elif not path.is_dir():
        yield from jsonl.items(path, 0)
    elif tables := sorted(file for form in ("*.parquet", "*.arrow") for file in path.rglob(form)):
        for number, table in enumerate(tables):
            for item in jsonl.items(table, 0):
                name = f"{number}-{item.question.id}" if len(tables) > 1 else item.question.id
                yield replace(item, question=replace(item.question, id=name))
    else:
        yield from vstar.items(path, 0)
