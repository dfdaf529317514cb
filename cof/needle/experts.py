"""Actors of the needle world: they know the scene, see no more of it than the pixels show, and err at a set rate.

An expert who errs points at another thing or beside the right one, reads another answer, moves a box the wrong way, takes
a wrong place for the right one or the reverse, or guesses. How they err depends on the seed, the question and the number of
calls before alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from cof.agent.calls import (
    CANNOT_READ,
    Adjust,
    Advise,
    Ask,
    Check,
    Cost,
    Locate,
    Look,
    Move,
    Name,
    Plan,
    Propose,
    Read,
    Reply,
    RoleCall,
    Step,
    Summarise,
    Think,
    Thoughts,
    Try,
)
from cof.data.example import Example
from cof.geometry import Box, Shown
from cof.needle.phrases import evidence, label, too_small
from cof.needle.questions import FIND, can_find, can_read
from cof.needle.samples import SceneTruth, holds, truth_of
from cof.needle.scenes import Item
from cof.vision import boxes, views

ENLARGE = "enlarge the box"
TREMBLE = 0.04  # spread of a pointing hand, in sides of the thing


@dataclass(frozen=True)
class Experts:
    """Plays all parts of an example of this world; errs in a share `error` of the calls."""

    error: float
    seed: int = 0

    def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
        truth = truth_of(example)
        rng = np.random.default_rng([self.seed, zlib.crc32(example.question.id.encode()), cost.calls])
        errs = bool(rng.uniform() < self.error)
        match call:
            case Try():
                return _try(example, errs, rng)
            case Plan():
                return _guess(truth, rng) if errs else _plan(example, call)
            case Locate(view, thing):
                return _locate(example, view, thing, errs, rng)
            case Read(view):
                return _read(truth, view, errs, rng)
            case Adjust(_, box, instruction):
                return boxes.grow(box, 1.5 if (instruction == ENLARGE) != errs else 0.6)
            case Check(view, thing):
                return _shows(truth, view, _things(truth)[thing]) != errs if thing in _things(truth) else errs
            case Advise(_, _, fault):
                return f"{fault}; look again"
            case Summarise(chain):
                needle = truth.needle
                seen = chain[-1].view if chain else example.overview
                boards = [place.thing == label(needle, True) and needle.board is not None for place in chain]
                return (*(too_small(needle, board) for board in boards), evidence(needle, seen, truth.side))
            case Name(view):
                return _name(truth, view, errs, rng)
            case Think():
                return _think(example, errs, rng)


def _plan(example: Example, call: Plan) -> Step:
    """Answer with what was read; read where the thing is large enough; else look for it, or for what carries it."""
    truth = truth_of(example)
    needle, side = truth.needle, truth.side
    last = call.events[-1] if call.events else None
    at = next((event.place for event in reversed(call.events) if event.place is not None), None)
    view = example.overview if at is None else call.places[at].view
    if last is not None and isinstance(last.step, Ask):
        if last.seen != CANNOT_READ:
            return Propose(last.seen, last.step.at)
        if at is not None and not any(isinstance(event.step, Move) for event in call.events):
            return Move(at, ENLARGE)
        return Look(next(iter(_things(truth))))  # begin again with what carries it
    if can_read(needle, view, side):
        return Ask(example.question.text, at)
    on_board = at is not None and call.places[at].thing == label(needle, True)
    if needle.board and not on_board and not (len(needle.items) == 1 and can_find(needle, view, side)):
        return Look(label(needle, True))
    return Look(label(needle, False), at if on_board else None)


def _guess(truth: SceneTruth, rng: np.random.Generator) -> Propose:
    return Propose(str(rng.choice(truth.needle.pool)))


def _try(example: Example, errs: bool, rng: np.random.Generator) -> str:
    truth = truth_of(example)
    known = can_read(truth.needle, example.overview, truth.side) and not errs
    return truth.needle.answer if known else str(rng.choice(truth.needle.pool))


def _think(example: Example, errs: bool, rng: np.random.Generator) -> Thoughts:
    """To the board if there is one and the thing on it is too small, then to the thing, if that is too small to be read."""
    truth = truth_of(example)
    needle, side, view, steps = truth.needle, truth.side, example.overview, []
    if (
        needle.board
        and not can_read(needle, view, side)
        and not (len(needle.items) == 1 and can_find(needle, view, side))
    ):
        steps.append((too_small(needle, True), label(needle, True)))
        view = views.zoom(_box(truth, needle.board), example.overview, example.spec)
    if len(needle.items) == 1 and not can_read(needle, view, side):
        steps.append((too_small(needle, False), label(needle, False)))
        view = views.zoom(_box(truth, needle.items[0]), example.overview, example.spec)
    answer = str(rng.choice(needle.pool)) if errs else needle.answer
    return Thoughts(tuple(steps), evidence(needle, view, side), answer)


def _name(truth: SceneTruth, view: Shown, errs: bool, rng: np.random.Generator) -> str | None:
    """The thing that the view is about: whose box is most like it."""
    things = (*truth.scene.boards, *truth.scene.items)
    if errs:
        return things[int(rng.integers(len(things)))].name
    likeness, named = max((boxes.iou(view.region, _box(truth, thing)), thing.name) for thing in things)
    return named if likeness > 0 else None


def _locate(example: Example, view: Shown, name: str, errs: bool, rng: np.random.Generator) -> Box | None:
    truth = truth_of(example)
    thing = _things(truth).get(name)
    if not errs:
        return _pointed(_box(truth, thing), rng) if thing is not None and _shows(truth, view, thing) else None
    others = [item for item in (*truth.scene.boards, *truth.scene.items) if item is not thing]
    if others and rng.uniform() < 0.5:
        return _pointed(_box(truth, others[int(rng.integers(len(others)))]), rng)
    box = _box(truth, thing) if thing is not None else view.region
    dx, dy = (rng.uniform(1.0, 2.0, 2) * rng.choice([-1, 1], 2) * (box.width, box.height)).tolist()
    return boxes.shift_inside(Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy), example.overview.region)


def _pointed(box: Box, rng: np.random.Generator) -> Box:
    """The box as a hand that trembles draws it."""
    dx, dy = (rng.normal(0, TREMBLE, 2) * (box.width, box.height)).tolist()
    return boxes.grow(Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy), float(np.exp(rng.normal(0, TREMBLE))))


def _read(truth: SceneTruth, view: Shown, errs: bool, rng: np.random.Generator) -> str | None:
    needle = truth.needle
    if errs:
        return str(rng.choice([answer for answer in needle.pool if answer != needle.answer]))
    return needle.answer if truth.shows_answer(view) else None


def _shows(truth: SceneTruth, view: Shown, thing: Item) -> bool:
    """Whether the thing lies in the view, large enough to be distinguished."""
    box = _box(truth, thing)
    return holds(view, box) and box.width * view.detail >= FIND


def _things(truth: SceneTruth) -> dict[str, Item]:
    """What must be looked at, by the names that readers use: the board first, if there is one."""
    needle = truth.needle
    found = {label(needle, False): needle.items[0]}
    return {label(needle, True): needle.board} | found if needle.board else found


def _box(truth: SceneTruth, thing: Item) -> Box:
    return boxes.scale(thing.box, truth.side, truth.side)
