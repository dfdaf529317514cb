"""Models in the parts: what they are asked, how replies are read, and what becomes of replies that cannot be."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cof.agent import prompts
from cof.agent.calls import (
    Adjust,
    Advise,
    Ask,
    Check,
    Cost,
    Event,
    Locate,
    Look,
    Move,
    Name,
    Place,
    Plan,
    Propose,
    Read,
    Summarise,
    Think,
    Thoughts,
    Try,
)
from cof.agent.prompts import Unreadable
from cof.agent.roles import PART, ModelPlayers, _written
from cof.agent.search import search
from cof.agent.trajectory import Rules
from cof.data.example import Example
from cof.errors import ModelError
from cof.geometry import Box, Shown, ViewSpec
from cof.models.base import Request
from cof.models.scripted import ScriptedModel
from cof.types import Question
from cof.vision import boxes, views
from tests.calls import boxes_in

EXAMPLE = Example(
    Question("q", ("",), "What letter?", ("A", "B"), "B"),
    lambda: Image.new("RGB", (1792, 1344)),
    spec=ViewSpec(),
    known_size=(1792, 1344),
)
BOX = Box(896, 672, 1120, 840)
VIEW = views.zoom(BOX, EXAMPLE.overview, EXAMPLE.spec)
PLACE = Place("sign", BOX, VIEW)
EVENT = Event(Look("sign"), "found as place 0", 0)


def players(*lines, retries=2) -> tuple[ModelPlayers, ScriptedModel]:
    model = ScriptedModel(lines)
    return ModelPlayers(dict.fromkeys(PART.values(), model), retries), model


@pytest.mark.parametrize(
    ("call", "said", "reply"),
    [
        (Try(0), "<think>I see.</think><answer>B</answer>", "B"),
        (Try(0), "no idea", None),
        (Plan((), (), ""), '{"step": "look", "thing": "sign", "in": null}', Look("sign")),
        (Plan((EVENT,), (PLACE,), "no"), '{"step": "look", "thing": "sign", "in": 0}', Look("sign", 0)),
        (Plan((), (), ""), 'I think {"step": "ask", "text": "What?", "at": 1} will do.', Ask("What?", 1)),
        (Plan((), (), ""), '{"step": "move", "at": 0, "instruction": "enlarge"}', Move(0, "enlarge")),
        (Plan((), (), ""), '{"step": "answer", "answer": " B "}', Propose("B")),
        (Locate(EXAMPLE.overview, "sign"), '```json\n{"bbox_2d": null}\n```', None),
        (Read(VIEW, "What letter?"), '{"answer": "B"}', "B"),
        (Read(VIEW, "What letter?"), '{"answer": null}', None),
        (Check(VIEW, "sign"), '{"seen": true}', True),
        (Advise((EVENT,), "A", "wrong"), '{"advice": "enlarge it"}', "enlarge it"),
        (Summarise((PLACE,)), '{"thoughts": ["too small", "B"]}', ("too small", "B")),
        (Name(VIEW), '{"name": "a red sign"}', "a red sign"),
        (
            Think(0),
            '{"steps": [{"thought": "a", "thing": "sign"}, {"thought": "b"}], "conclusion": "c", "answer": "B"}',
            Thoughts((("a", "sign"), ("b", "")), "c", "B"),
        ),
    ],
)
def test_replies_are_read(call, said, reply):
    found, model = players(said)
    cost = Cost()
    assert found.play(EXAMPLE, call, cost) == reply
    assert cost.malformed == 0
    shown = [part for message in model.requests[0].messages for part in message.parts if isinstance(part, Shown)]
    assert all(model.requests[0].pixels[view].size == view.size for view in shown)


def test_boxes_are_in_pixels_of_what_was_shown():
    found, _ = players('{"bbox_2d": [0, 0, 28, 56.0]}')
    box = found.play(EXAMPLE, Locate(VIEW, "sign"), Cost())
    assert VIEW.from_source(box).as_tuple() == pytest.approx((0, 0, 28, 56))
    moved = found.play(EXAMPLE, Adjust(VIEW, BOX, "enlarge"), Cost())
    assert moved == box


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Locate(VIEW, "sign"), "there"),
        (Locate(VIEW, "sign"), '{"bbox_2d": [1, 2, 3]}'),
        (Locate(VIEW, "sign"), '{"bbox_2d": [5, 5, 1, 1]}'),
        (Locate(VIEW, "sign"), '{"bbox_2d": [0, 0, NaN, 1]}'),
        (Locate(VIEW, "sign"), '{"bbox_2d": [0, 0, 1e999, 1]}'),
        (Locate(VIEW, "sign"), '{"bbox_2d": [true, 0, 9, 9]}'),
        (Adjust(VIEW, BOX, "x"), '{"bbox_2d": null}'),
        (Plan((), (), ""), '{"step": "fly"}'),
        (Plan((), (), ""), '{"step": "look", "thing": ""}'),
        (Plan((), (), ""), '{"step": "ask", "text": "x", "at": -1}'),
        (Plan((), (), ""), '{"step": "move", "instruction": "x"}'),
        (Plan((), (), ""), "[]"),
        (Read(VIEW, "x"), '{"answer": 5}'),
        (Check(VIEW, "x"), '{"seen": "yes"}'),
        (Summarise((PLACE,)), '{"thoughts": ["one"]}'),
        (Summarise((PLACE,)), '{"thoughts": [1, 2]}'),
        (Think(0), '{"steps": ["a"], "answer": "B"}'),
        (Think(0), '{"steps": [{"thought": 1}], "answer": "B"}'),
        (Think(0), '{"steps": []}'),
        (Locate(VIEW, "x"), "{" * 5000),
    ],
)
def test_what_cannot_be_read_is_sent_back_with_its_fault_and_counted(call, said):
    found, model = players(said)
    cost = Cost()
    with pytest.raises(ModelError, match="no reply that can be used"):
        found.play(EXAMPLE, call, cost)
    assert cost.malformed == len(model.requests) == 3
    assert len(model.requests[2].messages) == len(model.requests[0].messages) + 4
    assert "cannot be read" in model.requests[1].messages[-1].parts[0]


@pytest.mark.parametrize("step", [Look("sign", 0), Ask("What?", None), Move(0, "enlarge"), Propose("B", 0)])
def test_a_step_is_told_as_it_is_read(step):
    found, model = players(json.dumps(_written(step)))
    assert found.play(EXAMPLE, Plan((Event(step, "so"),), (PLACE,), ""), Cost()) == step
    assert json.dumps(_written(step)) + ": so" in model.requests[0].messages[-1].parts[-1]


def test_a_mended_reply_counts():
    found, _ = players("hm", '{"seen": false}')
    cost = Cost()
    assert found.play(EXAMPLE, Check(VIEW, "sign"), cost) is False
    assert cost.malformed == 1


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_unreadable(text):
    for read in (prompts.json_object, lambda t: prompts.box_in(prompts.json_object(t), VIEW)):
        with contextlib.suppress(Unreadable):
            read(text)


def test_a_whole_search_by_one_model():
    def say(request: Request) -> str:
        system, last = str(request.messages[0].parts[0]), str(request.messages[-1].parts[-1])
        look, answer = '{"step": "look", "thing": "sign"}', '{"step": "answer", "answer": "B", "at": 0}'
        for sign, line in (
            ("one step at a time", answer if "Place 0" in last else look),
            ("You point", '{"bbox_2d": [224, 168, 280, 210]}'),
            ("You read", '{"answer": "B"}'),
            ("You check", '{"seen": true}'),
            ("You write", '{"thoughts": ["I look at the sign.", "It says B."]}'),
        ):
            if sign in system:
                return line
        return "<answer>A</answer>"

    model = ScriptedModel([say])
    cast, cost = ModelPlayers(dict.fromkeys(PART.values(), model)), Cost()
    asked, reply = search(EXAMPLE, Rules(tries=1)), None
    try:
        while True:
            reply = cast.play(EXAMPLE, asked.send(reply), cost)
    except StopIteration as stop:
        trace = stop.value.trace
    assert trace.answer == "B"
    assert trace.zooms == 1
    assert boxes.iou(boxes_in(trace.turns[0].action)[0], EXAMPLE.overview.to_source(Box(224, 168, 280, 210))) > 0.99
    assert cost.tokens > 0
