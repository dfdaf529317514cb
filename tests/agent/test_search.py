"""The search as a state machine: played by hand, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cof.agent.calls import (
    CANNOT_READ,
    Adjust,
    Advise,
    Ask,
    Check,
    Locate,
    Look,
    Move,
    Plan,
    Propose,
    Read,
    Reply,
    RoleCall,
    Summarise,
    Try,
)
from cof.agent.search import search
from cof.agent.trajectory import Outcome, Rules
from cof.data.example import Example
from cof.dialects.cof import COF
from cof.geometry import Box, ViewSpec
from cof.types import Answer, Question
from cof.vision import boxes, views
from tests.calls import boxes_in

TARGET = Box(1000, 800, 1060, 860)
EXAMPLE = Example(
    Question("q", ("",), "What letter is on the sticker?", (), "CC", targets=(TARGET,)),
    lambda: Image.new("RGB", (1792, 1344)),
    spec=ViewSpec(),
    known_size=(1792, 1344),
)
RULES = Rules(tries=2, readings=1, rounds=3, steps=4)


def played(script: list[tuple[type[RoleCall], Reply]], rules: Rules = RULES) -> tuple[Outcome, list[RoleCall]]:
    """The outcome of a search whose calls are of these types, in this order, and get these replies."""
    calls: list[Any] = []
    asked, reply = search(EXAMPLE, rules), None
    lines = iter(script)
    while True:
        try:
            call = asked.send(reply)
        except StopIteration as stop:
            assert next(lines, None) is None
            return stop.value, calls
        kind, reply = next(lines)
        assert isinstance(call, kind), (call, kind)
        calls.append(call)


RIGHT_TRIES: list[tuple[type[RoleCall], Reply]] = [(Try, "CC"), (Try, "CC")]
FAILED_TRIES: list[tuple[type[RoleCall], Reply]] = [(Try, "C"), (Try, None)]


def test_what_the_target_can_answer_and_a_reader_confirms_is_answered_at_once() -> None:
    found, _ = played([(Try, "CC"), (Try, "C"), (Read, "CC"), (Summarise, ("I can read it.",))])
    assert (found.pass_rate, found.rounds) == (0.5, 0)
    assert found.trace is not None
    assert [turn.action for turn in found.trace.turns] == [Answer("CC", "I can read it.")]


def test_the_readings_that_the_rules_ask_for_must_agree() -> None:
    """Two readings by default: both are asked for, and a second one that differs confirms nothing."""
    rules = Rules(tries=2, rounds=0)
    found, calls = played([*RIGHT_TRIES, (Read, "CC"), (Read, "CC"), (Summarise, ("I can read it.",))], rules)
    assert found.trace is not None
    assert sum(isinstance(call, Read) for call in calls) == 2
    found, _ = played([*RIGHT_TRIES, (Read, "CC"), (Read, "C")], rules)
    assert found.trace is None


def test_a_lucky_guess_is_searched_after_all() -> None:
    rounds: list[tuple[type[RoleCall], Reply]] = [(Plan, Propose("C")), (Advise, "Look closer.")]
    found, calls = played([(Try, "CC"), (Try, "CC"), (Read, None), *rounds, *rounds, *rounds])
    assert (found.trace, found.rounds) == (None, 3)
    assert [call.advice for call in calls if isinstance(call, Plan)] == ["", "Look closer.", "Look closer."]


def test_laptop_sticker_letters() -> None:
    """The paper's own case: a first box cuts the letters, the verifier refuses, an enlarged box shows them."""
    laptop, cut, whole = Box(900, 700, 1300, 1000), Box(1000, 800, 1030, 860), Box(990, 790, 1070, 870)
    found, calls = played([
        *FAILED_TRIES,
        (Plan, Look("laptop")), (Locate, laptop),
        (Plan, Look("sticker", 0)), (Locate, cut),
        (Plan, Ask("What letters?", 1)), (Read, "C"),
        (Plan, Propose("C", 1)), (Advise, "The box cuts the text: enlarge it."),
        (Plan, Move(1, "enlarge")), (Adjust, whole),
        (Plan, Ask("What letters?", 2)), (Read, "CC"),
        (Plan, Propose("CC", 2)), (Check, True), (Check, True), (Read, "CC"),
        (Summarise, ("I look at the laptop.", "There is a sticker.", "It says CC.")),
    ])  # fmt: skip
    assert found.trace is not None
    first, second, last = found.trace.turns
    assert isinstance(first.action, tuple)
    assert isinstance(second.action, tuple)
    assert isinstance(last.action, Answer)
    assert (first.action[0].label, second.action[0].label) == ("laptop", "sticker")
    assert boxes.iou(boxes_in(second.action)[0], whole) > 0.8
    assert [boxes.iou(place.box, box) > 0.8 for place, box in zip(found.proposed, (laptop, cut), strict=True)] == [
        True
    ] * 2
    locate = [call for call in calls if isinstance(call, Locate)]
    assert locate[0].view == EXAMPLE.overview
    assert locate[1].view == views.zoom(found.proposed[0].box, EXAMPLE.overview, EXAMPLE.spec)
    for turn in found.trace.turns:  # what is trained on is what the dialect reads
        read = COF.parse(turn.completion.text, (EXAMPLE.overview,))
        assert type(read) is type(turn.action)
        if isinstance(read, tuple) and isinstance(turn.action, tuple):
            assert boxes.iou(boxes_in(read)[0], boxes_in(turn.action)[0]) > 0.99


@pytest.mark.parametrize("checks", [[(Check, False)], [(Check, True), (Read, "C")], [(Check, True), (Read, None)]])
def test_a_right_answer_counts_only_where_it_is_confirmed(checks: list[tuple[type[RoleCall], Reply]]) -> None:
    script = [
        *FAILED_TRIES,
        (Plan, Look("sticker")),
        (Locate, TARGET),
        (Plan, Propose("cc", 0)),
        *checks,
        (Advise, "no"),
    ]
    found, calls = played([*script, (Plan, Propose("CC", 0)), (Check, True), (Read, "CC"), (Summarise, ("a", "b"))])
    assert found.trace is not None
    assert (found.rounds, found.trace.zooms) == (2, 1)
    assert [call.fault for call in calls if isinstance(call, Advise)] == [
        "the answer is right, but cannot be confirmed at the places given for it"
    ]


def test_what_cannot_be_done_is_told_to_the_planner() -> None:
    outside = Box(5000, 5000, 5100, 5100)
    found, calls = played([
        *FAILED_TRIES,
        (Plan, Look("sticker", 4)),
        (Plan, Look("sticker")), (Locate, None),
        (Plan, Look("sticker")), (Locate, outside),
        (Plan, Ask("What?")), (Read, None), (Advise, ""),
    ], Rules(tries=2, rounds=1, steps=4))  # fmt: skip
    assert found.trace is None
    told = next(call.events for call in calls if isinstance(call, Advise))
    assert [event.seen for event in told] == [
        "there is no such place",
        "sticker cannot be found there",
        "the box lies outside the picture",
        CANNOT_READ,
    ]


@given(st.floats(0, 1790), st.floats(0, 1340), st.floats(0.5, 1790), st.floats(0.5, 1340), st.sampled_from([1, 4]))
def test_boxes_on_the_grid_lie_in_the_picture_and_read_back_the_same(
    x: float, y: float, w: float, h: float, grid: int
) -> None:
    box = Box(x, y, min(x + w, 1792), min(y + h, 1344))
    found, _ = played([
        *FAILED_TRIES, (Plan, Look("it")), (Locate, box), (Plan, Propose("CC", 0)), (Check, True), (Read, "CC"),
        (Summarise, ("a", "b")),
    ], Rules(tries=2, readings=1, grid=grid))  # fmt: skip
    assert found.trace is not None
    action = found.trace.turns[0].action
    assert isinstance(action, tuple)
    written = boxes_in(action)[0]
    shown = EXAMPLE.overview.from_source(written)
    assert all(abs(v / grid - round(v / grid)) < 1e-6 or v in EXAMPLE.overview.size for v in shown.as_tuple())
    assert boxes.contains(EXAMPLE.overview.region, written)
    read = COF.parse(found.trace.turns[0].completion.text, (EXAMPLE.overview,))
    assert isinstance(read, tuple)
    assert boxes.iou(boxes_in(read)[0], written) > 0.999
