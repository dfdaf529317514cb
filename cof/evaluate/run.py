"""Runs a model over a benchmark by a plan, and keeps every trace as it ends: a killed evaluation goes on where it was.

A picture is read once for all resolutions and arms, and a view of it rendered once. Owns the protocol of resolutions:
from `source` "resized" the picture itself is made smaller, so that no zoom brings back what is lost (as in the paper,
arXiv 2505.15436); from "original" only the overview is, and zooms are cut from the file's own pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from PIL import Image

from cof.dialects import cof as dialect
from cof.errors import InvalidImage
from cof.evaluate.benchmarks.base import Item
from cof.focus.loop import Mode, Session, Setting
from cof.models.base import Model
from cof.plain import to_json, trace_from_json
from cof.runs import RunDir, read_records
from cof.types import Box, Question, Stop, Trace, View, ViewSpec
from cof.vision import boxes, views
from cof.vision.views import Picture

Source = Literal["resized", "original"]
SOURCES: tuple[Source, ...] = ("resized", "original")
NATIVE = 0  # the resolution that leaves a picture as it is
NO_VIEW = View(Box(0, 0, 1, 1), (1, 1))  # the overview of a picture that could not be read


@dataclass(frozen=True)
class Plan:
    """What is asked of every item. `resolutions` are longer sides in pixels, or NATIVE; pictures are never enlarged."""

    arms: tuple[Mode, ...] = ("direct", "focus")
    resolutions: tuple[int, ...] = (NATIVE,)
    source: Source = "original"
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Record:
    """One trace of an evaluation, and which cell of the plan it fills. `group` names the question that it counts for."""

    arm: Mode
    resolution: int
    seed: int
    group: str
    trace: Trace

    @property
    def id(self) -> str:
        return f"{self.arm}/{self.resolution}/{self.seed}/{self.trace.id}"


def evaluate(
    model: Model,
    items: Callable[[int], Iterable[Item]],
    plan: Plan,
    setting: Setting,
    run: RunDir,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> None:
    """Journal one trace for every cell of `plan` and item of `items(seed)` in `run`, skipping those that are there."""
    journal = run.journal("traces")

    def keep(record: Record) -> None:
        journal.append({"id": record.id, **_cell(record), "trace": to_json(record.trace)})
        on_end(record.trace)

    def sessions() -> Iterator[Session]:
        for seed in plan.seeds:
            for item in items(seed):
                yield from _sessions(model.name, item, seed, plan, setting, journal.done, keep)

    model.converse(sessions())


def records(run: RunDir) -> Iterator[Record]:
    """What was journaled so far."""
    for found in read_records(run.folder / "traces.jsonl"):
        trace = trace_from_json(found["trace"])
        yield Record(found["arm"], found["resolution"], found["seed"], found["group"], trace)


def _cell(record: Record) -> dict[str, Any]:
    return {"arm": record.arm, "resolution": record.resolution, "seed": record.seed, "group": record.group}


def _sessions(
    name: str,
    item: Item,
    seed: int,
    plan: Plan,
    setting: Setting,
    done: set[str | int],
    keep: Callable[[Record], None],
) -> Iterator[Session]:
    """A session for every cell of the plan that is not done; the picture is read when the first one is wanted."""
    asked = item.question
    wanted = [(r, a) for r in plan.resolutions for a in plan.arms if f"{a}/{r}/{seed}/{asked.id}" not in done]
    if not wanted:
        return
    group = item.group or asked.id
    try:
        image = item.picture()
    except InvalidImage as error:
        failed = _unreadable(name, asked, setting, str(error))
        for resolution, arm in wanted:
            keep(Record(arm, resolution, seed, group, failed))
        return
    for resolution in plan.resolutions:
        arms = [arm for r, arm in wanted if r == resolution]
        if arms:
            question, picture, spec = _at(item, image, resolution, plan.source, setting.spec)
        for arm in arms:
            chosen = replace(setting, spec=spec, mode=arm, sampling=replace(setting.sampling, seed=seed))
            cell = functools.partial(Record, arm, resolution, seed, group)
            yield Session(name, question, picture, chosen, functools.partial(_kept, keep, cell))


def _kept(keep: Callable[[Record], None], cell: Callable[[Trace], Record], trace: Trace) -> None:
    keep(cell(trace))


def _at(
    item: Item, image: Image.Image, resolution: int, source: Source, spec: ViewSpec
) -> tuple[Question, Picture, ViewSpec]:
    """The question, the picture and the view rules at a resolution."""
    factor = min(1.0, resolution / max(image.size)) if resolution != NATIVE else 1.0
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    question = item.question
    if source == "resized" and size != image.size:
        sx, sy = size[0] / image.width, size[1] / image.height
        image = image.resize(size, Image.Resampling.LANCZOS)
        question = replace(question, targets=tuple(boxes.scale(box, sx, sy) for box in question.targets))
    elif source == "original":
        most = min(spec.max_pixels, size[0] * size[1])
        spec, factor = replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most)), 1.0
    first = views.overview(image.size, spec)
    if item.depth is not None:
        question = replace(question, depth=item.depth(first, factor, spec))
    return question, Picture(image), spec


def _unreadable(name: str, question: Question, setting: Setting, fault: str) -> Trace:
    return Trace(
        question.id,
        question,
        name,
        dialect.NAME,
        setting.spec,
        setting.sampling,
        setting.limits,
        NO_VIEW,
        stop=Stop.FAILED,
        error=fault,
    )
