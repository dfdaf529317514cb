"""Hypothesis strategies for the values of `cof.types`."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from cof.geometry import Box, Rotate, Shown, ViewSpec
from cof.trace import Observation, Trace, Turn
from cof.types import Answer, Call, Completion, Exchange, Limits, Malformed, Question, Sampling, Stop
from tests.properties import cases

T = TypeVar("T")
SIDE = settings(max_examples=cases(1_000), deadline=None)

PIXEL = st.floats(-60_000, 60_000)
LENGTH = st.floats(0.01, 60_000)
COUNT = st.integers(0, 10_000)
WORDS = st.text(max_size=12)
MAYBE = st.none() | WORDS


def tuples_of(values: st.SearchStrategy[T], most: int) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(values, max_size=most).map(tuple)


BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), PIXEL, PIXEL, LENGTH, LENGTH)
EDITS = st.sampled_from([(), (Rotate(90),), (Rotate(180), Rotate(270))])
VIEWS = st.builds(Shown, BOXES, st.tuples(st.integers(1, 4000), st.integers(1, 4000)), EDITS, COUNT, WORDS)
CALLS = st.builds(Call, st.just("zoom"), st.fixed_dictionaries({"box": BOXES}, optional={"of": COUNT}), WORDS, WORDS)
OBSERVATIONS = st.builds(Observation, tuples_of(VIEWS, 2), WORDS)
ACTIONS = st.one_of(
    st.lists(CALLS, min_size=1, max_size=3).map(tuple),
    st.builds(Answer, WORDS, WORDS),
    st.builds(Malformed, WORDS, WORDS),
)
COMPLETIONS = st.builds(Completion, WORDS, COUNT, COUNT, COUNT, st.sampled_from(["stop", "length"]))
TURNS = st.builds(Turn, COMPLETIONS, ACTIONS, tuples_of(OBSERVATIONS, 2), WORDS, st.floats(0, 100), st.booleans())
QUESTIONS = st.builds(
    Question,
    WORDS,
    st.lists(WORDS, min_size=1, max_size=2).map(tuple),
    WORDS,
    tuples_of(WORDS, 4),
    MAYBE,
    MAYBE,
    st.none() | COUNT,
    tuples_of(BOXES, 2),
    tuples_of(WORDS, 2),
    system=WORDS,
    earlier=tuples_of(st.builds(Exchange, WORDS, WORDS), 2),
)
TRACES = st.builds(
    Trace,
    WORDS,
    QUESTIONS,
    WORDS,
    WORDS,
    st.builds(ViewSpec, factor=st.sampled_from([28, 32]), grow=LENGTH, source=st.sampled_from(["original", "resized"])),
    st.builds(Sampling, st.floats(0, 2), st.floats(0.01, 1), st.integers(1, 10_000), COUNT),
    st.builds(Limits, st.integers(1, 10_000), COUNT, COUNT, COUNT, st.floats(0, 1000)),
    st.lists(VIEWS, min_size=1, max_size=2).map(tuple),
    tuples_of(TURNS, 3),
    st.sampled_from(Stop),
    MAYBE,
)

FIRST = Shown(Box(0, 0, 1000, 500), (280, 140))
CLOSE = Shown(Box(10, 20, 110, 120), (56, 56))
TRACE = Trace("1", Question("1", ("a.jpg",), "What?"), "m", "cof", ViewSpec(), Sampling(), Limits(), (FIRST,))
