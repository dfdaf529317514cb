"""What every visual token of a view shows: dense ground truth for the perception stage.

A view of (w, h) pixels has a grid of (h / factor, w / factor) tokens, row by row. A token belongs to the last-drawn thing
under its centre, or to a thing that is centred in it. Labels are indices into the world's vocabularies; IGNORE marks what
cannot be seen at this size, so that nothing is taught that the pixels do not show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cof.geometry import Box, Shown
from cof.needle.questions import FIND, LEGIBLE, LEGIBLE_MARK
from cof.needle.scenes import BOARD, COLOURS, KINDS, MARKS, PATTERNS, Item, Scene
from cof.vision import boxes

IGNORE = -100
TYPES = ("background", "item", "board")
UNREADABLE = len(MARKS)  # the extra class of `mark`: there is a letter, too small to read
VOCABULARIES = {
    "what": TYPES,
    "colour": tuple(COLOURS),
    "kind": KINDS,
    "pattern": PATTERNS,
    "mark": (*MARKS, "unreadable"),
}
SEEN = 0.6  # share of a thing that must lie in the view for its labels to hold
BACKGROUND = 0.02  # weight of a token that shows nothing
BLURRED = 0.75  # a letter below this share of the legible height is surely unreadable


@dataclass(frozen=True)
class TokenLabels:
    """Labels of one view's tokens.

    `classes[name]` is (tokens,) int64; `box` (tokens, 4) float32 pixels of the view, NaN where there is none. Weights
    are (tokens,) float32: one is shared among the tokens of a thing (`mark_weight`: of its sticker), so that a small
    thing counts as much as a large one.
    """

    classes: dict[str, np.ndarray]
    box: np.ndarray
    weight: np.ndarray
    mark_weight: np.ndarray


def token_labels(scene: Scene, view: Shown, unit: float, factor: int) -> TokenLabels:
    """Labels for `view`, whose region is in source pixels; `unit` is the source pixels of one unit."""
    shape = view.size[1] // factor, view.size[0] // factor
    classes = {name: np.full(shape, IGNORE, np.int64) for name in VOCABULARIES}
    classes["what"][:] = 0
    box, owner, bearer = np.full((*shape, 4), np.nan, np.float32), np.full(shape, -1), np.full(shape, -1)
    for index, thing in enumerate((*scene.boards, *scene.items)):
        whole = view.from_source(boxes.scale(thing.box, unit, unit))
        seen = boxes.intersect(whole, boxes.full(view.size))
        if seen is None or (thing.board is not None and whole.width < FIND):
            continue
        cells, clear = _cells(seen, factor, shape), seen.area >= SEEN * whole.area
        labels = _classes(thing, thing.box.width * unit * view.detail) if clear else dict.fromkeys(VOCABULARIES, IGNORE)
        for name, grid in classes.items():
            grid[cells] = labels[name] if name != "mark" else IGNORE
        box[cells], owner[cells] = (seen.as_tuple() if clear else np.nan), index
        sticker = boxes.intersect(boxes.grow(whole, thing.mark_height * 1.3, float(factor)), boxes.full(view.size))
        if clear and thing.kind != BOARD and sticker is not None:
            spot = _cells(sticker, factor, shape)
            classes["mark"][spot], bearer[spot] = labels["mark"], index
    flat = {name: grid.reshape(-1) for name, grid in classes.items()}
    return TokenLabels(flat, box.reshape(-1, 4), _shares(owner), _shares(bearer))


def _shares(owner: np.ndarray) -> np.ndarray:
    """One shared among the tokens of each owner, flat; BACKGROUND where there is none."""
    flat = owner.reshape(-1) + 1
    counts = np.bincount(flat)
    return np.where(flat == 0, BACKGROUND, 1 / np.maximum(counts[flat], 1)).astype(np.float32)


def _cells(box: Box, factor: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The tokens whose centres lie in the box; at least the one under the box's centre."""
    x0, x1 = _span(box.x0, box.x1, factor, shape[1])
    y0, y1 = _span(box.y0, box.y1, factor, shape[0])
    return slice(y0, y1), slice(x0, x1)


def _span(low: float, high: float, factor: int, count: int) -> tuple[int, int]:
    first, last = int(np.ceil(low / factor - 0.5)), int(np.floor(high / factor - 0.5)) + 1
    if last <= first:
        first = int((low + high) / 2 // factor)
        last = first + 1
    return max(0, min(first, count - 1)), max(1, min(last, count))


def _classes(thing: Item, side: float) -> dict[str, int]:
    """Class indices of a thing that is shown with `side` pixels of true detail."""
    if thing.kind == BOARD:
        return {
            "what": 2,
            "colour": list(COLOURS).index(thing.colour),
            "kind": IGNORE,
            "pattern": IGNORE,
            "mark": IGNORE,
        }
    letter = side * thing.mark_height
    mark = UNREADABLE if letter < LEGIBLE_MARK * BLURRED else IGNORE
    return {
        "what": 1,
        "colour": list(COLOURS).index(thing.colour) if side >= FIND else IGNORE,
        "kind": KINDS.index(thing.kind) if side >= FIND else IGNORE,
        "pattern": PATTERNS.index(thing.pattern) if side >= LEGIBLE["pattern"] else IGNORE,
        "mark": MARKS.index(thing.mark) if letter >= LEGIBLE_MARK else mark,
    }
