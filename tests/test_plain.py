"""The values as JSON and back, for every kind of action."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cof.errors import InvalidBox, InvalidRun
from cof.geometry import Box
from cof.plain import checked_trace, question_from_json, to_json, trace_from_json
from cof.tools.zoom import zooms
from cof.trace import Trace, Turn
from cof.types import Action, Answer, Completion, Malformed, Question, Stop
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
    [(zooms((Box(0, 0, 1, 1),), "l", "t"), "calls"), (Answer("a", "t"), "answer"), (Malformed("f", "r"), "malformed")],
)
def test_an_action_names_its_type(action: Action, kind: str) -> None:
    assert to_json(Turn(Completion(""), action))["action"]["type"] == kind


def test_a_trace_of_version_2_is_read() -> None:
    """A trace that the package wrote before it had tools: two zooms in one turn, one more that a limit refused."""
    trace = checked_trace(json.loads((Path(__file__).parent / "files" / "trace-2.json").read_text()))
    assert (trace.version, trace.question.images, trace.zooms, trace.stop) == (
        3,
        ("examples/plaza.jpg",),
        2,
        Stop.ZOOMS,
    )
    assert [len(turn.calls) for turn in trace.turns] == [0, 2, 1, 0]
    assert [view.id for view in (trace.overview, *trace.views)] == [0, 1, 2]
    assert [view.made_by for view in trace.views] == ["zoom", "zoom"]
    assert [len(turn.refused) for turn in trace.turns] == [0, 0, 1, 0]
    assert (trace.turns[1].thought, [call.label for call in trace.turns[1].calls]) == ("Small.", ["sign", "sign"])
    assert checked_trace(to_json(trace)) == trace
    assert "Zoomed in" in trace.to_html()


FULL = to_json(TRACE)["overviews"][0]


def test_a_trace_of_another_shape_is_an_error() -> None:
    data = to_json(TRACE)
    with pytest.raises(KeyError):
        trace_from_json({k: v for k, v in data.items() if k != "overviews"})
    with pytest.raises(TypeError):
        trace_from_json(data | {"unheard": 1})
    with pytest.raises(InvalidBox):
        trace_from_json(data | {"overviews": [{"region": {"x0": 1, "y0": 0, "x1": 0, "y1": 1}, "size": [28, 28]}]})


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"policy": 5},
        {"question": {"images": [5]}},
        {"question": {"answer": [1]}},
        {"question": {"choices": [1, 2]}},
        {"overviews": []},
        {"overviews": [FULL | {"size": [10**9, 10**9]}]},
        {"overviews": [FULL | {"size": [0, -1]}]},
        {"overviews": [FULL | {"region": {"x0": 0, "y0": 0, "x1": 1e308, "y1": 1}}]},
        {"overviews": [FULL | {"region": {"x0": 0, "y0": 0, "x1": 1, "y1": 1, "picture": 1}}]},
        {"overviews": [FULL | {"edits": [{"degrees": 45}]}]},
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
