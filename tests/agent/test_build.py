"""Builds: what is kept and why not, the same however often it was killed, whoever was faster."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cof.agent.build import build, publish_kept
from cof.agent.calls import Actors, Cost, Locate, Read, Reply, RoleCall, Summarise, Try
from cof.agent.ground import ground
from cof.agent.search import search
from cof.agent.sources import Drawn, count, file_examples, world_examples
from cof.agent.trajectory import Rules
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.data.filters import Filters
from cof.data.formats import write_sharegpt
from cof.data.traces import read_kept
from cof.data.worlds import world_of
from cof.errors import ModelError
from cof.geometry import ViewSpec
from cof.needle.experts import Experts
from cof.needle.questions import route
from cof.needle.samples import samples, truth_of, write
from cof.plain import trace_from_json
from cof.runs import RunDir, read_records
from tests.killing import run_killed

NEEDLE = world_of("needle")
RULES, SPEC = Rules(grid=4), ViewSpec()
KILLS = 10
TIMES = {"seconds"}


def built(
    folder: Path, players: Actors, count: int = 40, concurrency: int = 1, most_calls: int | None = None, method=search
):
    with RunDir(folder, {}) as run:
        build(players, world_examples(NEEDLE, Drawn(count), SPEC), RULES, run, method, concurrency, most_calls)
        return publish_kept(run, Filters())


def published(folder: Path) -> tuple[bytes, dict]:
    stats = json.loads((folder / "stats.json").read_text())
    return (folder / "traces.jsonl").read_bytes(), {k: v for k, v in stats.items() if k not in TIMES}


@pytest.mark.long
def test_experts_who_err_leave_right_trajectories(tmp_path):
    stats = built(tmp_path / "run", Experts(0.2), 300)
    assert stats["asked"] == 300
    assert stats["kept"] + sum(stats["dropped"].values()) == 300
    assert stats["kept"] > 200
    assert 0.7 < stats["box_precision_proposed"] < 0.9
    assert stats["box_precision_kept"] >= 0.97
    assert stats["answer_precision_kept"] >= 0.97
    assert set(stats["zooms"]) == {"0", "1", "2"}


def test_experts_who_never_err_keep_all_at_the_depth_that_is_needed(tmp_path):
    stats = built(tmp_path / "run", Experts(0.0), 60)
    assert stats["kept"] == 60 - stats["dropped"]["answer in the question"]
    assert stats["box_precision_proposed"] == stats["box_precision_kept"] == 1.0
    needed = {sample.question.id: sample.question.depth for sample in samples("train", 0, 60, 1792, SPEC)}
    for record in read_records(tmp_path / "run" / "traces.jsonl"):
        assert trace_from_json(record["trace"]).zooms == needed[record["id"]]


@pytest.mark.long
def test_plain_thoughts_are_grounded(tmp_path):
    stats = built(tmp_path / "exact", Experts(0.0), 60, method=ground)
    assert stats["kept"] == 60 - stats["dropped"]["answer in the question"]
    stats = built(tmp_path / "erring", Experts(0.2), 200, method=ground)
    assert stats["kept"] > 150
    assert stats["box_precision_kept"] >= 0.97
    assert stats["box_precision_proposed"] < 0.9
    assert stats["answer_precision_kept"] >= 0.97
    assert set(stats["zooms"]) == {"0", "1", "2"}


@pytest.mark.long
def test_a_small_overview_needs_more_looks(tmp_path):
    with RunDir(tmp_path / "run", {}) as run:
        build(Experts(0.0), world_examples(NEEDLE, Drawn(300), SPEC, (64, 256)), RULES, run)
        publish_kept(run, Filters())
    found = {record["id"]: record for record in read_records(tmp_path / "run" / "searches.jsonl")}
    pairs = [(found[name], found[name.replace("@64", "@256")]) for name in found if name.endswith("@64")]
    assert sum(small["pass_rate"] for small, _ in pairs) < sum(large["pass_rate"] for _, large in pairs)
    both = [[trace_from_json(record["trace"]).zooms for record in pair] for pair in pairs if pair[0]["trace"]]
    assert all(small >= large for small, large in both)
    assert any(small > large for small, large in both)


def test_the_depth_of_a_trace_is_that_of_its_own_overview(tmp_path):
    with RunDir(tmp_path / "run", {}) as run:
        build(Experts(0.0), world_examples(NEEDLE, Drawn(20), SPEC, (64, 256, 1024)), RULES, run)
        publish_kept(run, Filters())
    needles = {sample.question.id: sample for sample in samples("train", 0, 20, 1792, SPEC)}
    traces = [each.trace for each in read_kept(tmp_path / "run")]
    paths = {
        trace.id: route(needles[trace.id.split("@")[0]].truth.needle, trace.overview, 1792, trace.spec)
        for trace in traces
    }
    assert all(trace.question.depth == trace.zooms == len(paths[trace.id]) for trace in traces)
    assert all(trace.question.targets == paths[trace.id] for trace in traces if trace.zooms)
    picked = [needles[trace.id.split("@")[0]].question.depth for trace in traces]
    assert sum(trace.question.depth != depth for trace, depth in zip(traces, picked, strict=True)) >= 5


@pytest.mark.parametrize("budgets", [(), (64,), (256,), (64, 1024)])
def test_a_question_has_the_depth_of_each_budget_and_none_where_no_zoom_helps(budgets):
    needles = {sample.question.id: sample for sample in samples("train", 0, 60, 1792, SPEC)}
    for example in world_examples(NEEDLE, Drawn(60), SPEC, budgets):
        sample = needles[example.question.id.split("@")[0]]
        path = route(truth_of(sample).needle, example.overview, 1792, example.spec)
        assert example.question.depth == (None if path is None else len(path))
        assert example.question.targets == (
            sample.question.targets if path is None else path or example.question.targets
        )
        assert example.question.targets


def test_a_question_of_a_file_has_no_depth_at_another_budget(tmp_path):
    assert {example.question.depth for example in file_examples(source("vstar", tmp_path), SPEC, (64, 256))} == {None}


def test_pictures_take_several_sides_in_turn():
    examples = list(world_examples(NEEDLE, Drawn(12, sides=(448, 896)), SPEC))
    assert {max(example.size) for example in examples} == {448, 896}
    assert len({example.question.id for example in examples}) == 12


def test_what_ends_first_does_not_matter(tmp_path):
    class Slow(Experts):
        def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
            time.sleep(random.random() * 0.002)
            return super().play(example, call, cost)

    built(tmp_path / "one", Experts(0.2))
    built(tmp_path / "eight", Slow(0.2), concurrency=8)
    assert published(tmp_path / "one") == published(tmp_path / "eight")


@pytest.mark.long
def test_a_build_killed_at_random_moments_publishes_the_same(tmp_path):
    def command(out: Path) -> list[str]:
        options = ["--n", "300", "--concurrency", "8", "--expert-error", "0.2", "--out", str(out)]
        return [sys.executable, "-m", "cof", "data", "build", *options]

    run_killed(command(tmp_path / "whole"), tmp_path / "none", [])
    moments = sorted(random.Random(0).sample(range(290), KILLS))
    killed = run_killed(command(tmp_path / "broken"), tmp_path / "broken" / "searches.jsonl", moments)
    assert killed >= KILLS - 2
    assert published(tmp_path / "whole") == published(tmp_path / "broken")


def test_what_breaks_is_counted_and_tried_again(tmp_path):
    class Breaking(Experts):
        def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
            if isinstance(call, Locate):
                raise ModelError("the server is gone")
            return super().play(example, call, cost)

    broken = built(tmp_path / "run", Breaking(0.0))
    assert 0 < broken["dropped"]["failed"] < 40
    assert broken["asked"] == 40 - broken["dropped"]["failed"]
    mended = built(tmp_path / "run", Experts(0.0))
    assert (mended["asked"], mended["dropped"]["failed"]) == (40, 0)
    assert mended["calls"] > broken["calls"]


def test_a_cap_on_calls_ends_a_build_that_can_go_on(tmp_path):
    some = built(tmp_path / "run", Experts(0.2), most_calls=200)
    assert 200 <= some["calls"] < 400
    assert some["asked"] < 40
    built(tmp_path / "run", Experts(0.2))
    built(tmp_path / "whole", Experts(0.2))
    assert published(tmp_path / "run") == published(tmp_path / "whole")


def test_tasks_are_taken_as_there_is_room(tmp_path):
    taken, ended, most = 0, 0, 0

    def asked():
        nonlocal taken, most
        for example in world_examples(NEEDLE, Drawn(40), SPEC):
            taken += 1
            most = max(most, taken - ended)
            yield example

    def on_end():
        nonlocal ended
        ended += 1

    with RunDir(tmp_path / "run", {}) as run:
        build(Experts(0.2), asked(), RULES, run, concurrency=3, on_end=on_end)
    assert (taken, ended) == (40, 40)
    assert most <= 3


def test_what_went_well_is_kept_where_something_breaks(tmp_path):
    class Broken(Experts):
        def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
            if example.question.id == "train-7-1792":
                raise AssertionError("a fault of ours")
            return super().play(example, call, cost)

    with RunDir(tmp_path / "run", {}) as run, pytest.raises(AssertionError, match="a fault of ours"):
        build(Broken(0.0), world_examples(NEEDLE, Drawn(40), SPEC), RULES, run, concurrency=2)
    done = [record["id"] for record in read_records(tmp_path / "run" / "searches.jsonl")]
    assert len(done) >= 5
    built(tmp_path / "run", Experts(0.0))
    built(tmp_path / "whole", Experts(0.0))
    assert published(tmp_path / "run")[0] == published(tmp_path / "whole")[0]


def source(form: str, folder: Path) -> Path:
    """Four questions with answers, and one without, about pictures of 448 x 448 pixels."""
    folder.mkdir(exist_ok=True)
    write(samples("train", 0, 4, 448, SPEC), folder / "world")
    if form == "vstar":
        return folder / "world"
    pictures = sorted((folder / "world").rglob("*.jpg"))
    rows: list[dict[str, Any]] = [
        {"question": "What letter?", "image": str(path), "answer": "A"} for path in [*pictures]
    ]
    rows.insert(0, {"question": "What?", "image": str(pictures[0]), "answer": None})
    match form:
        case "jsonl":
            (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            return folder / "asked.jsonl"
        case "sharegpt":
            said = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "<answer>A</answer>"}]
            talks = [{"messages": said, "images": [str(path)]} for path in pictures]
            (folder / "asked.json").write_text(json.dumps(talks))
            return folder / "asked.json"
    datasets = pytest.importorskip("datasets")
    for row in rows:
        row["image"] = {"bytes": Path(row["image"]).read_bytes(), "path": None}
    found = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    if form == "arrow":
        found.save_to_disk(folder / "saved")
    else:
        found.to_parquet(folder / "saved" / "train.parquet")
    return folder / "saved"


@pytest.mark.parametrize("form", ["vstar", "jsonl", "sharegpt", "arrow", "parquet"])
def test_questions_come_from_files_too(tmp_path, form):
    left_out = LeftOut()
    examples = list(file_examples(source(form, tmp_path), SPEC, (256, 64), left_out=left_out))
    assert len(left_out) == (form not in ("vstar", "sharegpt"))  # the question without an answer
    assert [example.overview.size for example in examples] == [(448, 448), (224, 224)] * 4
    assert len({example.question.id for example in examples}) == 8
    assert all(example.picture.size == example.size == (448, 448) for example in examples)
    assert count(source(form, tmp_path / "again")) == 4


class Right:
    """Actors who find the answer at once."""

    def play(self, example: Example, call: RoleCall, _ledger: Cost) -> Reply:
        match call:
            case Summarise(chain):
                return ("I look there.",) * len(chain) + ("I see it.",)
            case Try() | Read():
                return example.question.answer
            case _:
                raise AssertionError(call)


@pytest.mark.parametrize("form", ["vstar", "jsonl", "sharegpt", "arrow", "parquet"])
def test_what_is_built_from_any_source_can_be_converted(tmp_path, form):
    """A picture inside a table gets a file of its own."""
    with RunDir(tmp_path / "run", {}) as run:
        build(Right(), file_examples(source(form, tmp_path), SPEC, left_out=LeftOut()), Rules(), run)
        publish_kept(run, Filters())
    kept = [each.trace for each in read_kept(tmp_path / "run")]
    assert kept
    assert write_sharegpt(kept, tmp_path / "form") == len(kept)
    assert (tmp_path / "run" / "images").exists() == (form in ("arrow", "parquet"))
