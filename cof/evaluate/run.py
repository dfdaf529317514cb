"""Runs a model over a benchmark by a plan, and keeps every trace as it ends: a killed evaluation goes on where it was.

A picture is read once for all resolutions and arms, and a view of it rendered once for each resolution. What a question is at
a resolution is decided by `Example.at`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cof.data.example import NATIVE, Example, Source, with_true_boxes
from cof.data.outside import outside
from cof.errors import InputError, InvalidBox, InvalidImage, InvalidRun, MissingExtra
from cof.loop.policies.known import DIRECT, OWN, policy_named
from cof.loop.run import not_asked
from cof.loop.session import NO_VIEW, Session
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.plain import POLICY_OF_MODE, to_json, trace_from_json
from cof.runs import RunDir, read_records
from cof.scoring.answers import metric_of
from cof.trace import Trace
from cof.types import Metric, Stop


@dataclass(frozen=True)
class EvaluationPlan:
    """What is asked of every example, in each of the `arms`, which are policies by name.

    `resolutions` are longer sides in pixels, or NATIVE; pictures are never enlarged. `source` is as in `Example.at`. Every
    question is asked once for each of `seeds`.
    """

    arms: tuple[str, ...] = (DIRECT, OWN)
    resolutions: tuple[int, ...] = (NATIVE,)
    source: Source = "original"
    seeds: tuple[int, ...] = (0,)


Asked = tuple[int, int, str]  # resolution, seed, id of the question


@dataclass(frozen=True)
class Record:
    """One trace of an evaluation, and which cell of the plan it fills. `group` names the question that it counts for."""

    arm: str
    resolution: int
    seed: int
    group: str
    trace: Trace

    @property
    def id(self) -> str:
        """The record's name in its run: arm, resolution, seed and question."""
        return _id(self.arm, self.resolution, self.seed, self.trace.id)

    @property
    def asked(self) -> Asked:
        """What was asked, whichever the arm."""
        return self.resolution, self.seed, self.trace.id


def evaluate(
    model: Model,
    examples: Callable[[int], Iterable[Example]],
    plan: EvaluationPlan,
    setting: Setting,
    run: RunDir,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> None:
    """Journal one trace for every cell of `plan` and example of `examples(seed)` in `run`, skipping those that are there.

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
            for example in examples(seed):
                yield from _sessions(model, example, seed, plan, setting, traces.done, keep)

    model.converse(sessions())


def scored_by(example: Example, metric: Metric | None) -> Example:
    """The example with another metric than its own, where one is given. Raises InputError where its truth does not fit it."""
    question = example.question if metric is None else replace(example.question, metric=metric)
    if metric not in (None, metric_of(question)):
        raise InputError(f"question {question.id!r} has options, which are right or wrong; want the metric 'match'")
    with_true_boxes(question)
    return replace(example, question=question)


def records(folder: Path) -> Iterator[Record]:
    """What was journaled so far in a run folder: the trace of every cell, or its last failure where there is none."""
    done = set[str]()
    for found in read_records(folder / "traces.jsonl"):
        done.add(found["id"])
        yield _record(found)
    failed = {record.id: record for record in map(_record, read_records(folder / "failures.jsonl"))}
    yield from (record for name, record in failed.items() if name not in done)


def _id(arm: str, resolution: int, seed: int, question: str) -> str:
    return f"{arm}/{resolution}/{seed}/{question}"


def _record(found: Mapping[str, Any]) -> Record:
    try:
        arm = POLICY_OF_MODE.get(found["arm"], found["arm"])
        return Record(arm, found["resolution"], found["seed"], found["group"], trace_from_json(found["trace"]))
    except KeyError as error:
        raise InvalidRun(
            f"a record of the evaluation ({found.get('id')}) has no {error}; want what `cof eval` wrote"
        ) from None


def _sessions(
    model: Model,
    example: Example,
    seed: int,
    plan: EvaluationPlan,
    setting: Setting,
    done: set[str | int],
    keep: Callable[[Record], None],
) -> Iterator[Session]:
    """A session for every cell of the plan that is not done; the picture is read when the first one is wanted."""
    asked = example.question
    wanted = [(r, a) for r in plan.resolutions for a in plan.arms if _id(a, r, seed, asked.id) not in done]
    if not wanted:
        return
    group, name = example.group or asked.id, model.info.name
    try:
        example.pictures  # noqa: B018  read here, where one that cannot be read is recorded
    except (InvalidImage, MissingExtra) as error:
        for resolution, arm in wanted:
            keep(Record(arm, resolution, seed, group, not_asked(name, asked, setting, str(error))))
        return
    for resolution in plan.resolutions:
        arms = [arm for r, arm in wanted if r == resolution]
        shown = example.at(setting.spec, resolution, plan.source)
        for arm in arms:
            cell = partial(Record, arm, resolution, seed, group)
            chosen = replace(
                setting, spec=shown.spec, policy=policy_named(arm), sampling=replace(setting.sampling, seed=seed)
            )
            try:
                session = Session(name, shown.question, shown.pictures, chosen, partial(_kept, keep, cell))
            except InvalidBox as error:  # the oracle's box lies outside the picture
                wrong = (
                    f"{'a true box' if chosen.policy.needs_targets else f'a box of the policy {arm}'} is wrong: {error}"
                )
                keep(cell(not_asked(name, shown.question, chosen, wrong)))
                continue
            if example.truth is None:  # what is drawn is inside
                session.mark_outside(outside(model.info, session.trace, shown.picture))
            yield session


def _kept(keep: Callable[[Record], None], cell: Callable[[Trace], Record], trace: Trace) -> None:
    keep(cell(trace))
