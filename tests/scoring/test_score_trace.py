"""The answer of a whole trace: boxes in the frame of its dialect, and whether it is one of the choices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from cof.geometry import Box, ViewSpec
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.scoring.answers import Score
from cof.scoring.traces import listed, score_trace
from cof.trace import Trace
from cof.types import Question, Stop

PICTURE = Image.new("RGB", (896, 896))
TARGET = Box(400, 400, 500, 500)  # source pixels; the overview shows them at half the size
WHERE = Question("1", ("",), "Where is the kite?", targets=(TARGET,), metric="iou")
COLOR = Question("2", ("",), "What color is it?", ("red", "blue", "dark blue"), "red")


def answered(question: Question, text: str, dialect: str = "cof") -> Trace:
    trace = run(ScriptedModel([f"<think>So.</think><answer>{text}</answer>"]), question, PICTURE, Setting(ViewSpec()))
    return replace(trace, dialect=dialect)


@pytest.mark.parametrize(
    ("text", "value", "by"),
    [
        ("[200, 200, 250, 250]", 1.0, "box"),
        ("200, 200, 250, 225", 0.5, "box"),
        ("The kite is at [200, 200, 250, 250].", 1.0, "box"),
        ("[400, 400, 500, 500]", 0.0, "box"),  # in source pixels, which nobody showed
        ("[250, 250, 200, 200]", 0.0, "none"),
        ("[900, 900, 950, 950]", 0.0, "none"),  # outside the picture
        ("in the middle", 0.0, "none"),
    ],
)
def test_a_box_answer_is_in_the_overviews_pixels(text: str, value: float, by: str) -> None:
    written = replace(WHERE, targets=(), answer="[400, 400, 500, 500]")
    for found in (score_trace(answered(WHERE, text)), score_trace(answered(written, text))):
        assert (found.value, found.by) == (pytest.approx(value), by)


def test_a_box_answer_is_in_the_frame_of_the_dialect() -> None:
    thousandths = "[446, 446, 558, 558]"  # 400 / 896 and 500 / 896
    assert score_trace(answered(WHERE, thousandths, "qwen3-vl")).value == pytest.approx(1.0, abs=0.02)
    assert score_trace(answered(WHERE, thousandths, "cof")).value == 0.0


def test_without_a_truth_or_a_run_there_is_no_score() -> None:
    trace = answered(replace(WHERE, targets=()), "[200, 200, 250, 250]")
    assert score_trace(trace) == Score(None, "unknown")
    failed = replace(answered(WHERE, "[200, 200, 250, 250]"), turns=(), stop=Stop.FAILED, error="broken")
    assert score_trace(failed) == Score(None, "failed")
    assert score_trace(replace(failed, question=COLOR)) == Score(None, "failed")
    assert score_trace(replace(failed, stop=Stop.TURNS)) == Score(0.0, "none")


def test_other_answers_are_scored_as_texts_or_by_the_judge() -> None:
    assert score_trace(answered(COLOR, "A")) == Score(1.0, "letter")
    assert score_trace(answered(COLOR, "crimson"), lambda _question, _answer: Score(1.0, "judge")).by == "judge"
    boxed = score_trace(answered(WHERE, "[200, 200, 250, 250]"), lambda _question, _answer: Score(0.0, "judge"))
    assert boxed == Score(1.0, "box")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("red", True),
        ("(B)", True),
        ("It is dark blue.", True),
        ("dark", True),
        ("green", False),
        ("D", False),
        ("red or blue", False),
        ("not red", False),
        ("The ring is at 124, 212", False),
    ],
)
def test_whether_an_answer_is_listed(text: str, want: bool) -> None:
    assert listed(answered(COLOR, text)) is want


def test_without_choices_or_an_answer_nothing_is_listed() -> None:
    assert listed(answered(replace(COLOR, choices=()), "red")) is None
    assert listed(replace(answered(COLOR, "red"), turns=(), stop=Stop.TURNS)) is None
