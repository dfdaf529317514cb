"""Runs a model over a benchmark by a plan, and keeps every trace as it ends: a killed evaluation goes on where it was.

A picture is read once for all resolutions and arms, and a view of it rendered once. Owns the protocol of resolutions:
from `source` "resized" the picture itself is made smaller, so that no zoom brings back what is lost (as in the paper,
arXiv 2505.15436); from "original" only the overview is, and zooms are cut from the file's own pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from cof.data.benchmarks.base import Item
from cof.errors import InputError, InvalidBox, InvalidImage, InvalidRun, MissingExtra
from cof.loop.session import NO_VIEW, Session, not_asked
from cof.loop.setting import Mode, Setting
from cof.models.base import Model
from cof.needle.outside import outside
from cof.plain import to_json, trace_from_json
from cof.runs import RunDir, read_records
from cof.scoring.answers import metric_of
from cof.scoring.grounding import truth_boxes
from cof.types import Metric, Question, Stop, Trace, ViewSpec
from cof.vision import boxes, views
from cof.vision.views import Picture

Source = Literal["resized", "original"]
SOURCES: tuple[Source, ...] = ("resized", "original")
NATIVE = 0  # the resolution that leaves a picture as it is


@dataclass(frozen=True)
class Plan:
    """What is asked of every item. `resolutions` are longer sides in pixels, or NATIVE; pictures are never enlarged."""

    arms: tuple[Mode, ...] = ("direct", "focus")
    resolutions: tuple[int, ...] = (NATIVE,)
    source: Source = "original"
    seeds: tuple[int, ...] = (0,)


Asked = tuple[int, int, str]  # resolution, seed, id of the question


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
        return _id(self.arm, self.resolution, self.seed, self.trace.id)

    @property
    def asked(self) -> Asked:
        """What was asked, whichever the arm."""
        return self.resolution, self.seed, self.trace.id


def evaluate(
    model: Model,
    items: Callable[[int], Iterable[Item]],
    plan: Plan,
    setting: Setting,
    run: RunDir,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> None:
    """Journal one trace for every cell of `plan` and item of `items(seed)` in `run`, skipping those that are there.

    Where the model failed, the trace goes to the journal "failures", and the cell is tried again when the run continues.
    """
    traces, failures = run.journal("traces"), run.journal("failures")

    def keep(record: Record) -> None:
        line = {"id": record.id, "arm": record.arm, "resolution": record.resolution, "seed": record.seed}
        line |= {"group": record.group, "trace": to_json(record.trace)}
        if record.trace.stop is Stop.FAILED and record.trace.overview != NO_VIEW:
            failures.append(line | {"id": f"{len(failures.done)} {record.id}"})
        else:
            traces.append(line)
        on_end(record.trace)

    def sessions() -> Iterator[Session]:
        for seed in plan.seeds:
            for item in items(seed):
                yield from _sessions(model, item, seed, plan, setting, traces.done, keep)

    model.converse(sessions())


def scored_by(item: Item, metric: Metric | None) -> Item:
    """The item with another metric than its own, where one is given. Raises InputError where its truth is not fit for that."""
    question = item.question if metric is None else replace(item.question, metric=metric)
    if metric not in (None, metric_of(question)):
        raise InputError(f"question {question.id!r} has options, which are right or wrong; want the metric 'match'")
    _with_true_boxes(question)
    return replace(item, question=question)


def records(folder: Path) -> Iterator[Record]:
    """What was journaled so far in a run folder: the trace of every cell, or its last failure where there is none."""
    done = set[str]()
    for found in read_records(folder / "traces.jsonl"):
        done.add(found["id"])
        yield _record(found)
    failed = {record.id: record for record in map(_record, read_records(folder / "failures.jsonl"))}
    yield from (record for name, record in failed.items() if name not in done)


def _id(arm: Mode, resolution: int, seed: int, question: str) -> str:
    return f"{arm}/{resolution}/{seed}/{question}"


def _record(found: Mapping[str, Any]) -> Record:
    try:
        return Record(found["arm"], found["resolution"], found["seed"], found["group"], trace_from_json(found["trace"]))
    except KeyError as error:
        raise InvalidRun(
            f"a record of the evaluation ({found.get('id')}) has no {error}; want what `cof eval` wrote"
        ) from None


def _sessions(
    model: Model,
    item: Item,
    seed: int,
    plan: Plan,
    setting: Setting,
    done: set[str | int],
    keep: Callable[[Record], None],
) -> Iterator[Session]:
    """A session for every cell of the plan that is not done; the picture is read when the first one is wanted."""
    asked = item.question
    wanted = [(r, a) for r in plan.resolutions for a in plan.arms if _id(a, r, seed, asked.id) not in done]
    if not wanted:
        return
    group, name = item.group or asked.id, model.info.name
    try:
        whole = Picture(item.picture())
    except (InvalidImage, MissingExtra) as error:
        for resolution, arm in wanted:
            keep(Record(arm, resolution, seed, group, not_asked(name, asked, setting, str(error))))
        return
    for resolution in plan.resolutions:
        arms = [arm for r, arm in wanted if r == resolution]
        if arms:
            question, picture, spec = _at(item, whole, resolution, plan.source, setting.spec)
        for arm in arms:
            cell = partial(Record, arm, resolution, seed, group)
            chosen = replace(setting, spec=spec, mode=arm, sampling=replace(setting.sampling, seed=seed))
            try:
                session = Session(name, question, (picture,), chosen, partial(_kept, keep, cell))
            except InvalidBox as error:  # the oracle's box lies outside the picture
                keep(cell(not_asked(name, question, chosen, f"a true box is wrong: {error}")))
                continue
            if item.at is None:  # what is drawn is inside
                session.trace = replace(session.trace, outside=outside(model.info, session.trace, picture))
            yield session


def _kept(keep: Callable[[Record], None], cell: Callable[[Trace], Record], trace: Trace) -> None:
    keep(cell(trace))


def _at(
    item: Item, whole: Picture, resolution: int, source: Source, spec: ViewSpec
) -> tuple[Question, Picture, ViewSpec]:
    """The question, the picture and the view rules at a resolution; `whole` is the picture as it is."""
    image, picture = whole.image, whole
    size, factor = boxes.shrink(image.size, resolution or max(image.size))
    question, native = _with_true_boxes(item.question), spec
    if source == "resized" and size != image.size:
        sx, sy = size[0] / image.width, size[1] / image.height
        picture = Picture(image.resize(size, Image.Resampling.LANCZOS))
        question = replace(question, targets=tuple(boxes.scale(box, sx, sy) for box in question.targets))
    elif source == "original":
        most = min(spec.max_pixels, size[0] * size[1])
        spec, factor = replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most)), 1.0
    first = views.overview(picture.size, spec)
    if item.at is not None:
        question = item.at(first, factor, spec)
    elif (factor, spec) != (1.0, native):
        question = replace(question, depth=None)  # what was needed at another size
    return question, picture, spec


def _with_true_boxes(question: Question) -> Question:
    """A question that asks for a box with its true ones as targets, so that they shrink with the picture."""
    return replace(question, targets=truth_boxes(question)) if metric_of(question) == "iou" else question
