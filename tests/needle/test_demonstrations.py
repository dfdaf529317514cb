import numpy as np
import pytest
from PIL import Image

from cof.dialects.cof import COF
from cof.geometry import ViewSpec
from cof.loop.policies.known import policy_named
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.needle.demonstrations import ZOOM_OPENING, demonstrate, guess, recover, show_targets, zoom_anyway
from cof.needle.questions import needles, route
from cof.needle.scenes import make_scene
from cof.types import Answer, Question
from cof.vision import boxes, views
from cof.vision.views import Picture
from tests.calls import boxes_in

SPEC, UNIT = ViewSpec(), 1792
PICTURE, ORACLE = Picture(Image.new("RGB", (UNIT, UNIT))), Setting(SPEC, policy=policy_named("oracle"))


def cases(seeds=range(12)):
    first = views.overview((UNIT, UNIT), SPEC)
    for seed in seeds:
        scene = make_scene("train", seed)
        for needle in needles(scene):
            path = route(needle, first, UNIT, SPEC)
            if path is not None:
                yield first, needle, path


def test_a_demonstration_is_what_the_dialect_reads():
    for first, needle, path in cases():
        turns = demonstrate(needle, path, first, UNIT, SPEC)
        assert len(turns) == len(path) + 1
        for turn in turns:
            read = COF.parse(turn.completion.text, (first,))
            assert type(read) is type(turn.action)
            if isinstance(read, tuple):
                assert boxes.iou(boxes_in(read)[0], boxes_in(turn.action)[0]) > 0.99
                assert turn.views[0] == views.zoom(boxes_in(turn.action)[0], first, SPEC)
        assert isinstance(turns[-1].action, Answer)
        assert turns[-1].action.text == needle.answer


def test_demonstrated_boxes_hold_their_targets():
    for first, needle, path in cases():
        turns = demonstrate(needle, path, first, UNIT, SPEC)
        for turn, target in zip(turns, path, strict=False):
            assert boxes.contains(turn.views[0].region, target, slack=0.1 * target.width)


def test_no_thought_names_what_only_a_closer_look_shows():
    for first, needle, path in cases():
        turns = demonstrate(needle, path, first, UNIT, SPEC)
        for turn in turns[:-1]:
            assert isinstance(turn.action, tuple)
            if needle.attribute in ("mark", "pattern"):
                assert needle.answer not in turn.thought.split()


def test_a_recovery_first_misses_and_then_finds():
    rng, found = np.random.default_rng(0), 0
    for first, needle, path in cases():
        if not path:
            continue
        turns = demonstrate(needle, path, first, UNIT, SPEC)
        again = recover(turns, first, SPEC, rng)
        if len(again) == len(turns):
            continue
        found += 1
        assert boxes.intersect(again[0].views[0].region, path[0]) is None
        assert again[1].views == turns[0].views
    assert found > 20


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_guess_is_one_turn(depth):
    first, needle, path = next(case for case in cases() if len(case[2]) == depth)
    assert [turn.action.text for turn in guess(needle, path, first, UNIT)] == [needle.answer]


def test_targets_are_shown_as_the_oracle_arm_shows_them():
    for first, needle, path in cases():
        *given, last = show_targets(needle, path, first, UNIT, SPEC)
        targets = path or tuple(boxes.scale(item.box, UNIT, UNIT) for item in needle.items)
        session = Session(
            "m", Question("q", ("",), needle.text, (), needle.answer, targets=targets), (PICTURE,), ORACLE
        )
        assert [turn.completion.text for turn in given] == [turn.completion.text for turn in session.trace.turns]
        assert [turn.views for turn in given] == [turn.views for turn in session.trace.turns]
        assert last.action.text == needle.answer


def test_whoever_must_zoom_opens_as_the_always_arm_does():
    for first, needle, path in cases():
        turns = zoom_anyway(needle, path, first, UNIT, SPEC)
        assert turns[0].completion.text.startswith(ZOOM_OPENING)
        assert len(turns) == max(2, len(path) + 1)
        target = path[0] if path else boxes.scale(needle.items[0].box, UNIT, UNIT)
        assert boxes.contains(turns[0].views[0].region, target, slack=0.1 * target.width)
        assert turns[-1].action.text == needle.answer
