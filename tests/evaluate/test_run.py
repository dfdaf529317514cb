"""An evaluation fills every cell of its plan once, shows pictures as the plan says, and survives being killed."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof.data.example import Example
from cof.data.worlds import world_of
from cof.errors import InputError, InvalidImage
from cof.evaluate.run import EvaluationPlan, Record, evaluate, records, scored_by
from cof.geometry import Box, ViewSpec
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.runs import RunDir
from cof.scoring.traces import score_trace
from cof.types import Question, Stop
from tests.commands import cof
from tests.killing import run_killed

N = 4
SPEC = ViewSpec()
KILLS = 10
TIMES = ("seconds",)


def examples(seed: int) -> Iterator[Example]:
    return world_of("needle").examples("validation", seed, N, (896,), SPEC)


def run_of(
    folder: Path, plan: EvaluationPlan, found=examples, lines=("<answer>red</answer>",)
) -> tuple[list[Record], ScriptedModel]:
    model = ScriptedModel(lines)
    with RunDir(folder, {}) as run:
        evaluate(model, found, plan, Setting(), run)
        return list(records(folder)), model


def test_every_cell_is_filled_once_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    plan = EvaluationPlan(("direct", "own"), (224, 448), "resized", (1, 2))
    first, asked = run_of(tmp_path / "run", plan)
    assert len(first) == len({record.id for record in first}) == 2 * 2 * 2 * N
    assert len(asked.requests) == len(first)
    again, nothing = run_of(tmp_path / "run", plan)
    assert again == first
    assert nothing.requests == []


def test_a_picture_is_read_once_for_all_its_cells(tmp_path: Path) -> None:
    reads: list[str] = []

    def counted(seed: int) -> Iterator[Example]:
        for example in examples(seed):

            def read(example: Example = example) -> Image.Image:
                reads.append(example.question.id)
                return example.load()

            yield replace(example, load=read)

    run_of(tmp_path / "run", EvaluationPlan(("direct", "own"), (224, 448)), counted)
    assert len(reads) == len({*reads}) == N
    run_of(tmp_path / "run", EvaluationPlan(("direct", "own"), (224, 448)), counted)
    assert len(reads) == N


@pytest.mark.parametrize("source", ["resized", "original"])
@pytest.mark.parametrize("resolution", [0, 224, 448])
@pytest.mark.parametrize("written", [True, False])
def test_a_true_box_shrinks_with_the_picture(tmp_path: Path, source: Any, resolution: int, written: bool) -> None:
    """A box in the middle of what is shown is right at every resolution, whether the truth is text or a target."""
    truth = Box(224, 112, 672, 336)
    asked = Question("q", ("",), "Where?", metric="iou", targets=() if written else (truth,))
    example = Example(
        replace(asked, answer="[224, 112, 672, 336]" if written else None), lambda: Image.new("RGB", (896, 448))
    )
    width, height = {0: (616, 308), 224: (224, 112), 448: (448, 224)}[resolution]  # of the overview
    said = f"<answer>[{width / 4}, {height / 4}, {3 * width / 4}, {3 * height / 4}]</answer>"
    ((record,), _) = run_of(
        tmp_path / "run", EvaluationPlan(("own",), (resolution,), source), lambda _: [example], (said,)
    )
    assert score_trace(record.trace).value == pytest.approx(1.0)


def test_a_metric_must_fit_the_question() -> None:
    def example(**fields: Any) -> Example:
        return Example(Question("q", ("",), "?", **fields), lambda: Image.new("RGB", (8, 8)))

    assert scored_by(example(answer="a"), "anls").question.metric == "anls"
    assert scored_by(example(answer="a", metric="anls"), None).question.metric == "anls"
    assert scored_by(example(answer="a", metric="anls"), "match").question.metric == "match"
    assert scored_by(example(answer="1 2 3 4"), "iou").question.targets == ()
    assert scored_by(example(answer="a", choices=("a", "b")), "match").question.choices == ("a", "b")
    with pytest.raises(InputError, match="'q' has options, which are right or wrong; want the metric 'match'"):
        scored_by(example(answer="a", choices=("a", "b")), "anls")
    with pytest.raises(InputError, match="the truth 'a' is no box"):
        scored_by(example(answer="a"), "iou")
    with pytest.raises(InputError, match="the truth '1, 2, 3' is no box"):
        scored_by(example(answer="1, 2, 3", metric="iou"), None)


@pytest.mark.parametrize(
    ("source", "resolution", "region", "overview", "target"),
    [
        ("resized", 224, (224, 112), (224, 112), Box(10, 5, 20, 10)),
        ("original", 224, (896, 448), (224, 112), Box(40, 20, 80, 40)),
        ("resized", 0, (896, 448), (616, 308), Box(40, 20, 80, 40)),
        ("original", 3840, (896, 448), (616, 308), Box(40, 20, 80, 40)),
    ],
)
def test_what_a_resolution_means(tmp_path, source, resolution, region, overview, target) -> None:
    """A picture of 896 x 448 px: "resized" makes the picture itself smaller, "original" only the overview; never larger."""
    example = Example(Question("q", ("",), "?", targets=(Box(40, 20, 80, 40),)), lambda: Image.new("RGB", (896, 448)))
    ((record,), _) = run_of(tmp_path / "run", EvaluationPlan(("own",), (resolution,), source), lambda _: [example])
    assert record.trace.overview.region == Box(0, 0, *region)
    assert record.trace.overview.size == overview
    assert record.trace.question.targets == (target,)
    assert record.trace.question.depth is None


def test_the_depth_is_that_of_the_resolution(tmp_path: Path) -> None:
    """What is seen at once in a large overview needs a zoom in a small one, and in a small picture no zoom helps."""
    plan = EvaluationPlan(("direct",), (0, 224), "original")
    found, _ = run_of(
        tmp_path / "run", plan, lambda seed: world_of("needle").examples("validation", seed, 12, (896,), SPEC)
    )
    depth = {(record.resolution, record.group): record.trace.question.depth for record in found}
    groups = {record.group for record in found}
    assert all((depth[224, group] or 9) >= (depth[0, group] or 0) for group in groups)
    assert any(depth[224, group] != depth[0, group] for group in groups)


def test_a_picture_that_cannot_be_read_fails_in_every_cell_and_nothing_else_does(tmp_path: Path) -> None:
    def broken() -> Image.Image:
        raise InvalidImage("it is torn")

    def found(seed: int) -> Iterator[Example]:
        yield Example(Question("torn", ("",), "?"), broken)
        yield from examples(seed)

    traces, _ = run_of(tmp_path / "run", EvaluationPlan(("direct", "own")), found)
    failed = [record for record in traces if record.trace.stop is Stop.FAILED]
    assert [(record.group, record.trace.error) for record in failed] == [("torn", "it is torn")] * 2
    assert len(traces) == 2 * (N + 1)


def test_a_picture_that_cannot_be_read_is_not_tried_again(tmp_path: Path) -> None:
    reads = list[str]()

    def broken() -> Image.Image:
        reads.append("torn")
        raise InvalidImage("it is torn")

    def found(_: int) -> Iterator[Example]:
        yield Example(Question("torn", ("",), "?"), broken)

    first, _ = run_of(tmp_path / "run", EvaluationPlan(("direct", "own")), found)
    again, _ = run_of(tmp_path / "run", EvaluationPlan(("direct", "own")), found)
    assert reads == ["torn"]
    assert again == first
    assert len(first) == 2


def command(out: Path) -> list[str]:
    options = ["--n", "6", "--side", "448", "--resolutions", "224,448", "--concurrency", "2", "--out", str(out)]
    return ["eval", "needle", *options]


def untimed(report: object) -> object:
    """The report without times."""
    match report:
        case dict():
            return {key: untimed(value) for key, value in report.items() if key not in TIMES}
        case _:
            return report


@pytest.mark.long
def test_an_evaluation_killed_at_random_moments_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    """Killed at ten random counts of journaled lines; the reports agree byte for byte but for times."""
    assert cof(*command(tmp_path / "whole")).returncode == 0
    moments = sorted(random.Random(0).sample(range(24), KILLS))
    run_killed(
        [sys.executable, "-m", "cof", *command(tmp_path / "broken")], tmp_path / "broken" / "traces.jsonl", moments
    )
    reports = [
        json.dumps(untimed(json.loads((tmp_path / name / "report.json").read_text()))) for name in ("whole", "broken")
    ]
    assert reports[0] == reports[1]
    assert json.loads(reports[0])["arms"]["own"]["samples"] == 12


@pytest.mark.long
def test_a_run_with_other_settings_does_not_mix(tmp_path: Path) -> None:
    assert cof(*command(tmp_path / "run")).returncode == 0
    other = cof(*command(tmp_path / "run"), "--budget", 64)
    assert other.returncode == 2
    assert "has other settings: setting.spec.max_pixels" in other.stderr
