"""The values as JSON and back, for every kind of action."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from cof.errors import InvalidBox
from cof.plain import question_from_json, to_json, trace_from_json
from cof.types import (
    Answer,
    Box,
    Malformed,
    Question,
    Trace,
    Zoom,
)
from tests.values import QUESTIONS, SIDE, TRACE, TRACES


@SIDE
@given(TRACES)
def test_a_trace_comes_back_from_json_the_same(trace: Trace) -> None:
    line = json.dumps(to_json(trace), allow_nan=False)
    assert trace_from_json(json.loads(line)) == trace


@SIDE
@given(QUESTIONS)
def test_a_question_comes_back_from_json_the_same(question: Question) -> None:
    assert question_from_json(json.loads(json.dumps(to_json(question)))) == question


@pytest.mark.parametrize(
    ("action", "kind"),
    [(Zoom((Box(0, 0, 1, 1),), "l", "t"), "zoom"), (Answer("a", "t"), "answer"), (Malformed("f", "r"), "malformed")],
)
def test_an_action_names_its_type(action: Zoom | Answer | Malformed, kind: str) -> None:
    assert to_json(action)["type"] == kind


def test_a_trace_of_another_shape_is_an_error() -> None:
    data = to_json(TRACE)
    with pytest.raises(KeyError):
        trace_from_json({k: v for k, v in data.items() if k != "overview"})
    with pytest.raises(TypeError):
        trace_from_json(data | {"unheard": 1})
    with pytest.raises(InvalidBox):
        trace_from_json(data | {"overview": {"region": {"x0": 1, "y0": 0, "x1": 0, "y1": 1}, "size": [28, 28]}})
