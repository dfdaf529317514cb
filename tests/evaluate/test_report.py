"""The report's figures on runs whose truth is known by construction."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from PIL import Image

from cof.data.example import NATIVE
from cof.errors import InvalidRun
from cof.evaluate.compare import HEADINGS, cells, markdown, read_runs, rows_of
from cof.evaluate.plots import draw
from cof.evaluate.report import report
from cof.evaluate.run import Record
from cof.geometry import Box
from cof.loop.policies.known import policy_named
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.scoring.answers import Score
from cof.types import Question, Stop

PICTURE = Image.new("RGB", (448, 448), "white")
ZOOM = '<think></think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 200, 200]}}</tool_call>'


def record(arm, name, answer, zoom=False, depth=0, resolution=NATIVE, seed=0, group=""):
    """A run in which the truth is always A."""
    lines = [*([ZOOM] if zoom else []), f"<answer>{answer}</answer>"]
    question = Question(name, ("",), "?", (), "A", "direct_attributes", depth, (Box(100, 100, 200, 200),))
    return Record(arm, resolution, seed, group or name, run(ScriptedModel(lines), question, PICTURE, Setting()))


def failed(name="f", arm="own"):
    one = record(arm, name, "A")
    return replace(one, trace=replace(one.trace, turns=(), stop=Stop.FAILED, error="broken"))


def arm_of(records, arm="own"):
    return report(records)["arms"][arm]


def test_gold_is_one_and_nothing_is_zero():
    arm = arm_of([record("own", str(i), "A") for i in range(4)])
    assert (arm["accuracy"], arm["n"], arm["zooms"]) == (1.0, 4, 0)
    assert arm_of([record("own", "q", "B")])["accuracy"] == 0.0


def test_a_failure_is_counted_and_is_no_wrong_answer():
    arm = arm_of([record("own", "q", "A"), failed()])
    assert (arm["accuracy"], arm["n"], arm["failed"], arm["stops"]) == (1.0, 1, 1, {"answer": 1, "failed": 1})


def test_the_mean_of_categories_weighs_each_the_same():
    rare = record("own", "r", "B")
    rare = replace(rare, trace=replace(rare.trace, question=replace(rare.trace.question, category="rare")))
    figures = report([*(record("own", str(i), "A") for i in range(3)), rare])
    assert figures["arms"]["own"]["accuracy"] == 0.75
    assert figures["arms"]["own"]["category_mean"] == 0.5
    assert ("mean of categories", "50.0") in {(c["group"], c["accuracy %"]) for c in map(cells, rows_of("r", figures))}
    bare = replace(rare, trace=replace(rare.trace, question=replace(rare.trace.question, id="bare", category=None)))
    rows = [cells(row) for row in rows_of("r", report([rare, bare]))]
    assert ("mean of categories", "1") in {(row["group"], row["n"]) for row in rows}
    assert "no category" in {row["group"] for row in rows}


def test_zooms_boxes_and_depths():
    arm = arm_of([record("own", "q", "A", zoom=True, depth=1), record("own", "r", "B")])
    assert arm["box_iou"] == pytest.approx(1.0)
    assert arm["by_depth"]["1"]["zooms"] == 1
    assert arm["by_depth"]["0"]["accuracy"] == 0.0
    assert arm["zoomed"] == 0.5
    assert arm["visual_tokens"] == pytest.approx(256 + 36 / 2)


def test_nothing_measured_is_none():
    arm = arm_of([failed()])
    assert arm["accuracy"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for value in arm.values())


def test_a_question_counts_once_however_often_it_is_asked():
    """Four option cycles at two resolutions with two seeds: one question, by its mean."""
    asked = [
        record("own", f"q-{cycle}", "A" if cycle else "B", resolution=side, seed=seed, group="q")
        for cycle in range(4)
        for side in (224, 448)
        for seed in (0, 1)
    ]
    arm = arm_of(asked)
    assert (arm["accuracy"], arm["n"], arm["samples"]) == (0.75, 1, 16)
    assert arm["by_resolution"]["224"]["samples"] == 8
    assert list(arm["by_resolution"]) == ["224", "448"]


def test_mcc_compares_zooming_with_the_depth_that_is_known():
    right = [record("own", str(n), "A", zoom=n > 2, depth=int(n > 2)) for n in range(6)]
    assert arm_of(right)["mcc"] == pytest.approx(1.0)
    wrong = [record("own", str(n), "A", zoom=n > 2, depth=int(n <= 2)) for n in range(6)]
    assert arm_of(wrong)["mcc"] == pytest.approx(-1.0)
    assert arm_of([record("own", "q", "A", zoom=True)])["mcc"] is None


def test_without_a_known_depth_a_zoom_was_needed_where_direct_was_wrong():
    asked = []
    for n in range(4):
        asked.append(record("direct", str(n), "A" if n < 2 else "B", depth=None))
        asked.append(record("own", str(n), "A", zoom=n >= 2, depth=None))
    assert arm_of(asked)["mcc"] == pytest.approx(1.0)


def test_gain_harm_and_the_paired_difference():
    """Ten questions: zooming rescues three that direct got wrong, and spoils one that it got right."""
    asked = []
    for n in range(10):
        rescued, spoiled = n < 3, n == 3
        asked.append(record("direct", str(n), "B" if rescued else "A"))
        asked.append(record("own", str(n), "B" if spoiled else "A", zoom=rescued or spoiled))
    found = report(asked)
    own, pair = found["arms"]["own"], found["pairs"]["own-direct"]
    assert (own["gain"], own["harm"]) == (0.3, 0.1)
    assert pair["difference"] == pytest.approx(0.2)
    assert pair["low"] < 0.2 < pair["high"]
    assert pair["n"] == 10
    assert list(found["pairs"]) == ["own-direct"]
    assert report(asked) == found


def test_gain_and_harm_are_of_samples_that_zoomed():
    """Without a zoom nothing was gained or lost by one, however the answers differ."""
    asked = []
    for n, (before, after) in enumerate(("BA", "BA", "AB", "BA")):
        asked.append(record("direct", str(n), before))
        asked.append(record("own", str(n), after, zoom=n == 3))
    own = arm_of(asked)
    assert (own["gain"], own["harm"]) == (0.25, 0.0)


def measured(arm, name, answer, metric, truth="exit 24", zoom=False, **options):
    """A run whose question has another metric; boxes are in pixels of the overview, which is the picture's own size."""
    one = record(arm, name, answer, zoom, **options)
    question = replace(one.trace.question, answer=truth, metric=metric, depth=None)
    return replace(one, trace=replace(one.trace, question=question))


ANLS = [("exit 24", 1.0), ("exit 21", 6 / 7), ("closed", 0.0), ("exxx 24", 5 / 7)]


def test_a_graded_metric_is_a_mean_with_its_name():
    asked = [measured("own", str(n), answer, "anls") for n, (answer, _) in enumerate(ANLS)]
    arm = arm_of(asked)
    mean = sum(value for _, value in ANLS) / 4
    assert (arm["metric"], arm["n"], arm["right"]) == ("anls", 4, 0.75)
    assert arm["accuracy"] == pytest.approx(mean)
    assert arm["low"] < mean < arm["high"]
    assert arm["read_by"] == {"anls": 4}
    assert arm["by_metric"]["anls"]["accuracy"] == pytest.approx(mean)
    assert arm_of([*asked, failed()])["failed"] == 1
    row = rows_of("r", report(asked))[0]
    assert cells(row)["accuracy %"] == "64.3 anls"
    assert cells(row)["right %"] == "75.0"


def test_gold_is_one_and_nothing_is_zero_by_every_metric():
    golds = {"match": "exit 24", "anls": "exit 24", "relaxed": "24", "iou": "[100, 100, 200, 200]"}
    for metric, gold in golds.items():
        best = arm_of([measured("own", "q", gold, metric, gold)])
        assert (best["accuracy"], best["right"], best["metric"]) == (1.0, 1.0, metric)
        none = measured("own", "q", gold, metric, gold)
        none = replace(none, trace=replace(none.trace, turns=(), stop=Stop.TURNS))
        assert (arm_of([none])["accuracy"], arm_of([none])["n"]) == (0.0, 1)


def test_a_box_is_right_from_an_iou_of_a_half():
    said = ("[100, 100, 200, 200]", "[100, 100, 200, 160]", "[100, 100, 200, 140]", "nowhere")
    arm = arm_of([measured("own", str(n), text, "iou") for n, text in enumerate(said)])
    assert arm["accuracy"] == pytest.approx(0.5)
    assert arm["right"] == 0.5
    assert arm["read_by"] == {"box": 3, "none": 1}


def test_several_metrics_are_told_apart():
    asked = [measured("own", "a", "exit 21", "anls"), record("own", "b", "A"), record("own", "c", "B")]
    found = report(asked)
    arm = found["arms"]["own"]
    assert arm["metric"] == "anls, match"
    assert {name: part["accuracy"] for name, part in arm["by_metric"].items()} == {
        "anls": pytest.approx(6 / 7),
        "match": 0.5,
    }
    told = {row.heading: cells(row)["accuracy %"] for row in rows_of("r", found)}
    assert (told["all"], told["anls"], told["match"]) == ("61.9 anls, match", "85.7 anls", "50.0")


def test_gain_harm_and_need_begin_at_a_half():
    """Zooming lifts an answer from 0 to 6/7, and one from 6/7 to 1, which was right before."""
    asked = [
        measured("direct", "a", "closed", "anls"),
        measured("own", "a", "exit 21", "anls", zoom=True),
        measured("direct", "b", "exit 21", "anls"),
        measured("own", "b", "exit 24", "anls", zoom=True),
        measured("direct", "c", "exit 24", "anls"),
        measured("own", "c", "closed", "anls", zoom=True),
        measured("direct", "d", "exit 24", "anls"),
        measured("own", "d", "exit 24", "anls"),
    ]
    found = report(asked)
    own = found["arms"]["own"]
    assert (own["gain"], own["harm"]) == (0.25, 0.25)
    assert own["mcc"] == pytest.approx(1 / 3)
    assert found["pairs"]["own-direct"]["difference"] == pytest.approx((6 / 7 + 1 / 7 - 1) / 4)


def test_further_true_answers_are_right_in_a_report():
    one = record("own", "q", "Alpha")
    assert arm_of([one])["accuracy"] == 0.0
    question = replace(one.trace.question, aliases=("alpha", "the first letter"))
    assert arm_of([replace(one, trace=replace(one.trace, question=question))])["accuracy"] == 1.0


def test_what_no_judge_could_tell_is_counted_and_is_no_score():
    asked = [record("own", str(n), "B" if n else "A") for n in range(4)]
    silent = report(asked, lambda _question, answer: Score(1.0 if answer == "A" else None, "judge"))
    arm = silent["arms"]["own"]
    assert (arm["accuracy"], arm["n"], arm["unscored"]) == (1.0, 1, 3)


def test_the_given_looks_of_the_oracle_are_not_the_models():
    asked = Question("q", ("",), "?", (), "A", "direct_attributes", 1, (Box(100, 100, 200, 200),))
    trace = run(ScriptedModel(["<answer>A</answer>"]), asked, PICTURE, Setting(policy=policy_named("oracle")))
    arm = arm_of([Record("oracle", NATIVE, 0, "q", trace)], "oracle")
    assert (arm["zooms"], arm["zoomed"], arm["box_iou"], arm["target_iou"]) == (0, 0, None, 0.0)
    assert arm["visual_tokens"] == 256 + 36


def test_tokens_per_right_answer():
    arm = arm_of([record("own", "q", "A"), record("own", "r", "B")])
    each = arm["visual_tokens"] + arm["text_tokens"]
    assert arm["tokens_per_right"] == pytest.approx(2 * each)
    assert arm_of([record("own", "r", "B")])["tokens_per_right"] is None
    assert arm_of([record("own", "q", "A"), record("own", "r", "A")])["tokens_per_right"] == pytest.approx(each)


@pytest.fixture
def runs(tmp_path):
    """Two finished evaluations at two resolutions, one of them under the published protocol."""
    asked = [
        record(arm, str(n), "A" if n else "B", zoom=arm == "own", resolution=side)
        for arm in ("direct", "own")
        for side in (224, 448)
        for n in range(3)
    ]
    figures = report(asked)
    for name, manifest in (("one", {"benchmark": "needle"}), ("two", {"benchmark": "vstar", "source": "resized"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        (tmp_path / name / "report.json").write_text(json.dumps(figures))
        for arm in figures["arms"].values():
            arm["n"] = 191  # as if all of V*Bench had been asked
    return [tmp_path / "one", tmp_path / "two"]


def test_runs_stand_side_by_side_and_published_figures_are_marked(runs):
    rows = read_runs(runs)
    assert {row.run for row in rows[:6]} == {"one"}
    published = [row for row in rows if "(published)" in row.run]
    assert {row.run for row in published} == {"Qwen2.5-VL-7B (published)", "CoF-7B (published)"}
    assert all({*HEADINGS} == {*cells(row)} for row in rows)
    lines = markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert "| 52.9 |" in next(line for line in lines if "Qwen2.5-VL-7B" in line and "448 px" in line)


def test_published_figures_stand_once_and_only_beside_their_protocol(runs):
    assert not any("(published)" in row.run for row in read_runs(runs[:1]))
    once, twice = ([row for row in read_runs(found) if "(published)" in row.run] for found in (runs[1:], [runs[1]] * 2))
    assert len(once) == len(twice) == 14
    path = runs[1] / "report.json"
    figures = json.loads(path.read_text())
    figures["arms"]["own"]["n"] = 190
    path.write_text(json.dumps(figures))
    assert not any("(published)" in row.run for row in read_runs(runs))


def test_a_report_of_another_make_is_one_line(runs):
    (runs[0] / "report.json").write_text('{"arms": {"own": {}}}')
    with pytest.raises(InvalidRun, match="has no 'by_resolution'; write it anew"):
        read_runs(runs)


def test_every_curve_is_drawn_as_png_and_svg(runs, tmp_path):
    written = draw(read_runs(runs), tmp_path)
    assert [path.name for path in written] == [
        f"{name}.{kind}" for name in ("accuracy", "zooms", "tokens") for kind in ("png", "svg")
    ]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in written[1].read_bytes()
    again = draw(read_runs(runs), tmp_path)
    assert [path.stat().st_size for path in again] == [path.stat().st_size for path in written]
    assert draw(rows_of("x", {"arms": {}}), tmp_path) == []
