import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cof.evaluate.report import report, wilson
from cof.focus.loop import Setting, run
from cof.models.scripted import ScriptedModel
from cof.types import Box, Question, Stop, Trace, View

PICTURE = Image.new("RGB", (448, 448), "white")
ZOOM = '<think></think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 200, 200]}}</tool_call>'


def trace(answer, truth="A", zoom=False, depth=0, name="q"):
    lines = [*([ZOOM] if zoom else []), f"<answer>{answer}</answer>"]
    question = Question(name, "", "?", (), truth, "direct_attributes", depth, (Box(100, 100, 200, 200),))
    return run(ScriptedModel(lines), question, PICTURE, Setting())


def failed(name="f"):
    one = trace("A", name=name)
    return Trace(
        one.id,
        one.question,
        "m",
        "cof",
        one.spec,
        one.sampling,
        one.limits,
        View(Box(0, 0, 448, 448), (448, 448)),
        stop=Stop.FAILED,
        error="broken",
    )


def test_wilson_against_published_figures():
    low, high = wilson(172, 191)  # V* at 90.1%: reference interval about 4.5 points each way
    assert low == pytest.approx(0.8498, abs=1e-3)
    assert high == pytest.approx(0.9354, abs=1e-3)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share(right, n):
    right = min(right, n)
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-9
    assert right / n - 1e-9 <= high <= 1


def test_gold_is_one_and_nothing_is_zero():
    arm = report([("focus", trace("A", name=str(i))) for i in range(4)])["arms"]["focus"]
    assert (arm["accuracy"], arm["n"], arm["zooms"]) == (1.0, 4, 0)
    assert report([("focus", trace("B"))])["arms"]["focus"]["accuracy"] == 0.0


def test_a_failure_is_counted_and_is_no_wrong_answer():
    arm = report([("focus", trace("A")), ("focus", failed())])["arms"]["focus"]
    assert (arm["accuracy"], arm["n"], arm["failed"]) == (1.0, 1, 1)


def test_zooms_boxes_and_depths():
    arm = report([("focus", trace("A", zoom=True, depth=1)), ("focus", trace("B", name="r"))])["arms"]["focus"]
    assert arm["box_iou"] == pytest.approx(1.0)
    assert arm["by_depth"]["1"]["zooms"] == 1
    assert arm["by_depth"]["0"]["accuracy"] == 0.0
    assert arm["zoomed"] == 0.5


def test_nothing_measured_is_none():
    arm = report([("focus", failed())])["arms"]["focus"]
    assert arm["accuracy"] is None
    assert not any(isinstance(v, float) and math.isnan(v) for v in arm.values())
