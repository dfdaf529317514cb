"""The figures that values derive."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.errors import InvalidBox
from cof.geometry import Box, Shown
from cof.tools.zoom import observed, zooms
from cof.trace import Trace, Turn
from cof.types import Answer, Completion
from tests.properties import cases
from tests.values import CLOSE, SIDE, TRACE, TRACES, VIEWS


@settings(max_examples=cases(200), deadline=None)
@given(TRACES)
def test_derived_figures(trace: Trace) -> None:
    last = trace.turns[-1].action if trace.turns else None
    assert trace.answer == (last.text if isinstance(last, Answer) else None)
    assert len(trace.views) == sum(len(turn.views) for turn in trace.turns)
    pairs = [min(len(turn.calls), len(turn.observations)) for turn in trace.turns if not turn.given]
    assert trace.zooms == sum(trace.tools.values()) == sum(pairs)
    assert trace.tokens == sum(turn.completion.tokens for turn in trace.turns)
    assert trace.pixels == sum(v.size[0] * v.size[1] for v in (*trace.overviews, *trace.views))
    assert trace.visual_tokens == trace.pixels // trace.spec.factor**2
    assert math.isclose(trace.seconds, math.fsum(turn.seconds for turn in trace.turns), abs_tol=1e-9)


def test_figures_of_a_zoom_and_an_answer() -> None:
    looked = Turn(
        Completion("z", tokens=20), zooms((Box(20, 30, 100, 110),) * 2), observed((CLOSE, CLOSE)), seconds=0.5
    )
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
def test_to_source_and_from_source_undo_each_other(view: Shown, x: float, y: float, w: float, h: float) -> None:
    width, height = view.size
    box = Box(x * width, y * height, (x + w) * width, (y + h) * height)
    back = view.from_source(view.to_source(box))
    slack = 1e-6 * max(1.0, *(abs(v) for v in view.region.as_tuple())) / min(1.0, view.region.width, view.region.height)
    assert all(abs(a - b) <= slack * max(view.size) for a, b in zip(back.as_tuple(), box.as_tuple(), strict=True))
