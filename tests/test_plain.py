"""The values as JSON and back, for every kind of action."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from cof.errors import InvalidBox, InvalidRun
from cof.plain import checked_trace, question_from_json, to_json, trace_from_json
from cof.types import (
    Answer,
    Box,
    Completion,
    Malformed,
    Question,
    Trace,
    Turn,
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


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"mode": 5},
        {"question": {"image": ["x"]}},
        {"question": {"answer": [1]}},
        {"question": {"choices": [1, 2]}},
        {"overview": {"size": [10**9, 10**9]}},
        {"overview": {"size": [0, -1]}},
        {"overview": {"region": {"x0": 0, "y0": 0, "x1": 1e308, "y1": 1}}},
        {"limits": {"turns": 0}},
        {"turns": [5]},
    ],
    ids=str,
)
def test_what_a_file_calls_a_trace_is_checked_before_pages_are_made_of_it(changed: dict[str, Any]) -> None:
    data = to_json(TRACE)
    assert checked_trace(data) == TRACE
    for name, value in changed.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    with pytest.raises(InvalidRun, match="this is no trace"):
        checked_trace(data)


@pytest.mark.parametrize("name", ["text", "thought"])
def test_what_a_model_said_is_text(name: str) -> None:
    data = to_json(replace(TRACE, turns=(Turn(Completion("B"), Answer("B", "I see.")),)))
    data["turns"][0]["action"][name] = 5
    with pytest.raises(InvalidRun, match="5 is no text"):
        checked_trace(data)
