"""What can be asked of a needle scene, the true answer, and the zooms that a careful reader needs for it.

Two categories as in V*Bench: `direct_attributes` (letter, colour, pattern) and `relative_position`. The route to an
answer (no zoom, one, or two) follows from how many pixels a thing has in the overview and in each zoom, by `LEGIBLE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cof.geometry import Box, Shown, ViewSpec
from cof.needle.scenes import COLOURS, MARKS, PATTERNS, Item, Scene
from cof.vision import boxes, views

Attribute = Literal["mark", "colour", "pattern", "relation"]
Category = Literal["direct_attributes", "relative_position"]

FIND = 22.0  # pixels: an item with a shorter side cannot be distinguished
LEGIBLE = {"colour": FIND, "relation": FIND, "pattern": 48.0}  # pixels of the item's side
LEGIBLE_MARK = 16.0  # pixels of the letter's height
CLEARLY = 0.08  # units: items of a relation lie at least this far apart on its axis
CLEARLY_ON_BOARD = 0.2  # the same on a board, in sides of the board


@dataclass(frozen=True)
class Needle:
    """A question about `items` of a scene (a relation has two, subject first); `board` carries them, or is None."""

    text: str
    answer: str
    pool: tuple[str, ...]
    attribute: Attribute
    items: tuple[Item, ...]
    board: Item | None = None

    @property
    def category(self) -> Category:
        return "relative_position" if self.attribute == "relation" else "direct_attributes"


def needles(scene: Scene) -> Iterator[Needle]:
    """Every question that has exactly one answer in the scene."""
    free = [i for i in scene.items if i.board is None and len(scene.named(i.name)) == 1]
    for item in free:
        yield from _attributes(item, f"the {item.name}", None)
        if sum(other.kind == item.kind for other in scene.items) == 1:
            yield _colour(item, f"the {item.kind}", None)
    yield from _relations(free, "Is the {a} {axis} of the {b}?", CLEARLY, None)
    for index, board in enumerate(scene.boards):
        carried = [i for i in scene.items if i.board == index]
        for item in carried:
            where = f"the {item.kind} on the {board.name}"
            yield from _attributes(item, where, board)
            yield _colour(item, where, board)
        text = f"On the {board.name}, is the {{a}} {{axis}} of the {{b}}?"
        yield from _relations(carried, text, CLEARLY_ON_BOARD * board.box.width, board)


def route(needle: Needle, first: Shown, unit: float, spec: ViewSpec) -> tuple[Box, ...] | None:
    """The boxes (source pixels) to zoom into, in order, so that the answer can be read; None if no zooming helps.

    `first` is the overview and `unit` the source pixels of one unit: a picture of low resolution hides what no zoom
    brings back.
    """
    if can_read(needle, first, unit):
        return ()
    item = boxes.scale(needle.items[0].box, unit, unit)
    steps: list[tuple[Box, ...]] = [(item,)] if can_find(needle, first, unit) and len(needle.items) == 1 else []
    if needle.board is not None:
        board = boxes.scale(needle.board.box, unit, unit)
        steps.append((board,))
        if len(needle.items) == 1 and can_find(needle, views.zoom(board, first, spec), unit):
            steps.append((board, item))
    for path in steps:
        if can_read(needle, views.zoom(path[-1], first, spec), unit):
            return path
    return None


def can_find(needle: Needle, view: Shown, unit: float) -> bool:
    """Whether the things that are asked about are large enough in `view` to be distinguished."""
    return all(item.box.width * unit * view.detail >= FIND for item in needle.items)


def can_read(needle: Needle, view: Shown, unit: float) -> bool:
    """Whether the answer is large enough to be read in `view`, if it lies there."""
    if needle.attribute == "mark":
        return needle.items[0].box.width * needle.items[0].mark_height * unit * view.detail >= LEGIBLE_MARK
    return all(item.box.width * unit * view.detail >= LEGIBLE[needle.attribute] for item in needle.items)


def pick(
    scene: Scene,
    rng: np.random.Generator,
    count: int,
    first: Shown,
    unit: float,
    spec: ViewSpec,
    depth_weights: tuple[float, ...],
) -> list[tuple[Needle, tuple[Box, ...]]]:
    """At most `count` different questions with their routes: a depth by weight, then a kind of question, then one."""
    groups: dict[int, dict[Attribute, list[tuple[Needle, tuple[Box, ...]]]]] = {}
    for needle in needles(scene):
        path = route(needle, first, unit, spec)
        if path is not None and len(path) < len(depth_weights) and depth_weights[len(path)] > 0:
            groups.setdefault(len(path), {}).setdefault(needle.attribute, []).append((needle, path))
    chosen: list[tuple[Needle, tuple[Box, ...]]] = []
    while groups and len(chosen) < count:
        depths = sorted(groups)
        weights = np.array([depth_weights[d] for d in depths])
        depth = depths[int(rng.choice(len(depths), p=weights / weights.sum()))]
        attribute = sorted(groups[depth])[int(rng.integers(len(groups[depth])))]
        pool = groups[depth][attribute]
        chosen.append(pool.pop(int(rng.integers(len(pool)))))
        if not pool:
            del groups[depth][attribute]
        if not groups[depth]:
            del groups[depth]
    return chosen


def choices(needle: Needle, rng: np.random.Generator, most: int = 4) -> tuple[str, ...]:
    """The answer among at most `most` options, shuffled."""
    others = [a for a in needle.pool if a != needle.answer]
    picked = [str(a) for a in rng.permutation(others)[: most - 1]]
    return tuple(str(a) for a in rng.permutation([needle.answer, *picked]))


def _attributes(item: Item, where: str, board: Item | None) -> Iterator[Needle]:
    yield Needle(f"What letter is on {where}?", item.mark, MARKS, "mark", (item,), board)
    yield Needle(f"What pattern does {where} have?", item.pattern, PATTERNS, "pattern", (item,), board)


def _colour(item: Item, where: str, board: Item | None) -> Needle:
    return Needle(f"What color is {where}?", item.colour, tuple(COLOURS), "colour", (item,), board)


def _relations(items: list[Item], text: str, apart: float, board: Item | None) -> Iterator[Needle]:
    for a in items:
        for b in items:
            dx, dy = (p - q for p, q in zip(a.box.center, b.box.center, strict=True))
            names = {"a": a.kind if board else a.name, "b": b.kind if board else b.name}
            if a is not b and abs(dx) >= apart:
                answer, pool = ("left" if dx < 0 else "right"), ("left", "right")
                yield Needle(text.format(axis="left or right", **names), answer, pool, "relation", (a, b), board)
            if a is not b and abs(dy) >= apart:
                answer, pool = ("above" if dy < 0 else "below"), ("above", "below")
                question = text.format(axis="above or below", **names).replace("below of", "below")
                yield Needle(question, answer, pool, "relation", (a, b), board)
