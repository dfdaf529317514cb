"""Where questions with answers come from: the needle world, a JSONL file, or a folder in V*Bench's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cof.errors import InputError, InvalidImage
from cof.evaluate.benchmarks import jsonl, vstar
from cof.evaluate.benchmarks.base import Item
from cof.focus.ask import with_budget
from cof.search.calls import Task
from cof.search.experts import NeedleTask
from cof.types import ViewSpec
from cof.worlds.needle import samples


def needle_tasks(count: int, seed: int, side: int, spec: ViewSpec, budgets: Sequence[int]) -> Iterator[NeedleTask]:
    """Questions about training scenes, each at one of the overview `budgets` (visual tokens), in turn."""
    for n, sample in enumerate(samples("train", seed, count, side, spec)):
        size = (round(sample.scene.extent[0] * side), round(sample.scene.extent[1] * side))
        yield NeedleTask(sample.question, size, sample.picture, with_budget(spec, budgets[n % len(budgets)]), sample)


def file_tasks(path: Path, spec: ViewSpec, budgets: Sequence[int]) -> Iterator[Task]:
    """The questions of a JSONL file (fields as `cof eval jsonl` has them) or a V*Bench folder. Raises InputError.

    Questions without an answer cannot be searched, and are passed over; a picture that cannot be read is an error.
    """
    items: Iterator[Item] = vstar.items(path, 0) if path.is_dir() else jsonl.items(path, 0)
    for n, item in enumerate(item for item in items if item.question.answer is not None):
        try:
            size = item.picture().size
        except InvalidImage as error:
            raise InputError(f"question {item.question.id}: {error}") from error
        question = replace(item.question, depth=None)
        yield Task(question, size, item.picture, with_budget(spec, budgets[n % len(budgets)]))
