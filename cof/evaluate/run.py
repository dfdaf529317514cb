"""Runs a model over questions, arm by arm, and keeps every trace as it ends: a killed evaluation goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

from PIL import Image

from cof.focus.loop import Setting, run_many
from cof.models.base import Model
from cof.runs import RunDir
from cof.types import Question, Trace, to_json

Arm = Literal["direct", "focus"]
ARMS: tuple[Arm, ...] = ("direct", "focus")
Asked = tuple[Question, Callable[[], Image.Image]]


def evaluate(
    model: Model,
    questions: Callable[[], Iterable[Asked]],
    arms: Sequence[Arm],
    setting: Setting,
    run: RunDir,
    batch: int = 32,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> None:
    """Journal one trace a question and arm in `run`, skipping those that are there. Pictures are drawn or read when needed."""
    journal = run.journal("traces")
    for arm in arms:
        chosen = replace(setting, direct=arm == "direct")

        def keep(trace: Trace, arm: Arm = arm) -> None:
            journal.append({"id": f"{arm}/{trace.id}", "arm": arm, "trace": to_json(trace)})
            on_end(trace)

        waiting = (asked for asked in questions() if f"{arm}/{asked[0].id}" not in journal.done)
        for group in _batches(waiting, batch):
            run_many(model, [(question, picture()) for question, picture in group], chosen, keep)


def _batches(items: Iterable[Asked], size: int) -> Iterator[list[Asked]]:
    source = iter(items)
    while group := list(islice(source, size)):
        yield group
