"""The visual search agent: tries, looks, reads, is checked, and leaves one clean trajectory, or the reason why not.

A search is a generator: it yields calls to those who play its parts, and is sent their replies. First the target tries
without zooming; what it can answer, and a reader confirms, becomes a direct trajectory. What it cannot is searched for in
rounds: a planner looks and asks until it proposes an answer, which is compared with the truth. A right answer counts
when every place on the way to it is confirmed to hold its thing, and the answer is read there again. What led nowhere is
left out of the trajectory.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import cast

from cof.dialects import cof as dialect
from cof.errors import InvalidBox
from cof.scoring.answers import score
from cof.search.calls import (
    CANNOT_READ,
    Adjust,
    Advise,
    Ask,
    Call,
    Check,
    Event,
    Locate,
    Look,
    Move,
    Place,
    Plan,
    Propose,
    Read,
    Reply,
    Step,
    Summarise,
    Task,
    Try,
)
from cof.types import Answer, Box, Completion, Limits, Sampling, Trace, Turn, View, Zoom
from cof.vision import boxes, views

AGENT = "search agent"  # the model's name in traces

Asking = Generator[Call, Reply, bool]


@dataclass(frozen=True)
class Rules:
    """How a search goes. `tries` of the target, of which a share of `pass_share` must be right for a direct trajectory;
    `readings` that must agree before anything is kept; at most `rounds` proposals of `steps` steps each; boxes are
    written in multiples of `grid` pixels of the overview."""

    tries: int = 4
    pass_share: float = 0.5
    readings: int = 2
    rounds: int = 16
    steps: int = 8
    grid: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a search found: a trajectory, or None and why not. `pass_rate` is the share of the target's tries that were
    right, None without tries; `proposed` the places that were looked for and found, in order, whether they were kept or
    not; `rounds` of searching were begun."""

    trace: Trace | None
    reason: str
    pass_rate: float | None
    proposed: tuple[Place, ...]
    rounds: int


Search = Generator[Call, Reply, Outcome]


def search(task: Task, rules: Rules) -> Search:
    """Search for the answer to `task`, whose question has one."""
    passed = 0
    for n in range(rules.tries):
        passed += _right(task, (yield Try(n)))
    rate, diary = passed / rules.tries if rules.tries else None, _Diary(task)
    if rate is not None and rate >= rules.pass_share and (yield from _confirmed(task, (), rules)):
        return Outcome((yield from _summarised(task, (), rules)), "kept", rate, (), 0)
    advice = ""
    for n in range(rules.rounds):
        proposal = yield from _round(diary, advice, rules)
        if proposal is None:
            fault = "no answer was proposed"
        elif not _right(task, proposal.answer):
            fault = "the answer is wrong"
        elif (yield from _confirmed(task, chain := diary.chain(proposal.at), rules)):
            trace = yield from _summarised(task, chain, rules)
            return Outcome(trace, "kept", rate, tuple(diary.proposed), n + 1)
        else:
            fault = "the answer is right, but cannot be confirmed at the places given for it"
        advice = str((yield Advise(tuple(diary.events), proposal.answer if proposal else "", fault)))
    return Outcome(None, "unverified", rate, tuple(diary.proposed), rules.rounds)


class _Diary:
    """What one search found so far: its places, and the events of the round under way."""

    def __init__(self, task: Task) -> None:
        self.task, self.places, self.events = task, list[Place](), list[Event]()
        self.proposed: list[Place] = []

    def view(self, place: int | None) -> View:
        return self.task.first if place is None else self.places[place].view

    def chain(self, place: int | None) -> tuple[Place, ...]:
        """The places on the way to one, the outermost first."""
        found: list[Place] = []
        while place is not None:
            found.insert(0, self.places[place])
            place = self.places[place].within
        return tuple(found)

    def find(self, step: Look | Move, thing: str, box: Box, within: int | None) -> None:
        """Note a place, if the box lies in the picture."""
        try:
            view = views.zoom(box, self.task.first, self.task.spec)
        except InvalidBox:
            self.events.append(Event(step, "the box lies outside the picture"))
            return
        self.places.append(Place(thing, box, view, within))
        self.events.append(Event(step, f"found as place {len(self.places) - 1}", len(self.places) - 1))


def _round(diary: _Diary, advice: str, rules: Rules) -> Generator[Call, Reply, Propose | None]:
    """Plan and act until an answer is proposed, or the steps are used up."""
    diary.events.clear()
    for _ in range(rules.steps):
        step = cast(Step, (yield Plan(tuple(diary.events), tuple(diary.places), advice)))
        known = len(diary.places)
        match step:
            case Propose(at=at) if at is None or at < known:
                return step
            case Look(thing, within) if within is None or within < known:
                box = cast("Box | None", (yield Locate(diary.view(within), thing)))
                if box is None:
                    diary.events.append(Event(step, f"{thing} cannot be found there"))
                else:
                    diary.find(step, thing, box, within)
                    diary.proposed += diary.places[known:]
            case Ask(text, at) if at is None or at < known:
                words = cast("str | None", (yield Read(diary.view(at), text)))
                diary.events.append(Event(step, CANNOT_READ if words is None else words))
            case Move(at, instruction) if at < known:
                place = diary.places[at]
                moved = cast(Box, (yield Adjust(diary.view(place.within), place.box, instruction)))
                diary.find(step, place.thing, moved, place.within)
            case _:
                diary.events.append(Event(step, "there is no such place"))
    return None


def _right(task: Task, answer: Reply) -> bool:
    return isinstance(answer, str) and score(task.question, answer).value == 1


def _confirmed(task: Task, chain: tuple[Place, ...], rules: Rules) -> Asking:
    """Whether every place holds its thing, and the right answer is read in the last view, or in the overview."""
    for place in chain:
        if not (yield Check(place.view, place.thing)):
            return False
    for _ in range(rules.readings):
        if not _right(task, (yield Read(chain[-1].view if chain else task.first, task.question.text))):
            return False
    return True


def _summarised(task: Task, chain: tuple[Place, ...], rules: Rules) -> Generator[Call, Reply, Trace]:
    """The trajectory that zooms along the chain and answers in the form of the true answer."""
    *thoughts, last = cast("tuple[str, ...]", (yield Summarise(chain)))
    first, spec = task.first, task.spec
    turns = []
    for place, thought in zip(chain, thoughts, strict=True):
        box = _on_grid(place.box, first, rules.grid)
        turns.append(_turn(Zoom((box,), place.thing, thought), (views.zoom(box, first, spec),), first))
    turns.append(_turn(Answer(task.question.answer or "", last), (), first))
    question = replace(task.question, depth=len(chain))
    empty = Trace(question.id, question, AGENT, dialect.NAME, spec, Sampling(), Limits(), first)
    return replace(empty, turns=tuple(turns))


def _turn(action: Zoom | Answer, shown: tuple[View, ...], first: View) -> Turn:
    return Turn(Completion(dialect.write(action, first)), action, shown)


def _on_grid(box: Box, first: View, grid: int) -> Box:
    """The box in multiples of `grid` pixels of the overview, at least two steps long, inside it; in source pixels."""
    shown, (w, h) = boxes.clip(first.from_source(box), boxes.full(first.size)), first.size
    x0, y0 = (max(0, min(round(v / grid) * grid, side - 2 * grid)) for v, side in ((shown.x0, w), (shown.y0, h)))
    x1, y1 = (max(round(v / grid) * grid, low + 2 * grid) for v, low in ((shown.x1, x0), (shown.y1, y0)))
    return first.to_source(Box(x0, y0, min(x1, w), min(y1, h)))
