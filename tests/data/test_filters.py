"""Each reason against a trajectory, and none against a good one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from cof.agent.trajectory import AGENT
from cof.data.filters import (
    DUPLICATE,
    EVALUATION,
    LEAKED,
    LONG,
    UNREADABLE,
    UNSEEN,
    WHOLE_BOX,
    Filters,
    counted,
    picture_hash,
)
from cof.dialects.cof import COF
from cof.geometry import Box, ViewSpec
from cof.needle.drawing import draw_full
from cof.needle.scenes import make_scene
from cof.tools.zoom import observed, zooms
from cof.trace import Trace, Turn
from cof.types import Answer, Completion, Limits, Question, Sampling
from cof.vision import views

SPEC = ViewSpec()
FIRST = views.overview((1792, 1792), SPEC)


def trace(text: str = "What letter is on the star?", answer: str = "K", **other) -> Trace:
    box = other.get("box", Box(100, 100, 200, 200))
    zoom = zooms((box,), other.get("label", "star"), other.get("thought", "It is too small. I look at the star."))
    last = Answer(answer, other.get("last", "It is a K."))
    turns = (
        Turn(Completion(COF.write(zoom, (FIRST,))), zoom, observed((views.zoom(box, FIRST, SPEC),))),
        Turn(Completion(COF.write(last, (FIRST,))), last),
    )
    question = Question("q", ("",), text, other.get("choices", ()), answer)
    return Trace("q", question, AGENT, "cof", SPEC, Sampling(), Limits(), (FIRST,), turns)


def test_a_good_one_is_kept_once():
    filters = Filters()
    assert filters.refuse(trace(), 5) is None
    assert filters.refuse(trace("what letter is  on the Star?"), 5) == DUPLICATE
    assert filters.refuse(trace(), 6) is None
    assert filters.refuse(trace("What colour is the star?", "red"), 5) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (trace("Is the red star red?", "red"), LEAKED),
        (trace("Is the star left or right of the heart?", "left"), None),
        (trace("Which colour has the red star?", "red", choices=("red", "blue")), None),
        (trace("Is it a dog?", "do"), None),
        (trace(thought="There is a K on the star."), UNSEEN),
        (trace(thought="There is a Kangaroo."), None),
        (trace("Is the star left or right?", "left", thought="I look to the left."), None),
        (trace(box=Box(0, 0, 1700, 1700)), WHOLE_BOX),
        (trace(label="the K"), UNSEEN),
        (trace("What letter?", "A", thought="There is a star."), None),
        (trace("What letter?", "A", thought="There is an A."), UNSEEN),
        (trace(thought="So </think><answer>K</answer>"), UNREADABLE),
        (trace(thought="See <tool_call>."), None),
        (trace(thought="That is <image> one."), UNREADABLE),
        (trace(last="It ends.<|im_end|>"), UNREADABLE),
        (trace(last="Half \ud800."), UNREADABLE),
        (trace(box=Box(0, 0, 900, 900)), None),
    ],
)
def test_reasons(found, reason):
    assert Filters().refuse(found, 0) == reason


def test_what_is_too_long_is_dropped():
    said = sum(len(turn.completion.text) for turn in trace().turns)
    assert Filters(longest=said - 1).refuse(trace(), 0) == LONG
    assert Filters(longest=said).refuse(trace(), 0) is None


def test_a_refused_one_does_not_stand_in_the_way_of_another():
    filters = Filters(longest=sum(len(turn.completion.text) for turn in trace().turns) + 10)
    long = replace(trace(), turns=(*trace().turns[:1] * 2, trace().turns[-1]))
    assert filters.refuse(long, 5) == LONG
    assert filters.refuse(trace(), 5) is None


def test_a_picture_is_known_again_at_another_size_and_after_jpeg(tmp_path):
    pictures = [draw_full(make_scene("train", seed), 448) for seed in range(12)]
    hashes = [picture_hash(picture) for picture in pictures]
    for picture, own in zip(pictures, hashes, strict=True):
        picture.resize((300, 300)).save(tmp_path / "again.jpg", quality=70)
        again = picture_hash(Image.open(tmp_path / "again.jpg"))
        assert (again ^ own).bit_count() <= 4
        assert Filters(evaluation=frozenset([again])).refuse(trace(), own) == EVALUATION
    apart = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 4


def test_every_reason_is_counted():
    assert counted({DUPLICATE: 2})[DUPLICATE] == 2
    assert sum(counted({}).values()) == 0
