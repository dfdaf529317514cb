"""The values: JSON there and back for every kind of action, and the figures that a trace derives."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.errors import InvalidBox
from cof.types import (
    Answer,
    Box,
    Completion,
    Limits,
    Malformed,
    Question,
    Sampling,
    Stop,
    Trace,
    Turn,
    View,
    ViewSpec,
    Zoom,
    question_from_json,
    to_json,
    trace_from_json,
)

T = TypeVar("T")
SIDE = settings(max_examples=1_000, deadline=None)

PIXEL = st.floats(-60_000, 60_000)
LENGTH = st.floats(0.01, 60_000)
COUNT = st.integers(0, 10_000)
WORDS = st.text(max_size=12)
MAYBE = st.none() | WORDS


def tuples_of(values: st.SearchStrategy[T], most: int) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(values, max_size=most).map(tuple)


BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), PIXEL, PIXEL, LENGTH, LENGTH)
VIEWS = st.builds(View, BOXES, st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
ACTIONS = st.one_of(
    st.builds(Zoom, tuples_of(BOXES, 3), WORDS, WORDS),
    st.builds(Answer, WORDS, WORDS),
    st.builds(Malformed, WORDS, WORDS),
)
COMPLETIONS = st.builds(Completion, WORDS, COUNT, COUNT, COUNT, st.sampled_from(["stop", "length"]))
TURNS = st.builds(Turn, COMPLETIONS, ACTIONS, tuples_of(VIEWS, 2), WORDS, st.floats(0, 100))
QUESTIONS = st.builds(
    Question, WORDS, WORDS, WORDS, tuples_of(WORDS, 4), MAYBE, MAYBE, st.none() | COUNT, tuples_of(BOXES, 2)
)
TRACES = st.builds(
    Trace,
    WORDS,
    QUESTIONS,
    WORDS,
    WORDS,
    st.builds(ViewSpec, factor=st.sampled_from([28, 32]), grow=LENGTH, source=st.sampled_from(["original", "resized"])),
    st.builds(Sampling, st.floats(0, 2), st.floats(0, 1), COUNT, COUNT),
    st.builds(Limits, st.integers(1, 10_000), COUNT, COUNT, COUNT, st.floats(0, 1000)),
    VIEWS,
    tuples_of(TURNS, 3),
    st.sampled_from(Stop),
    MAYBE,
)

FIRST = View(Box(0, 0, 1000, 500), (280, 140))
CLOSE = View(Box(10, 20, 110, 120), (56, 56))
TRACE = Trace("1", Question("1", "a.jpg", "What?"), "m", "cof", ViewSpec(), Sampling(), Limits(), FIRST)


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


@settings(max_examples=200, deadline=None)
@given(TRACES)
def test_derived_figures(trace: Trace) -> None:
    last = trace.turns[-1].action if trace.turns else None
    assert trace.answer == (last.text if isinstance(last, Answer) else None)
    assert trace.zooms == len(trace.views) == sum(len(turn.views) for turn in trace.turns)
    assert trace.tokens == sum(turn.completion.tokens for turn in trace.turns)
    assert trace.pixels == sum(v.size[0] * v.size[1] for v in (trace.overview, *trace.views))
    assert trace.visual_tokens == trace.pixels // trace.spec.factor**2
    assert math.isclose(trace.seconds, math.fsum(turn.seconds for turn in trace.turns), abs_tol=1e-9)


def test_figures_of_a_zoom_and_an_answer() -> None:
    looked = Turn(Completion("z", tokens=20), Zoom((Box(20, 30, 100, 110),)), (CLOSE, CLOSE), seconds=0.5)
    said = Turn(Completion("a", tokens=5), Answer("red"), seconds=0.25)
    trace = replace(TRACE, turns=(looked, said))
    assert (trace.answer, trace.zooms, trace.tokens, trace.seconds) == ("red", 2, 25, 0.75)
    assert trace.pixels == 280 * 140 + 2 * 56 * 56
    assert trace.visual_tokens == 50 + 2 * 4
    assert replace(trace, turns=(looked,)).answer is None
    assert replace(trace, turns=()).answer is None


def test_an_empty_answer_is_not_a_missing_one() -> None:
    assert replace(TRACE, turns=(Turn(Completion(""), Answer("")),)).answer == ""


def test_figures_of_a_box() -> None:
    box = Box(1, 2, 4, 8)
    assert (box.width, box.height, box.area, box.center) == (3, 6, 18, (2.5, 5.0))
    assert box.as_tuple() == (1, 2, 4, 8)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_a_box_is_finite(bad: float, place: int) -> None:
    numbers = [0.0, 0.0, 1.0, 1.0]
    numbers[place] = bad
    with pytest.raises(InvalidBox):
        Box(*numbers)


@pytest.mark.parametrize("numbers", [(1, 0, 1, 1), (0, 1, 1, 1), (2, 0, 1, 1), (0, 2, 1, 1)])
def test_a_box_has_an_inside(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidBox, match="empty or reversed"):
        Box(*numbers)


@SIDE
@given(VIEWS, st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_to_source_and_from_source_undo_each_other(view: View, x: float, y: float, w: float, h: float) -> None:
    width, height = view.size
    box = Box(x * width, y * height, (x + w) * width, (y + h) * height)
    back = view.from_source(view.to_source(box))
    slack = 1e-6 * max(1.0, *(abs(v) for v in view.region.as_tuple())) / min(1.0, view.region.width, view.region.height)
    assert all(abs(a - b) <= slack * max(view.size) for a, b in zip(back.as_tuple(), box.as_tuple(), strict=True))
