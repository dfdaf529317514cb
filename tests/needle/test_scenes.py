"""Needle scenes: what a seed gives, what splits never share, and that things lie side by side."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.data.worlds import SPLITS
from cof.geometry import Box
from cof.needle.scenes import BOARD, COLOURS, HELD_OUT, KINDS, MARKS, PATTERNS, Contents, Scene, make_scene
from cof.vision import boxes
from tests.properties import cases

SIDE = settings(max_examples=cases(1_000), deadline=None)

FULL = Contents(small=(5, 5), large=(2, 2), boards=(2, 2), on_board=(4, 4))
SEEDS = st.integers(0, 2**62)
SPLIT = st.sampled_from(SPLITS)
ASPECTS = st.floats(-3, 3).map(lambda power: 2.0**power)  # 1 : 8 to 8 : 1


def pairs_in(scene: Scene) -> set[tuple[str, str]]:
    return {(item.colour, item.kind) for item in scene.items}


@SIDE
@given(SPLIT, SEEDS, ASPECTS)
def test_the_same_arguments_give_the_same_scene(split: str, seed: int, aspect: float) -> None:
    assert make_scene(split, seed, FULL, aspect) == make_scene(split, seed, FULL, aspect)  # type: ignore[arg-type]


def test_seeds_and_splits_give_different_scenes() -> None:
    scenes = [make_scene(split, seed) for split in SPLITS for seed in range(100)]
    assert len({scene.items for scene in scenes}) == 300
    assert len({scene.id for scene in scenes}) == 300


@pytest.mark.parametrize("split", ["train", "validation"])
def test_held_out_pairs_are_in_no_scene_of(split: str) -> None:
    for seed in range(500):
        assert not pairs_in(make_scene(split, seed, FULL)) & HELD_OUT  # type: ignore[arg-type]


def test_test_scenes_hold_every_held_out_pair() -> None:
    assert set().union(*(pairs_in(make_scene("test", seed, FULL)) for seed in range(200))) >= HELD_OUT


def test_training_scenes_hold_every_colour_and_kind_and_every_pair_that_is_not_held_out() -> None:
    seen = set().union(*(pairs_in(make_scene("train", seed, FULL)) for seed in range(200)))
    assert seen == {(colour, kind) for colour in COLOURS for kind in KINDS} - HELD_OUT
    assert {colour for colour, _ in seen} == set(COLOURS)
    assert {kind for _, kind in seen} == set(KINDS)


@SIDE
@given(SPLIT, SEEDS, ASPECTS)
def test_things_lie_inside_and_never_overlap(split: str, seed: int, aspect: float) -> None:
    scene = make_scene(split, seed, FULL, aspect)  # type: ignore[arg-type]
    free = [item.box for item in scene.items if item.board is None] + [board.box for board in scene.boards]
    assert all(boxes.contains(Box(0, 0, *scene.extent), box, slack=0) for box in free)
    assert not any(boxes.intersect(a, b) for a, b in combinations(free, 2))
    for index, board in enumerate(scene.boards):
        carried = [item.box for item in scene.items if item.board == index]
        face = boxes.grow(board.box, 1 - 2 * 0.07)  # within the frame that `drawing` draws
        assert all(boxes.contains(face, box) for box in carried)
        assert not any(boxes.intersect(a, b) for a, b in combinations(carried, 2))


@SIDE
@given(SPLIT, SEEDS, ASPECTS)
def test_what_things_are(split: str, seed: int, aspect: float) -> None:
    scene = make_scene(split, seed, FULL, aspect)  # type: ignore[arg-type]
    assert max(scene.extent) == 1
    assert scene.extent[0] / scene.extent[1] == pytest.approx(aspect)
    assert len({board.name for board in scene.boards}) == len(scene.boards) <= 2
    for item in scene.items:
        assert (item.colour in COLOURS, item.kind in KINDS) == (True, True)
        assert (item.pattern in PATTERNS, item.mark in MARKS) == (True, True)
        assert item.box.width == pytest.approx(item.box.height)
        assert scene.named(f"{item.colour} {item.kind}").count(item) == 1
    for index, board in enumerate(scene.boards):
        kinds = [item.kind for item in scene.items if item.board == index]
        assert board.kind == BOARD
        assert len(set(kinds)) == len(kinds) == 4
    boards = [item.board for item in scene.items]
    assert boards == sorted(boards, key=lambda index: -1 if index is None else index)  # free items first


def test_contents_are_as_many_as_asked_for() -> None:
    few = Contents(small=(1, 3), large=(0, 1), boards=(0, 1), on_board=(2, 2))
    found = [make_scene("train", seed, few) for seed in range(100)]
    free = [sum(item.board is None for item in scene.items) for scene in found]
    assert set(free) == {1, 2, 3, 4}
    assert {len(scene.boards) for scene in found} == {0, 1}
    assert all(len(scene.items) == n + 2 * len(scene.boards) for scene, n in zip(found, free, strict=True))
    nothing = Contents(small=(0, 0), large=(0, 0), boards=(0, 0))
    assert make_scene("train", 0, nothing).items == ()


@pytest.mark.parametrize("aspect", [1 / 50, 1 / 20, 20, 50])
def test_a_very_thin_picture_holds_what_fits(aspect: float) -> None:
    scene = make_scene("train", 0, FULL, aspect)
    assert all(item.box.width < min(scene.extent) for item in scene.items)
