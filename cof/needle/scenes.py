"""What is in a needle scene: objects, boards and clutter in unit coordinates, drawn from a seed. No pixels here.

Unit frame: origin top-left, the longer side of the picture is 1; the same scene can be shown at any resolution.
An *item* is a coloured, patterned shape with a letter on a white sticker; a *board* is a framed panel that carries small
items. Splits never share a seed, and the colour-kind pairs of `HELD_OUT` occur in no training or validation scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cof.data.worlds import SPLITS, Split
from cof.geometry import Box
from cof.vision import boxes

COLOURS = {
    "red": (214, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (240, 218, 40),
    "green": (40, 155, 60),
    "cyan": (60, 205, 215),
    "blue": (40, 80, 215),
    "purple": (130, 50, 170),
    "pink": (245, 125, 185),
}
KINDS = ("circle", "square", "triangle", "diamond", "star", "cross", "heart", "arrow", "ring", "hourglass")
PATTERNS = ("plain", "striped", "dotted", "checkered")
MARKS = tuple("ABCDEFGHJKLMNPRSTUVWXYZ")  # I, O and Q look like others when small
BOARD = "board"

HELD_OUT = frozenset((c, k) for i, c in enumerate(COLOURS) for j, k in enumerate(KINDS) if (i + j) % 5 == 0)


@dataclass(frozen=True)
class Build:
    """How a class of things is built: its side (least, most), and its letter's height as a share of the side."""

    side: tuple[float, float]
    mark: float


SMALL = Build((0.065, 0.10), 0.26)  # in units: seen in an overview of 448 px, its letter is 8 to 12 px tall there
LARGE = Build((0.20, 0.28), 0.38)  # in units: its letter can be read in an overview of 448 px
BOARD_SIDE = (0.19, 0.23)  # in units
ON_BOARD = Build((0.19, 0.21), 0.34)  # in sides of the board


@dataclass(frozen=True)
class Item:
    """One object. `box` is in the unit frame, `mark_height` in sides, `turn` in degrees, `board` an index or None."""

    kind: str
    colour: str
    pattern: str
    mark: str
    box: Box
    mark_height: float = 0.0
    turn: float = 0.0
    board: int | None = None

    @property
    def name(self) -> str:
        return f"{self.colour} {self.kind}"

    @property
    def pair(self) -> tuple[str, str]:
        return self.colour, self.kind


@dataclass(frozen=True)
class Contents:
    """How many of each thing a scene holds, as inclusive ranges: the knobs of a curriculum."""

    small: tuple[int, int] = (2, 5)
    large: tuple[int, int] = (0, 2)
    boards: tuple[int, int] = (0, 2)
    on_board: tuple[int, int] = (2, 4)
    clutter: int = 40


@dataclass(frozen=True)
class Scene:
    """A picture before it has pixels. `extent` = (width, height) in units; items on boards come after the free ones."""

    id: str
    extent: tuple[float, float]
    items: tuple[Item, ...]
    boards: tuple[Item, ...]
    split: Split
    seed: int
    clutter: int

    def rng(self, purpose: int) -> np.random.Generator:
        """Randomness of this scene alone, the same at every call; `purpose` tells its uses apart."""
        return np.random.default_rng([purpose, SPLITS.index(self.split), self.seed])

    def named(self, name: str) -> tuple[Item, ...]:
        """All items, on boards or not, that answer to "colour kind"."""
        return tuple(item for item in self.items if item.name == name)


def make_scene(split: Split, seed: int, contents: Contents = Contents(), aspect: float = 1.0) -> Scene:
    """The scene of `seed` in `split`; `aspect` is width / height. The same arguments give the same scene."""
    rng = np.random.default_rng([SPLITS.index(split), seed])
    extent = (1.0, 1.0 / aspect) if aspect >= 1 else (aspect, 1.0)
    placed: list[Box] = []
    boards = _boards(rng, contents, extent, placed)
    free = [
        item
        for build, count in ((LARGE, contents.large), (SMALL, contents.small))
        for item in _free_items(rng, split, build, _count(rng, count), extent, placed)
    ]
    carried = [item for i, board in enumerate(boards) for item in _board_items(rng, split, contents, i, board)]
    return Scene(f"{split}-{seed}", extent, (*free, *carried), tuple(boards), split, seed, contents.clutter)


def _count(rng: np.random.Generator, span: tuple[int, int]) -> int:
    return int(rng.integers(span[0], span[1] + 1))


def _boards(rng: np.random.Generator, contents: Contents, extent: tuple[float, float], placed: list[Box]) -> list[Item]:
    colours = rng.permutation(list(COLOURS))
    found = []
    for i in range(min(_count(rng, contents.boards), len(colours))):
        box = _place(rng, BOARD_SIDE, extent, placed)
        if box is not None:
            found.append(Item(BOARD, str(colours[i]), "plain", "", box))
    return found


def _free_items(
    rng: np.random.Generator,
    split: Split,
    build: Build,
    count: int,
    extent: tuple[float, float],
    placed: list[Box],
) -> list[Item]:
    spots = [_place(rng, build.side, extent, placed) for _ in range(count)]
    return [_item(rng, split, box, build) for box in spots if box is not None]


def _place(
    rng: np.random.Generator, sides: tuple[float, float], extent: tuple[float, float], placed: list[Box]
) -> Box | None:
    """A free spot, or None after 40 tries; the spot is added to `placed`."""
    for _ in range(40):
        side = float(rng.uniform(*sides))
        if side >= min(extent):
            return None
        x, y = float(rng.uniform(0, extent[0] - side)), float(rng.uniform(0, extent[1] - side))
        box = Box(x, y, x + side, y + side)
        if not any(boxes.intersect(boxes.grow(box, 1.15), other) for other in placed):
            placed.append(box)
            return box
    return None


def _board_items(rng: np.random.Generator, split: Split, contents: Contents, index: int, board: Item) -> list[Item]:
    """Items of different kinds in the cells of a 3 x 3 grid on the board's face."""
    count = _count(rng, contents.on_board)
    cells, kinds = rng.permutation(9)[:count].tolist(), rng.permutation(list(KINDS))[:count].tolist()
    side, pitch = board.box.width, board.box.width * 0.28
    found = []
    for cell, kind in zip(cells, kinds, strict=True):
        half = side * float(rng.uniform(*ON_BOARD.side)) / 2
        (cx, cy), slack = board.box.center, pitch / 2 - half
        x = cx + (cell % 3 - 1) * pitch + float(rng.uniform(-slack, slack))
        y = cy + (cell // 3 - 1) * pitch + float(rng.uniform(-slack, slack))
        found.append(_item(rng, split, Box(x - half, y - half, x + half, y + half), ON_BOARD, kind, index))
    return found


def _item(
    rng: np.random.Generator, split: Split, box: Box, build: Build, kind: str | None = None, board: int | None = None
) -> Item:
    kind = kind or str(rng.choice(KINDS))
    colours = [c for c in COLOURS if split == "test" or (c, kind) not in HELD_OUT]
    colour, pattern, mark = str(rng.choice(colours)), str(rng.choice(PATTERNS)), str(rng.choice(MARKS))
    return Item(kind, colour, pattern, mark, box, build.mark, float(rng.uniform(-12, 12)), board)
