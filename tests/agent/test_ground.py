"""Thoughts keep the places that are confirmed, and say before the next look what has none."""

from __future__ import annotations

import pytest
from PIL import Image

from cof.agent.calls import Check, Locate, Name, Read, Reply, RoleCall, Think, Thoughts
from cof.agent.ground import agrees, ground
from cof.agent.trajectory import Outcome, Rules
from cof.data.example import Example
from cof.geometry import Box, ViewSpec
from cof.types import Malformed, Question

EXAMPLE = Example(
    Question("q", ("",), "How many legs has the table by the door?", (), "4"),
    lambda: Image.new("RGB", (1792, 1344)),
    spec=ViewSpec(),
    known_size=(1792, 1344),
)
DOOR, TABLE = Box(100, 100, 500, 900), Box(300, 700, 480, 880)
TOLD = Thoughts(
    (("There is a door.", "wooden door"), ("It is open.", ""), ("The table stands there.", "table")),
    "It has four.",
    "4",
)


def played(script: list[tuple[type[RoleCall], Reply]]) -> Outcome:
    asked, reply, lines = ground(EXAMPLE, Rules(tries=0, readings=1, rounds=2)), None, iter(script)
    while True:
        try:
            call = asked.send(reply)
        except StopIteration as stop:
            assert next(lines, None) is None
            return stop.value
        kind, reply = next(lines)
        assert isinstance(call, kind), (call, kind)


DOOR_FOUND: list[tuple[type[RoleCall], Reply]] = [(Locate, DOOR), (Check, True), (Name, "a brown door")]


def said(found: Outcome) -> list[tuple[str, str]]:
    assert found.trace is not None
    actions = [turn.action for turn in found.trace.turns]
    return [
        (a[0].label, a[0].thought) if isinstance(a, tuple) else (a.text, a.thought)
        for a in actions
        if not isinstance(a, Malformed)
    ]


def test_every_thing_that_is_confirmed_is_looked_at() -> None:
    table_found: list[tuple[type[RoleCall], Reply]] = [(Locate, TABLE), (Check, True), (Name, "Table.")]
    found = played([(Think, TOLD), *DOOR_FOUND, *table_found, (Check, True), (Check, True), (Read, "4")])
    assert said(found) == [
        ("wooden door", "There is a door."),
        ("table", "It is open. The table stands there."),
        ("4", "It has four."),
    ]
    assert found.rounds == 1
    assert found.trace is not None
    assert [(view.id, view.made_by) for view in found.trace.views] == [(1, "zoom"), (2, "zoom")]


def test_a_thing_that_is_not_confirmed_is_not_looked_at() -> None:
    nowhere: list[tuple[type[RoleCall], Reply]] = [(Locate, None), (Locate, TABLE), (Check, True), (Name, "a chair")]
    found = played([(Think, TOLD), *DOOR_FOUND, *nowhere, (Check, True), (Read, "4")])
    assert said(found) == [
        ("wooden door", "There is a door."),
        ("4", "It is open. The table stands there. It has four."),
    ]
    assert len(found.proposed) == 2


def test_wrong_thoughts_are_thought_again_and_nothing_is_looked_at_twice() -> None:
    wrong = Thoughts(TOLD.steps[:1], "", "5")
    found = played(
        [(Think, wrong), (Think, Thoughts(TOLD.steps[:1], "", "4")), *DOOR_FOUND, (Check, True), (Read, "4")]
    )
    assert found.rounds == 2
    twice = Thoughts((TOLD.steps[0], TOLD.steps[0]), "", "4")
    again = played([(Think, twice), *DOOR_FOUND, (Check, True), (Read, "4")])
    assert said(again) == [("wooden door", "There is a door."), ("4", "There is a door.")]


def test_what_never_agrees_is_dropped() -> None:
    refused: list[tuple[type[RoleCall], Reply]] = [(Think, Thoughts((), "It has four.", "4")), (Read, "5")]
    found = played([*refused, *refused])
    assert found.trace is None


@pytest.mark.parametrize(
    ("thing", "read", "same"),
    [
        ("red table", "A round table.", True),
        ("table", "tablet", False),
        ("bus 42", "bus 42, red", True),
        ("bus 42", "bus 24", False),
        ("", "table", False),
        ("42", "it says 42", True),
    ],
)
def test_reading_agrees(thing: str, read: str, same: bool) -> None:
    assert agrees(thing, read) is same
