"""What an example is at a size: pixels, view rules, depth and targets, decided in one place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cof.data.example import NATIVE, SOURCES, Example
from cof.data.worlds import world_of
from cof.geometry import Box, ViewSpec
from cof.loop.setting import with_budget
from cof.needle.questions import route
from cof.needle.samples import truth_of
from cof.types import Question

SPEC = ViewSpec()
WORLD = world_of("needle")


def photograph(**fields) -> Example:
    return Example(
        Question("q", ("",), "?", targets=(Box(40, 20, 80, 40),), **fields), lambda: Image.new("RGB", (896, 448))
    )


@pytest.mark.parametrize("source", SOURCES)
def test_an_example_as_it_is_keeps_everything(source):
    asked = photograph(depth=1)
    shown = asked.at(replace(SPEC, max_pixels=448 * 224), NATIVE, source)
    assert shown.question == asked.question
    assert shown.picture.size == shown.size == (896, 448)


def test_a_file_knows_no_depth_at_another_size():
    asked = photograph(depth=1)
    assert asked.at(SPEC, 448).question.depth is None
    assert asked.at(SPEC, 448, "original").question.depth is None
    assert asked.at(SPEC, 448).question.targets == (Box(20, 10, 40, 20),)
    assert asked.at(SPEC, 448, "original").question.targets == asked.question.targets
    assert asked.at(SPEC, 448).question.readable is None


def test_a_picture_is_never_enlarged_and_read_once():
    reads = []

    def load():
        reads.append(1)
        return Image.effect_noise((300, 200), 60).convert("RGB")

    asked = Example(Question("q", ("",), "?"), load)
    shown = [asked.at(SPEC, resolution) for resolution in (NATIVE, 300, 3000, 150)]
    assert [each.picture.size for each in shown] == [(300, 200)] * 3 + [(150, 100)]
    assert len(reads) == 1


def test_a_question_for_a_box_shrinks_with_its_picture():
    asked = Example(
        Question("q", ("",), "?", answer="[0, 0, 80, 40]", metric="iou"), lambda: Image.new("RGB", (896, 448))
    )
    assert asked.at(SPEC, 448).question.targets == (Box(0, 0, 40, 20),)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("resolution", [NATIVE, 112, 336])
@pytest.mark.parametrize("budget", [64, 256])
def test_a_world_says_what_its_example_needs_at_every_size(source, resolution, budget):
    spec = with_budget(SPEC, budget)
    for asked in WORLD.examples("train", 0, 20, (896,), SPEC):
        shown = asked.at(spec, resolution, source)
        truth = truth_of(shown)
        path = route(truth.needle, shown.overview, truth.side, shown.spec)
        assert truth.side == pytest.approx(max(shown.picture.size))
        assert shown.question.depth == (None if path is None else len(path))
        assert shown.question.readable == (path is not None)
        assert shown.question.targets
        assert not path or shown.question.targets == path
        unchanged = replace(shown.question, depth=asked.question.depth, targets=asked.question.targets, readable=True)
        assert unchanged == asked.question


def test_a_worlds_example_is_what_it_says_of_itself():
    for asked in WORLD.examples("train", 0, 20, (448, 896), SPEC):
        again = asked.at(SPEC)
        assert again.question == asked.question
        assert again.overview == asked.overview
        assert again.size == again.picture.size == asked.size
        assert np.array_equal(np.asarray(again.picture.image), np.asarray(asked.load()))


def test_the_answer_is_shown_where_the_targets_are():
    asked = photograph().at(SPEC)
    inside, outside = (replace(asked.overview, region=box) for box in (Box(0, 0, 100, 100), Box(50, 0, 100, 100)))
    assert (asked.shows_answer(inside), asked.shows_answer(outside)) == (True, False)
    assert Example(Question("q", ("",), "?"), asked.load).shows_answer(inside) is None
