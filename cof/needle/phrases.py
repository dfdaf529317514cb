"""The sentences in which readers of the needle world think. They say only what can be seen at that point."""

from __future__ import annotations

from cof.geometry import Shown
from cof.needle.questions import Needle
from cof.vision import boxes

GRID = 4  # pixels: boxes and places are named in multiples of this, each one token of nano's vocabulary
READ = "I can read it."
SEE = "I can see it."
SMALL = "It is too small. I look at the"
CARRIED = "It is on the"
LOOK_THERE = "I look there."
NOT_HERE = "It is not here. I look again at the"
GUESS = "I cannot look closer."
PHRASES = (READ, SEE, SMALL, CARRIED, LOOK_THERE, NOT_HERE, GUESS)


def label(needle: Needle, board: bool) -> str:
    """What a reader calls the thing to look at: the board, or the first thing that is asked about."""
    if board and needle.board is not None:
        return needle.board.name
    return needle.items[0].kind if needle.board or needle.attribute == "colour" else needle.items[0].name


def too_small(needle: Needle, board: bool) -> str:
    """The thought before a zoom: what is too small to be read, or the board that carries it."""
    name = label(needle, board)
    return f"{CARRIED} {name}. {LOOK_THERE}" if board else f"{SMALL} {name}."


def evidence(needle: Needle, seen: Shown, unit: float) -> str:
    """What the view shows: for a relation where both things are, in pixels of the view."""
    if needle.attribute != "relation":
        return READ if needle.attribute == "mark" else SEE
    places = []
    for item in needle.items:
        x, y = seen.from_source(boxes.scale(item.box, unit, unit)).center
        name = item.kind if needle.board else item.name
        places.append(f"The {name} is at {on_grid(x)}, {on_grid(y)}.")
    return " ".join(places)


def on_grid(value: float) -> int:
    """Pixels of a view, rounded to the multiples in which thoughts name places."""
    return max(0, round(value / GRID) * GRID)
