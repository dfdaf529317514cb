"""Tables of evaluations on the terminal: every figure is there, and no line is longer than 80 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from cof.cli.tables import WIDTH, own_pairs, pair_line, print_brief, print_details, run_pairs
from cof.evaluate.compare import cells, read_runs, rows_of
from cof.evaluate.pairs import Pair
from cof.evaluate.published import VSTAR_N

LARGE: dict[str, Any] = {  # figures as wide as they become
    "metric": "match",
    "accuracy": 1.0,
    "right": 0.9999,
    "low": 0.9996,
    "high": 1.0,
    "n": 23609,
    "samples": 23609,
    "failed": 23609,
    "unscored": 23609,
    "zooms": 12.34,
    "zoomed": 1.0,
    "visual_tokens": 19616.4,
    "text_tokens": 16384.0,
    "tokens_per_right": 1234567.0,
    "seconds": 3.0,
    "mcc": -0.99,
    "gain": 0.9999,
    "harm": 0.9998,
    "box_iou": 0.97,
    "target_iou": 0.98,
    "stops": {"answer": 20000, "pixels": 3609},
    "read_by": {"exact": 20000, "letter": 3609},
}
LONG = "Perception/OCR with Complex Context, and more words than any column has room for in one line"
NAMES = ("direct_attributes", LONG, "类别" * 30, "[red]x[/red]\x1b[2J", "no_space_" * 12)
EVERY = ("n", "accuracy %", "95% interval", "right %", "zooms", "zoomed %", "MCC", "gain %", "harm %", "visual tokens")
REST = ("text tokens", "tokens / right", "box IoU", "target IoU", "unscored", "failed")


def arm(**changes: Any) -> dict[str, Any]:
    one = LARGE | changes
    return {
        **one,
        "category_mean": 0.5,
        "by_resolution": {"224": one, "3840": one},
        "by_category": dict.fromkeys(NAMES, one),
        "by_depth": {"None": one, "1": one},
        "by_tag": {"tag": one, "other": one},
        "by_metric": {"anls": one | {"metric": "anls"}, "relaxed": one | {"metric": "relaxed"}},
    }


def report(**changes: Any) -> dict[str, Any]:
    pair = {"difference": 0.046, "low": 0.011, "high": 0.08, "n": 150}
    return {"arms": {"direct": arm(**changes), "own": arm(**changes)}, "pairs": {"own-direct": pair}}


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().out
    assert max(map(cell_len, text.splitlines())) <= WIDTH
    assert "…" not in text
    assert "\x1b" not in text
    return text


def test_an_evaluation_is_one_line_an_arm_and_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    figures = report(accuracy=0.447, low=0.369, high=0.527, n=150, unscored=0, failed=2, zooms=0.8, visual_tokens=301)
    print_brief(rows_of("r", figures), own_pairs("", figures), named=False)
    assert shown(capsys).splitlines() == [
        "             accuracy           95%         visual",
        "arm       n         %      interval  zooms  tokens  failed",
        "direct  150      44.7  36.9 to 52.7   0.80     301       2",
        "own     150      44.7  36.9 to 52.7   0.80     301       2",
        "",
        "own - direct: +4.6 points (1.1 to 8.0), n = 150",
    ]


@pytest.mark.parametrize("metric", ["match", "relaxed", "anls, iou, match, relaxed"])
def test_every_figure_is_there_within_80_columns(metric: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures = report(metric=metric)
    rows = [*rows_of("x" * 200, figures), *rows_of(LONG, figures)]
    print_brief(rows, own_pairs(LONG, figures), named=True)
    print_details(rows, named=True)
    text = shown(capsys)
    whole = text.replace("\n", "").replace(" ", "")
    assert "x" * 200 in whole
    assert LONG.replace(" ", "") in whole
    assert "[red]x[/red]\\x1b[2J" in whole
    found = cells(rows[0])
    for name in (*EVERY, *REST):
        assert found[name].split(",")[0].split(" a")[0] in text, name
    assert ("mixed" in text) == ("," in metric)


@pytest.mark.parametrize(
    "name",
    ["", " ", " " * 200 + "x", "\n\n\x85\x1cx", "\ud800", "a\u202eb", "x\u0301" * 90, "e\x1b]0;t\x07", "👩‍👩‍👧" * 40],
)
def test_an_odd_name_breaks_no_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures = report()
    figures["arms"] = {name or "arm": figures["arms"]["own"]}
    figures["arms"][name or "arm"]["by_category"] = {name: LARGE, "other": LARGE}
    for named in (False, True):
        rows = rows_of(name, figures)
        print_brief(rows, own_pairs(name, figures), named)
        print_details(rows, named)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", shown(capsys))


def test_columns_without_a_figure_are_left_out_of_details(capsys: pytest.CaptureFixture[str]) -> None:
    none = {
        "zooms": 0.0,
        "zoomed": 0.0,
        "gain": 0.0,
        "harm": None,
        "mcc": None,
        "box_iou": None,
        "unscored": 0,
        "failed": 0,
    }
    figures = report(**none, right=1.0)
    print_details(rows_of("r", figures), named=False)
    text = shown(capsys)
    for heading in ("zooms", "zoomed", "gain", "harm", "MCC", "box", "unscored", "failed", "right  "):
        assert heading not in text
    assert "visual" in text


def test_what_is_not_scored_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    figures = report(unscored=7)
    print_brief(rows_of("r", figures), (), named=False)
    assert "direct: 7 answers are not scored: they have no truth, or no verdict of the judge" in shown(capsys)


def test_details_say_why_runs_stopped_and_leave_out_groups_without_figures(capsys: pytest.CaptureFixture[str]) -> None:
    figures = report(unscored=7)
    rows = rows_of("mine", figures)
    print_brief(rows, (), named=True)
    assert "mine direct: 7 answers are not scored" in shown(capsys)
    print_details(rows, named=False)
    text = shown(capsys)
    assert "stops: answer 20000, pixels 3609" in text
    assert "read by: exact 20000, letter 3609" in text
    assert text.count("mean of") == 2  # once for each arm: it has no figures of zooms


def test_runs_are_headings_and_their_resolutions_are_details(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [Pair("after", "before", "own", heading, 90, 100, -0.0001, -0.08, 0.0301) for heading in ("all", "224 px")]
    first, second = run_pairs(pairs, details=True)
    assert first == "after - before, own: +0.0 points (-8.0 to 3.0), n = 90 of 100"
    assert second.startswith("after - before, own at 224 px: ")
    assert run_pairs(pairs, details=False) == [first]
    rows = [*rows_of("before", report()), *rows_of("after", report())]
    print_brief(rows, [first], named=True)
    labels = [line.split()[0] for line in shown(capsys).splitlines()[2:8]]
    assert labels == ["before", "direct", "own", "after", "direct", "own"]
    assert (
        pair_line("a", {"difference": 0.1, "low": 0.0, "high": 0.2, "n": 5}, 5)
        == "a: +10.0 points (0.0 to 20.0), n = 5"
    )


def test_published_figures_are_a_detail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"benchmark": "vstar", "source": "resized"}))
    (tmp_path / "report.json").write_text(json.dumps(report(n=VSTAR_N)))
    rows: Sequence[Any] = read_runs([tmp_path])
    print_brief(rows, (), named=False)
    brief = shown(capsys)
    assert "Published figures of the same protocol: --details shows them." in brief
    assert "CoF-7B" not in brief
    print_details(rows, named=False)
    details = shown(capsys)
    assert "CoF-7B (published), own" in details
    assert re.search(r"2560 px +191 +89\.5 ", details)
