"""Questions of needle scenes: one true answer each, and the route to it, both worked out again from the scene."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.data.worlds import SPLITS
from cof.geometry import Box, Shown, ViewSpec
from cof.needle.questions import FIND, LEGIBLE, LEGIBLE_MARK, Needle, choices, needles, pick, route
from cof.needle.scenes import COLOURS, MARKS, PATTERNS, Contents, Item, Scene, make_scene
from cof.vision import boxes, views
from tests.properties import cases

MANY = settings(max_examples=cases(300), deadline=None)

FULL = Contents(small=(5, 5), large=(2, 2), boards=(2, 2), on_board=(4, 4))
SCENES = st.builds(
    make_scene,
    st.sampled_from(SPLITS),
    st.integers(0, 2**40),
    st.sampled_from([Contents(), FULL]),
    st.floats(-2, 2).map(lambda power: 2.0**power),
)
BUDGETS = (64, 144, 256, 576, 1369)  # visual tokens: the overviews of 224, 336, 448, 672 and 1024 pixels
SIDES = (224, 448, 896, 1792, 3840)
POOLS = {"letter": MARKS, "pattern": PATTERNS, "color": tuple(COLOURS)}


def spec_of(tokens: int) -> ViewSpec:
    return ViewSpec(max_pixels=tokens * 28 * 28)


# the answer, read from the words and the scene alone


def meant(scene: Scene, name: str, board: str | None) -> list[Item]:
    """Every item that "red circle" or "circle" may mean, on the board of a colour or anywhere."""
    *colour, kind = name.split()
    places = [n for n, b in enumerate(scene.boards) if b.colour == board]
    return [
        item
        for item in scene.items
        if item.kind == kind and [item.colour] in (colour, [item.colour] * (not colour))
        if board is None or item.board in places
    ]


def answers(scene: Scene, text: str) -> set[str]:
    """Every true answer to `text`."""
    on_board = r"(?: on the (?P<board>\w+) board)?"
    if found := re.fullmatch(rf"What letter is on the (?P<a>[\w ]+?){on_board}\?", text):
        return {item.mark for item in meant(scene, found["a"], found["board"])}
    if found := re.fullmatch(rf"What pattern does the (?P<a>[\w ]+?){on_board} have\?", text):
        return {item.pattern for item in meant(scene, found["a"], found["board"])}
    if found := re.fullmatch(rf"What color is the (?P<a>[\w ]+?){on_board}\?", text):
        return {item.colour for item in meant(scene, found["a"], found["board"])}
    axis = r"(?:left or right of|above or below)"
    found = re.fullmatch(
        rf"(?:On the (?P<board>\w+) board, i|I)s the (?P<a>[\w ]+) (?P<axis>{axis}) the (?P<b>[\w ]+)\?", text
    )
    assert found, text
    said = set()
    for a in meant(scene, found["a"], found["board"]):
        for b in meant(scene, found["b"], found["board"]):
            dx, dy = a.box.center[0] - b.box.center[0], a.box.center[1] - b.box.center[1]
            said.add(("left" if dx < 0 else "right") if "left" in found["axis"] else ("above" if dy < 0 else "below"))
    return said


@MANY
@given(SCENES)
def test_every_question_has_exactly_the_one_true_answer(scene: Scene) -> None:
    found = list(needles(scene))
    for needle in found:
        assert answers(scene, needle.text) == {needle.answer}
    texts = Counter(needle.text for needle in found)
    assert not texts or max(texts.values()) == 1


@MANY
@given(SCENES)
def test_what_a_needle_points_at(scene: Scene) -> None:
    for needle in needles(scene):
        assert needle.answer in needle.pool
        assert len(set(needle.pool)) == len(needle.pool)
        assert all(item in scene.items for item in needle.items)
        assert len(needle.items) == (2 if needle.attribute == "relation" else 1)
        assert needle.category == ("relative_position" if len(needle.items) == 2 else "direct_attributes")
        carriers = {None if item.board is None else scene.boards[item.board] for item in needle.items}
        assert carriers == {needle.board}
        for word, pool in POOLS.items():
            assert (word in needle.text.split()) == (needle.pool == pool)


def test_twins_are_not_asked_about_by_name_but_things_on_boards_are_told_apart() -> None:
    box = Box(0.1, 0.1, 0.2, 0.2)
    one = Item("circle", "red", "plain", "A", box, 0.3)
    two = Item("circle", "red", "dotted", "B", Box(0.5, 0.5, 0.6, 0.6), 0.3)
    other = Item("circle", "blue", "plain", "C", Box(0.8, 0.8, 0.9, 0.9), 0.3)
    texts = {needle.text for needle in needles(Scene("x", (1, 1), (one, two, other), (), "train", 0, 0))}
    assert texts == {"What letter is on the blue circle?", "What pattern does the blue circle have?"}
    board = Item("board", "green", "plain", "", Box(0.4, 0.4, 0.7, 0.7))
    carried = Item("circle", "red", "plain", "A", box, 0.3, board=0)
    texts = {needle.text for needle in needles(Scene("x", (1, 1), (one, carried), (board,), "train", 0, 0))}
    assert "What letter is on the circle on the green board?" in texts
    assert "What letter is on the red circle?" not in texts
    assert "What color is the circle?" not in texts


# the route


def detail(view: Shown, side: int) -> float:
    """Pixels of true detail a unit in a view of a picture whose longer side is `side` pixels."""
    shown = [view.size[0] / view.region.width, view.size[1] / view.region.height]
    return min([*shown, 1.0]) * side


def readable(needle: Needle, pixels: float) -> bool:
    """Whether each thing is as wide as its attribute wants, and its letter as tall."""
    widths = [item.box.width * pixels for item in needle.items]
    least = LEGIBLE | {"mark": LEGIBLE_MARK / needle.items[0].mark_height}
    return all(width >= least[needle.attribute] - 1e-9 for width in widths)


def check_route(needle: Needle, path: tuple[Box, ...] | None, first: Shown, side: int, spec: ViewSpec) -> None:
    item = boxes.scale(needle.items[0].box, side, side)
    board = boxes.scale(needle.board.box, side, side) if needle.board else None
    one = len(needle.items) == 1
    findable = one and needle.items[0].box.width * detail(first, side) >= FIND

    def after(box: Box) -> float:
        return detail(views.zoom(box, first, spec), side)

    direct = findable and readable(needle, after(item))
    by_board = board is not None and readable(needle, after(board))
    findable_there = one and board is not None and needle.items[0].box.width * after(board) >= FIND
    nested = findable_there and readable(needle, after(item))
    if readable(needle, detail(first, side)):
        assert path == ()
    elif direct:
        assert path == (item,)
    elif by_board:
        assert path == (board,)
    elif nested:
        assert path == (board, item)
    else:
        assert path is None


@MANY
@given(SCENES, st.sampled_from(BUDGETS), st.sampled_from(SIDES))
def test_the_route_follows_from_what_can_be_read(scene: Scene, tokens: int, side: int) -> None:
    spec = spec_of(tokens)
    first = views.overview((round(scene.extent[0] * side), round(scene.extent[1] * side)), spec)
    for needle in needles(scene):
        check_route(needle, route(needle, first, side, spec), first, side, spec)


@MANY
@given(SCENES)
def test_a_larger_overview_never_needs_more_zooms(scene: Scene) -> None:
    size = (round(scene.extent[0] * 1792), round(scene.extent[1] * 1792))
    for needle in needles(scene):
        depths = []
        for tokens in BUDGETS:
            path = route(needle, views.overview(size, spec_of(tokens)), 1792, spec_of(tokens))
            depths.append(9 if path is None else len(path))
        assert depths == sorted(depths, reverse=True)


@pytest.mark.parametrize(("tokens", "want"), [(64, {0, 1, 2}), (256, {0, 1, 2}), (1369, {0, 1})])
def test_depths_at_several_overview_budgets(tokens: int, want: set[int]) -> None:
    spec = spec_of(tokens)
    first = views.overview((1792, 1792), spec)
    counts: Counter[int] = Counter()
    for seed in range(40):
        for needle in needles(make_scene("test", seed, FULL)):
            path = route(needle, first, 1792, spec)
            if path is not None:
                counts[len(path)] += 1
    common = {depth for depth, n in counts.items() if n >= 0.03 * counts.total()}
    assert common == want


def test_no_zoom_brings_back_what_the_picture_does_not_hold() -> None:
    spec = spec_of(256)
    for seed in range(40):
        scene = make_scene("test", seed, FULL)
        for needle in needles(scene):
            if needle.attribute == "mark" and needle.board is not None:
                assert route(needle, views.overview((224, 224), spec), 224, spec) is None


# choices and picks


@MANY
@given(SCENES, st.integers(0, 2**32), st.integers(2, 6))
def test_choices_hold_the_answer_once(scene: Scene, seed: int, most: int) -> None:
    for needle in needles(scene):
        options = choices(needle, np.random.default_rng(seed), most)
        assert options.count(needle.answer) == 1
        assert len(set(options)) == len(options) == min(most, len(needle.pool))
        assert set(options) <= set(needle.pool)
        assert options == choices(needle, np.random.default_rng(seed), most)


def test_the_answer_stands_at_every_place() -> None:
    rng = np.random.default_rng(0)
    needle = next(n for seed in range(9) for n in needles(make_scene("train", seed, FULL)) if n.attribute == "mark")
    places = Counter(choices(needle, rng).index(needle.answer) for _ in range(400))
    assert set(places) == {0, 1, 2, 3}
    assert min(places.values()) > 60


@MANY
@given(SCENES, st.integers(0, 2**32), st.sampled_from([(1.0,), (0, 1.0), (0, 0, 1.0), (0.3, 0.4, 0.3)]))
def test_picks_are_different_questions_of_the_wanted_depths(
    scene: Scene, seed: int, weights: tuple[float, ...]
) -> None:
    spec = spec_of(256)
    first = views.overview((round(scene.extent[0] * 1792), round(scene.extent[1] * 1792)), spec)
    found = pick(scene, np.random.default_rng(seed), 5, first, 1792, spec, weights)
    assert found == pick(scene, np.random.default_rng(seed), 5, first, 1792, spec, weights)
    assert len({needle.text for needle, _ in found}) == len(found) <= 5
    possible = 0
    for needle in needles(scene):
        path = route(needle, first, 1792, spec)
        possible += path is not None and len(path) < len(weights) and weights[len(path)] > 0
    assert len(found) == min(5, possible)
    for needle, path in found:
        assert path == route(needle, first, 1792, spec)
        assert weights[len(path)] > 0
