"""Actors of the needle world: they know the scene, see no more of it than the pixels show, and err at a set rate.

An expert who errs points at another thing or beside the right one, reads another answer, moves a box the wrong way, takes
a wrong place for the right one or the reverse, or guesses. How they err depends on the seed, the question and the number of
calls before alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

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
    Task,
    Think,
    Thoughts,
    Try,
)
from cof.needle.drawing import draw_full
from cof.needle.phrases import evidence, label, too_small
from cof.needle.questions import FIND, can_find, can_read
from cof.needle.samples import Sample
from cof.needle.scenes import Item
from cof.types import Box, Shown
from cof.vision import boxes, views

ENLARGE = "enlarge the box"
WHOLE = 0.8  # share of a thing that must lie in a view to be told from others there
PREVIEW = 64  # pixels
TREMBLE = 0.04  # spread of a pointing hand, in sides of the thing


@dataclass(frozen=True)
class NeedleTask(Task):
    """A task whose scene is known."""

    sample: Sample

    @property
    def things(self) -> dict[str, Item]:
        """What must be looked at, by the names that readers use: the board first, if there is one."""
        needle = self.sample.needle
        found = {label(needle, False): needle.items[0]}
        return {label(needle, True): needle.board} | found if needle.board else found

    def box(self, thing: Item) -> Box:
        return boxes.scale(thing.box, self.sample.side, self.sample.side)

    def shows_answer(self, view: Shown) -> bool:
        needle = self.sample.needle
        inside = all(_holds(view, self.box(item)) for item in needle.items)
        return inside and can_read(needle, view, self.sample.side)

    def preview(self) -> Image.Image:
        return draw_full(self.sample.scene, PREVIEW)


@dataclass(frozen=True)
class Experts:
    """Plays all parts of a `NeedleTask`; errs in a share `error` of the calls."""

    error: float
    seed: int = 0

    def play(self, task: Task, call: RoleCall, cost: Cost) -> Reply:
        if not isinstance(task, NeedleTask):
            raise TypeError(f"experts know the needle world alone; got {type(task).__name__}")
        rng = np.random.default_rng([self.seed, zlib.crc32(task.question.id.encode()), cost.calls])
        errs = bool(rng.uniform() < self.error)
        match call:
            case Try():
                return _try(task, errs, rng)
            case Plan():
                return _guess(task, rng) if errs else _plan(task, call)
            case Locate(view, thing):
                return _locate(task, view, thing, errs, rng)
            case Read(view):
                return _read(task, view, errs, rng)
            case Adjust(_, box, instruction):
                return boxes.grow(box, 1.5 if (instruction == ENLARGE) != errs else 0.6)
            case Check(view, thing):
                return _shows(task, view, task.things[thing]) != errs if thing in task.things else errs
            case Advise(_, _, fault):
                return f"{fault}; look again"
            case Summarise(chain):
                needle = task.sample.needle
                seen = chain[-1].view if chain else task.first
                boards = [place.thing == label(needle, True) and needle.board is not None for place in chain]
                return (*(too_small(needle, board) for board in boards), evidence(needle, seen, task.sample.side))
            case Name(view):
                return _name(task, view, errs, rng)
            case Think():
                return _think(task, errs, rng)


def _plan(task: NeedleTask, call: Plan) -> Step:
    """Answer with what was read; read where the thing is large enough; else look for it, or for what carries it."""
    needle, side = task.sample.needle, task.sample.side
    last = call.events[-1] if call.events else None
    at = next((event.place for event in reversed(call.events) if event.place is not None), None)
    view = task.first if at is None else call.places[at].view
    if last is not None and isinstance(last.step, Ask):
        if last.seen != CANNOT_READ:
            return Propose(last.seen, last.step.at)
        if at is not None and not any(isinstance(event.step, Move) for event in call.events):
            return Move(at, ENLARGE)
        return Look(next(iter(task.things)))  # begin again with what carries it
    if can_read(needle, view, side):
        return Ask(task.question.text, at)
    on_board = at is not None and call.places[at].thing == label(needle, True)
    if needle.board and not on_board and not (len(needle.items) == 1 and can_find(needle, view, side)):
        return Look(label(needle, True))
    return Look(label(needle, False), at if on_board else None)


def _guess(task: NeedleTask, rng: np.random.Generator) -> Propose:
    return Propose(str(rng.choice(task.sample.needle.pool)))


def _try(task: NeedleTask, errs: bool, rng: np.random.Generator) -> str:
    known = can_read(task.sample.needle, task.first, task.sample.side) and not errs
    return task.sample.needle.answer if known else str(rng.choice(task.sample.needle.pool))


def _think(task: NeedleTask, errs: bool, rng: np.random.Generator) -> Thoughts:
    """To the board if there is one and the thing on it is too small, then to the thing, if that is too small to be read."""
    needle, side, view, steps = task.sample.needle, task.sample.side, task.first, []
    if (
        needle.board
        and not can_read(needle, view, side)
        and not (len(needle.items) == 1 and can_find(needle, view, side))
    ):
        steps.append((too_small(needle, True), label(needle, True)))
        view = views.zoom(task.box(needle.board), task.first, task.spec)
    if len(needle.items) == 1 and not can_read(needle, view, side):
        steps.append((too_small(needle, False), label(needle, False)))
        view = views.zoom(task.box(needle.items[0]), task.first, task.spec)
    answer = str(rng.choice(needle.pool)) if errs else needle.answer
    return Thoughts(tuple(steps), evidence(needle, view, side), answer)


def _name(task: NeedleTask, view: Shown, errs: bool, rng: np.random.Generator) -> str | None:
    """The thing that the view is about: whose box is most like it."""
    things = (*task.sample.scene.boards, *task.sample.scene.items)
    if errs:
        return things[int(rng.integers(len(things)))].name
    likeness, named = max((boxes.iou(view.region, task.box(thing)), thing.name) for thing in things)
    return named if likeness > 0 else None


def _locate(task: NeedleTask, view: Shown, name: str, errs: bool, rng: np.random.Generator) -> Box | None:
    thing = task.things.get(name)
    if not errs:
        return _pointed(task.box(thing), rng) if thing is not None and _shows(task, view, thing) else None
    others = [item for item in (*task.sample.scene.boards, *task.sample.scene.items) if item is not thing]
    if others and rng.uniform() < 0.5:
        return _pointed(task.box(others[int(rng.integers(len(others)))]), rng)
    box = task.box(thing) if thing is not None else view.region
    dx, dy = (rng.uniform(1.0, 2.0, 2) * rng.choice([-1, 1], 2) * (box.width, box.height)).tolist()
    return boxes.shift_inside(Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy), task.first.region)


def _pointed(box: Box, rng: np.random.Generator) -> Box:
    """The box as a hand that trembles draws it."""
    dx, dy = (rng.normal(0, TREMBLE, 2) * (box.width, box.height)).tolist()
    return boxes.grow(Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy), float(np.exp(rng.normal(0, TREMBLE))))


def _read(task: NeedleTask, view: Shown, errs: bool, rng: np.random.Generator) -> str | None:
    needle = task.sample.needle
    if errs:
        return str(rng.choice([answer for answer in needle.pool if answer != needle.answer]))
    return needle.answer if task.shows_answer(view) else None


def _shows(task: NeedleTask, view: Shown, thing: Item) -> bool:
    """Whether the thing lies in the view, large enough to be told from others."""
    box = task.box(thing)
    return _holds(view, box) and box.width * view.detail >= FIND


def _holds(view: Shown, box: Box) -> bool:
    common = boxes.intersect(view.region, box)
    return common is not None and common.area >= WHOLE * box.area
