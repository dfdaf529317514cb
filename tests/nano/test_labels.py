"""Dense labels: every token of a view says what stands there, worked out a second time token by token."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cof.data.worlds import SPLITS
from cof.geometry import Box, Shown, ViewSpec
from cof.nano.labels import (
    BACKGROUND,
    BLURRED,
    IGNORE,
    SEEN,
    TYPES,
    UNREADABLE,
    VOCABULARIES,
    TokenLabels,
    token_labels,
)
from cof.needle.questions import FIND, LEGIBLE, LEGIBLE_MARK
from cof.needle.scenes import BOARD, COLOURS, KINDS, MARKS, PATTERNS, Contents, Item, Scene, make_scene
from cof.vision import boxes, views
from tests.properties import cases

MANY = settings(max_examples=cases(100), deadline=None)

SIDE = 1792  # pixels of one unit
FACTOR = 28
FULL = Contents(small=(5, 5), large=(2, 2), boards=(2, 2), on_board=(4, 4))
LARGE_ITEM = Item("heart", "pink", "dotted", "K", Box(0.25, 0.25, 0.5, 0.5), 0.38)


def scene_of(*items: Item, boards: tuple[Item, ...] = ()) -> Scene:
    return Scene("x", (1.0, 1.0), items, boards, "train", 0, 0)


def overview(side: int) -> Shown:
    """The whole of a square scene at `side` x `side` pixels."""
    return Shown(Box(0, 0, SIDE, SIDE), (side, side))


@st.composite
def seen(draw: st.DrawFn) -> tuple[Scene, Shown]:
    """A scene and its overview or a zoom somewhere in it."""
    aspect = 2.0 ** draw(st.floats(-1.5, 1.5))
    scene = make_scene(draw(st.sampled_from(SPLITS)), draw(st.integers(0, 2**40)), FULL, aspect)
    spec = ViewSpec(max_pixels=draw(st.sampled_from([64, 256, 1024])) * FACTOR**2)
    first = views.overview((round(scene.extent[0] * SIDE), round(scene.extent[1] * SIDE)), spec)
    if draw(st.booleans()) or not scene.items:
        return scene, first
    target = boxes.scale(draw(st.sampled_from((*scene.boards, *scene.items))).box, SIDE, SIDE)
    moved = boxes.grow(target, draw(st.floats(0.5, 1.5)))
    return scene, views.zoom(boxes.shift_inside(moved, first.region), first, spec)


def stands_in(view: Shown, row: int, column: int, scene: Scene) -> Item | None:
    """The last-drawn thing under the token's centre; one under no centre belongs to the token of its own."""
    found = None
    for thing in (*scene.boards, *scene.items):
        part = boxes.intersect(view.from_source(boxes.scale(thing.box, SIDE, SIDE)), boxes.full(view.size))
        hidden = thing.board is not None and width_in(view, thing) < FIND
        if part is None or hidden:
            continue
        if holds(column, part.x0, part.x1) and holds(row, part.y0, part.y1):
            found = thing
    return found


def holds(token: int, low: float, high: float) -> bool:
    """Whether a span of pixels on one axis belongs to `token`: by its centre or, where there is none, by the span's."""
    if low <= (token + 0.5) * FACTOR < high:
        return True
    has_none = not any(low <= (n + 0.5) * FACTOR < high for n in range(int(low // FACTOR), int(high // FACTOR) + 1))
    return has_none and token == (low + high) / 2 // FACTOR


def width_in(view: Shown, thing: Item) -> float:
    return view.from_source(boxes.scale(thing.box, SIDE, SIDE)).width


def true_width(view: Shown, thing: Item) -> float:
    """Pixels of true detail: enlarging adds none."""
    shown = view.from_source(boxes.scale(thing.box, SIDE, SIDE))
    return min(shown.width, shown.height, thing.box.width * SIDE)


def rounding_decides(view: Shown, thing: Item) -> bool:
    """Whether an edge lies on a token's centre but for rounding, so that either side may own the token."""
    edges = view.from_source(boxes.scale(thing.box, SIDE, SIDE)).as_tuple()
    return any(abs(edge / FACTOR - 0.5 - round(edge / FACTOR - 0.5)) < 1e-6 for edge in edges)


def classes_of(labels: TokenLabels, token: int) -> dict[str, int]:
    return {name: int(values[token]) for name, values in labels.classes.items()}


def expected(thing: Item | None, view: Shown) -> tuple[dict[str, int], Box | None]:
    """Classes but for `mark`, and the box in the view."""
    if thing is None:
        return {"what": 0, "colour": IGNORE, "kind": IGNORE, "pattern": IGNORE}, None
    whole = view.from_source(boxes.scale(thing.box, SIDE, SIDE))
    part = boxes.intersect(whole, boxes.full(view.size))
    assert part is not None
    if part.area < SEEN * whole.area:
        return dict.fromkeys(("what", "colour", "kind", "pattern"), IGNORE), None
    colour = list(COLOURS).index(thing.colour)
    if thing.kind == BOARD:
        return {"what": 2, "colour": colour, "kind": IGNORE, "pattern": IGNORE}, part
    told = {
        "what": 1,
        "colour": colour if true_width(view, thing) >= FIND else IGNORE,
        "kind": KINDS.index(thing.kind) if true_width(view, thing) >= FIND else IGNORE,
        "pattern": PATTERNS.index(thing.pattern) if true_width(view, thing) >= LEGIBLE["pattern"] else IGNORE,
    }
    return told, part


@pytest.mark.long
@MANY
@given(seen())
def test_every_token_says_what_stands_there(case: tuple[Scene, Shown]) -> None:
    scene, view = case
    labels = token_labels(scene, view, SIDE, FACTOR)
    columns, rows = view.size[0] // FACTOR, view.size[1] // FACTOR
    assert labels.box.shape == (rows * columns, 4)
    for token in range(rows * columns):
        want, box = expected(stands_in(view, *divmod(token, columns), scene), view)
        got = classes_of(labels, token)
        assert {name: got[name] for name in want} == want
        if box is None:
            assert np.isnan(labels.box[token]).all()
        else:
            assert np.allclose(labels.box[token], box.as_tuple(), atol=1e-2)


@pytest.mark.long
@MANY
@given(seen())
def test_letters_are_told_where_they_can_be_read(case: tuple[Scene, Shown]) -> None:
    scene, view = case
    labels = token_labels(scene, view, SIDE, FACTOR)
    columns = view.size[0] // FACTOR
    for token, mark in enumerate(labels.classes["mark"]):
        row, column = divmod(token, columns)
        thing = stands_in(view, row, column, scene)
        if thing is None or thing.kind == BOARD:
            assert mark == IGNORE or near_a_sticker(view, row, column, scene)
            continue
        letter = true_width(view, thing) * thing.mark_height
        blurred = UNREADABLE if letter < LEGIBLE_MARK * BLURRED else IGNORE
        readable = MARKS.index(thing.mark) if letter >= LEGIBLE_MARK else blurred
        assert mark in (IGNORE, readable)


def near_a_sticker(view: Shown, row: int, column: int, scene: Scene) -> bool:
    """Whether the token lies beside an item smaller than a token, whose sticker counts as one token wide."""
    x, y = (column + 0.5) * FACTOR, (row + 0.5) * FACTOR
    found = (view.from_source(boxes.scale(item.box, SIDE, SIDE)) for item in scene.items)
    return any(max(abs(b.center[0] - x), abs(b.center[1] - y)) <= FACTOR and b.width < 2 * FACTOR for b in found)


@MANY
@given(seen())
def test_labels_are_of_their_vocabularies(case: tuple[Scene, Shown]) -> None:
    scene, view = case
    labels = token_labels(scene, view, SIDE, FACTOR)
    assert set(labels.classes) == set(VOCABULARIES)
    for name, values in labels.classes.items():
        assert values.dtype == np.int64
        assert set(values.tolist()) <= {IGNORE, *range(len(VOCABULARIES[name]))}
    known = ~np.isnan(labels.box)
    assert (known.all(1) == known.any(1)).all()
    assert (known.any(1) == np.isin(labels.classes["what"], [1, 2])).all()
    found = labels.box[known.any(1)]
    assert (found >= -1e-3).all()
    assert (found[:, [0, 2]] <= view.size[0] + 1e-3).all()
    assert (found[:, [1, 3]] <= view.size[1] + 1e-3).all()


def test_one_item_in_the_middle_of_its_overview() -> None:
    labels = token_labels(scene_of(LARGE_ITEM), overview(448), SIDE, FACTOR)  # 16 x 16 tokens
    what = labels.classes["what"].reshape(16, 16)
    assert (what[4:8, 4:8] == TYPES.index("item")).all()
    assert what.sum() == 16
    mark = labels.classes["mark"].reshape(16, 16)
    assert (mark[5:7, 5:7] == MARKS.index("K")).all()
    assert (mark != IGNORE).sum() == 4  # only where the sticker is
    assert np.allclose(labels.box.reshape(16, 16, 4)[5, 5], (112, 112, 224, 224))
    for name, value in (("colour", "pink"), ("kind", "heart"), ("pattern", "dotted")):
        assert (labels.classes[name].reshape(16, 16)[4:8, 4:8] == VOCABULARIES[name].index(value)).all()
        assert (labels.classes[name] != IGNORE).sum() == 16


@pytest.mark.parametrize("side", range(56, 1344, 56))
def test_nothing_is_told_that_the_pixels_do_not_show(side: int) -> None:
    labels = token_labels(scene_of(LARGE_ITEM), overview(side), SIDE, FACTOR)
    middle = int(0.375 * side // FACTOR)
    got = classes_of(labels, middle * (side // FACTOR) + middle)
    width, letter = side / 4, side / 4 * LARGE_ITEM.mark_height
    assert got["what"] == 1
    assert (got["colour"] == IGNORE) == (got["kind"] == IGNORE) == (width < FIND)
    assert (got["pattern"] == IGNORE) == (width < LEGIBLE["pattern"])
    assert (got["mark"] == MARKS.index("K")) == (letter >= LEGIBLE_MARK)
    assert (got["mark"] == UNREADABLE) == (letter < BLURRED * LEGIBLE_MARK)


def test_an_enlarged_view_shows_no_more_than_its_source() -> None:
    scene = scene_of(Item("heart", "pink", "dotted", "K", Box(0.25, 0.25, 0.375, 0.375), 0.14))
    zoomed = Shown(Box(224, 224, 448, 448), (896, 896))  # of 896 pixels: the item fills 448 pixels with 112 of detail
    got = classes_of(token_labels(scene, zoomed, 896, FACTOR), 8 * 32 + 8)
    assert (got["kind"], got["mark"]) == (KINDS.index("heart"), IGNORE)  # a letter of 15.7 pixels


@MANY
@given(seen())
def test_a_small_thing_weighs_as_much_as_a_large_one(case: tuple[Scene, Shown]) -> None:
    scene, view = case
    assume(not any(rounding_decides(view, thing) for thing in (*scene.boards, *scene.items)))
    labels = token_labels(scene, view, SIDE, FACTOR)
    columns = view.size[0] // FACTOR
    owners = [stands_in(view, *divmod(token, columns), scene) for token in range(len(labels.weight))]
    for thing in (None, *scene.boards, *scene.items):
        shares = [float(w) for w, owner in zip(labels.weight, owners, strict=True) if owner is thing]
        assert shares == pytest.approx([BACKGROUND if thing is None else 1 / len(shares) for _ in shares])
    marked = labels.classes["mark"] != IGNORE
    assert (labels.mark_weight[marked] > BACKGROUND).all()


def test_a_thing_that_is_mostly_cut_off_is_ignored() -> None:
    view = Shown(Box(800, 448, 1696, 1344), (448, 448))  # 96 of the item's 448 pixels are left
    labels = token_labels(scene_of(LARGE_ITEM), view, SIDE, FACTOR)
    what = labels.classes["what"].reshape(16, 16)
    assert (what[:8, 0] == IGNORE).all()
    assert (what[:, 3:] == 0).all()
    assert np.isnan(labels.box).all()


def test_a_board_under_its_items() -> None:
    board = Item(BOARD, "green", "plain", "", Box(0.25, 0.25, 0.5, 0.5))
    carried = Item("ring", "blue", "plain", "B", Box(0.34, 0.34, 0.41, 0.41), 0.34, board=0)
    scene = scene_of(carried, boards=(board,))
    far = token_labels(scene, overview(224), SIDE, FACTOR)  # the ring is 15.7 pixels wide
    assert set(far.classes["what"].tolist()) == {0, 2}
    near = token_labels(scene, overview(896), SIDE, FACTOR)
    what = near.classes["what"].reshape(32, 32)
    assert what[12, 12] == 1
    assert what[8, 8] == 2
    assert near.classes["colour"].reshape(32, 32)[12, 12] == list(COLOURS).index("blue")
    assert near.classes["colour"].reshape(32, 32)[8, 8] == list(COLOURS).index("green")
