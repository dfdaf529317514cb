"""Pixels of needle scenes: the same for the same seed, a crop like the whole, and things where the scene says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cof.data.worlds import SPLITS
from cof.geometry import Box
from cof.needle.drawing import draw, draw_full, jpeg
from cof.needle.scenes import COLOURS, KINDS, MARKS, PATTERNS, Contents, Item, Scene, make_scene
from cof.vision import boxes
from tests.properties import cases

FEW = settings(max_examples=cases(30), deadline=None)

FULL = Contents(small=(5, 5), large=(2, 2), boards=(2, 2), on_board=(4, 4))
BODY = {  # a point of each shape outside the sticker, in half sides from the centre, before it is turned
    "circle": (0, -0.8),
    "ring": (0, -0.8),
    "square": (0, -0.7),
    "triangle": (0, 0.75),
    "diamond": (0, -0.65),
    "cross": (0, -0.8),
    "hourglass": (0, -0.8),
    "arrow": (-0.75, 0),
    "star": (0, -0.68),
    "heart": (0.5, -0.65),
}


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """Absolute difference, (height, width, 3), 0 to 255."""
    return np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16))


def scene_with(item: Item) -> Scene:
    return Scene("x", (1.0, 1.0), (item,), (), "train", 0, 0)


@FEW
@given(st.sampled_from(SPLITS), st.integers(0, 2**62), st.floats(-3, 3))
def test_the_same_seed_gives_the_same_pixels(split: str, seed: int, power: float) -> None:
    one, two = (draw_full(make_scene(split, seed, FULL, 2.0**power), 300) for _ in range(2))  # type: ignore[arg-type]
    assert one.tobytes() == two.tobytes()


def test_seeds_and_splits_give_different_pixels() -> None:
    pictures = {draw_full(make_scene(split, seed), 100).tobytes() for split in SPLITS for seed in range(20)}
    assert len(pictures) == 60


@FEW
@given(st.integers(0, 2**40), st.sampled_from([1.0, 1.6, 0.5]), st.data())
def test_a_region_drawn_alone_is_like_the_crop_of_the_whole(seed: int, aspect: float, data: st.DataObject) -> None:
    scene = make_scene("test", seed, FULL, aspect)
    whole = draw_full(scene, 800)
    x0, y0 = data.draw(st.integers(0, whole.width - 60)), data.draw(st.integers(0, whole.height - 60))
    x1, y1 = data.draw(st.integers(x0 + 50, whole.width)), data.draw(st.integers(y0 + 50, whole.height))
    unit = scene.extent[0] / whole.width, scene.extent[1] / whole.height
    region = boxes.clip(boxes.scale(Box(x0, y0, x1, y1), *unit), Box(0, 0, *scene.extent))
    crop = whole.crop((x0, y0, x1, y1))
    off = difference(draw(scene, region, crop.size), crop)
    assert off.mean() < 1
    assert (off.max(2) > 8).mean() < 0.01
    fine = draw(scene, region, (crop.width * 2, crop.height * 2)).reduce(2)
    assert difference(fine, crop).mean() < 6


@settings(max_examples=cases(15), deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 2**40), st.integers(224, 3840), st.floats(-3.3, 3.3))
def test_any_side_and_aspect(split: str, seed: int, side: int, power: float) -> None:
    scene = make_scene(split, seed, FULL, 2.0**power)  # type: ignore[arg-type]
    picture = draw_full(scene, side)
    assert picture.mode == "RGB"
    assert max(picture.size) == side
    assert picture.width == max(1, round(scene.extent[0] * side))
    assert picture.height == max(1, round(scene.extent[1] * side))


@pytest.mark.parametrize("aspect", [1 / 100, 1 / 20, 20, 100])
def test_very_thin_pictures(aspect: float) -> None:
    picture = draw_full(make_scene("test", 1, FULL, aspect), 1000)
    assert sorted(picture.size) == [max(1, round(1000 / max(aspect, 1 / aspect))), 1000]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", [-12, 0, 12])
def test_a_thing_has_its_colour_where_the_scene_says(kind: str, turn: int) -> None:
    for n, (colour, rgb) in enumerate(COLOURS.items()):
        box = Box(0.1 + n * 0.07, 0.2, 0.35 + n * 0.07, 0.45)
        item = Item(kind, colour, "plain", "W", box, 0.38, 0 if kind in ("circle", "ring") else turn)
        picture = draw_full(scene_with(item), 400)
        (x, y), spin = BODY[kind], math.radians(item.turn)
        x, y = x * math.cos(spin) - y * math.sin(spin), x * math.sin(spin) + y * math.cos(spin)
        (cx, cy), r = box.center, box.width / 2
        pixel = picture.getpixel((int((cx + r * x) * 400), int((cy + r * y) * 400)))
        assert max(abs(a - b) for a, b in zip(pixel, rgb, strict=True)) <= 45  # type: ignore[arg-type, call-overload]


@pytest.mark.parametrize("side", [400, 1600])
def test_things_stay_within_their_box(side: int) -> None:
    for kind in KINDS:
        item = Item(kind, "red", "checkered", "W", Box(0.4, 0.4, 0.6, 0.6), 0.38, 12)
        empty = Scene("x", (1.0, 1.0), (), (), "train", 0, 0)
        changed = difference(draw_full(scene_with(item), side), draw_full(empty, side)).max(2) > 0
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        slack = 0.03 * side  # a turned corner may stand out a little
        assert min(rows[0], columns[0]) >= 0.4 * side - slack
        assert max(rows[-1], columns[-1]) <= 0.6 * side + slack
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) >= 0.16 * side  # and fill it


def test_every_letter_and_pattern_looks_different() -> None:
    def tile(mark: str, pattern: str) -> bytes:
        item = Item("square", "blue", pattern, mark, Box(0.4, 0.4, 0.5, 0.5), 0.38)
        return draw(scene_with(item), item.box, (84, 84)).tobytes()

    assert len({tile(mark, "plain") for mark in MARKS}) == len(MARKS)
    assert len({tile("A", pattern) for pattern in PATTERNS}) == len(PATTERNS)


def test_a_letter_is_as_tall_as_it_claims() -> None:
    item = Item("square", "yellow", "plain", "H", Box(0.25, 0.25, 0.75, 0.75), 0.4)
    for side in (200, 400, 1000):
        picture = np.asarray(draw_full(scene_with(item), side).convert("L"))
        half = int(0.5 * 0.4 * 1.4 / 2 * side)  # just within the sticker
        middle = picture[side // 2 - half : side // 2 + half, side // 2 - half : side // 2 + half]
        rows = np.flatnonzero((middle < 128).any(1))
        assert rows[-1] - rows[0] + 1 == pytest.approx(0.5 * 0.4 * side, rel=0.15)


def test_things_on_a_board_are_drawn_over_it() -> None:
    scene = next(s for s in (make_scene("train", n, FULL) for n in range(9)) if s.boards)
    bare = Scene(scene.id, scene.extent, (), scene.boards, scene.split, scene.seed, scene.clutter)
    carried = next(item for item in scene.items if item.board == 0)
    size = (100, 100)
    assert difference(draw(scene, carried.box, size), draw(bare, carried.box, size)).mean() > 20


def test_through_jpeg() -> None:
    picture = draw_full(make_scene("test", 1), 300)
    back = jpeg(picture, 90)
    assert (back.mode, back.size) == ("RGB", picture.size)
    assert 0 < difference(back, picture).mean() < 5
    assert difference(jpeg(picture, 10), picture).mean() > difference(back, picture).mean()
