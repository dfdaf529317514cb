"""What a careful reader would do with a needle question, written as turns: the supervised trajectories of the needle world.

The route (no zoom, one, two) is the one that the overview's pixels call for; a share of the demonstrations first looks at
a wrong place and recovers. Thoughts say only what can be seen at that point.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cof.dialects.cof import COF
from cof.geometry import Box, Shown, ViewSpec
from cof.needle.phrases import GRID, GUESS, NOT_HERE, READ, SEE, SMALL, evidence, label, too_small
from cof.needle.questions import Needle
from cof.tools.zoom import observed, zooms
from cof.trace import Turn
from cof.types import Answer, Call, Completion
from cof.vision import boxes, views

NEEDLE_TOKENS = 128  # more than any turn here needs: the longest has some 60
ZOOM_OPENING = COF.think.open + SMALL  # how most zooming turns begin


def demonstrate(needle: Needle, path: tuple[Box, ...], first: Shown, unit: float, spec: ViewSpec) -> tuple[Turn, ...]:
    """The turns that zoom along `path` (source pixels) and answer."""
    turns = [_zoom(needle, target, first, unit, spec) for target in path]
    seen = turns[-1].views[0] if turns else first
    return (*turns, _answer(needle, evidence(needle, seen, unit), first))


def guess(needle: Needle, path: tuple[Box, ...], first: Shown, unit: float) -> tuple[Turn, ...]:
    """The turn that answers at once because it must, whether the answer can be seen or not."""
    return (_answer(needle, GUESS if path else evidence(needle, first, unit), first),)


def show_targets(needle: Needle, path: tuple[Box, ...], first: Shown, unit: float, spec: ViewSpec) -> tuple[Turn, ...]:
    """The turns that a reader is given who is shown what the question is about, and the answer."""
    targets = path or tuple(boxes.scale(item.box, unit, unit) for item in needle.items)
    given = [_turn(zooms([box]), first, spec) for box in targets]
    seen = given[-1].views[0] if path else first
    return (*given, _answer(needle, evidence(needle, seen, unit), first))


def zoom_anyway(needle: Needle, path: tuple[Box, ...], first: Shown, unit: float, spec: ViewSpec) -> tuple[Turn, ...]:
    """The turns after `ZOOM_OPENING`, which is said for the reader: along `path`, or to the first thing that is asked about."""
    right = demonstrate(needle, path, first, unit, spec)
    if path:
        (zoom,) = right[0].calls
        opened = replace(zoom, thought=f"{SMALL} {zoom.label}.")
        return (_turn((opened,), first, spec), *right[1:])
    turn = _zoom(needle, boxes.scale(needle.items[0].box, unit, unit), first, unit, spec)
    thought = READ if needle.attribute == "mark" else SEE
    return (turn, _answer(needle, evidence(needle, first, unit) if needle.attribute == "relation" else thought, first))


def recover(turns: tuple[Turn, ...], first: Shown, spec: ViewSpec, rng: np.random.Generator) -> tuple[Turn, ...]:
    """The same turns after a first look at a place that does not hold the target; unchanged if there is no such place."""
    if not turns[0].calls:
        return turns
    (target,) = turns[0].calls
    box = target.arguments["box"]
    shift = rng.uniform(1.2, 3.0, 2) * rng.choice([-1, 1], 2) * (box.width, box.height)
    wrong = boxes.shift_inside(
        Box(box.x0 + shift[0], box.y0 + shift[1], box.x1 + shift[0], box.y1 + shift[1]), first.region
    )
    missed = _turn(zooms([_snap(wrong, first)], target.label, target.thought), first, spec)
    if boxes.intersect(missed.views[0].region, box) is not None:
        return turns
    again = _turn((replace(target, thought=f"{NOT_HERE} {target.label}."),), first, spec)
    return (missed, again, *turns[1:])


def _zoom(needle: Needle, target: Box, first: Shown, unit: float, spec: ViewSpec) -> Turn:
    board = needle.board is not None and target == boxes.scale(needle.board.box, unit, unit)
    return _turn(zooms([_snap(target, first)], label(needle, board), too_small(needle, board)), first, spec)


def _turn(calls: tuple[Call, ...], first: Shown, spec: ViewSpec) -> Turn:
    shown = [views.zoom(call.box, first, spec) for call in calls if call.box]
    return Turn(Completion(COF.write(calls, (first,))), calls, observed(shown))


def _answer(needle: Needle, thought: str, first: Shown) -> Turn:
    action = Answer(needle.answer, thought)
    return Turn(Completion(COF.write(action, (first,))), action)


def _snap(box: Box, first: Shown) -> Box:
    """The box on the grid of the overview, back in source pixels."""
    return first.to_source(boxes.snap(first.from_source(box), first.size, GRID))
