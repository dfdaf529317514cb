"""The visual search agent: tries, looks, reads, is checked, and leaves one clean trajectory, or the reason why not.

A search is a generator: it yields calls to the roles, and is sent their replies. First the target tries
without zooming; what it can answer, and a reader confirms, becomes a direct trajectory. What it cannot is searched for in
rounds: a planner looks and asks until it proposes an answer, which is compared with the truth. A right answer counts
when every place on the way to it is confirmed to hold its thing, and the answer is read there again. What led nowhere is
left out of the trajectory.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

from cof.agent.calls import (
    CANNOT_READ,
    Adjust,
    Advise,
    Ask,
    Event,
    Locate,
    Look,
    Move,
    Place,
    Plan,
    Propose,
    Read,
    Reply,
    RoleCall,
    Step,
    Summarise,
)
from cof.agent.trajectory import Outcome, Rules, Search, confirmed, place, right, trajectory, tried
from cof.data.example import Example
from cof.errors import InvalidBox
from cof.geometry import Box, Shown
from cof.trace import Trace


def search(example: Example, rules: Rules) -> Search:
    """Search for the answer to `example`, whose question has one."""
    rate, diary = (yield from tried(example, rules)), SearchState(example, rules)
    if rate is not None and rate >= rules.pass_share and (yield from confirmed(example, (), rules)):
        return Outcome((yield from _summarised(example, ())), rate, (), 0)
    advice = ""
    for n in range(rules.rounds):
        proposal = yield from _round(diary, advice)
        if proposal is None:
            fault = "no answer was proposed"
        elif not right(example, proposal.answer):
            fault = "the answer is wrong"
        elif (yield from confirmed(example, chain := diary.chain(proposal.at), rules)):
            trace = yield from _summarised(example, chain)
            return Outcome(trace, rate, tuple(diary.proposed), n + 1)
        else:
            fault = "the answer is right, but cannot be confirmed at the places given for it"
        advice = str((yield Advise(tuple(diary.events), proposal.answer if proposal else "", fault)))
    return Outcome(None, rate, tuple(diary.proposed), rules.rounds)


class SearchState:
    """What one search found so far: its places, and the events of the round under way."""

    def __init__(self, example: Example, rules: Rules) -> None:
        self.example, self.rules, self.places, self.events = example, rules, list[Place](), list[Event]()
        self.proposed: list[Place] = []

    def view(self, at: int | None) -> Shown:
        """The view of place `at`, or the overview."""
        return self.example.overview if at is None else self.places[at].view

    def chain(self, at: int | None) -> tuple[Place, ...]:
        """The places on the way to one, the outermost first."""
        found: list[Place] = []
        while at is not None:
            found.insert(0, self.places[at])
            at = self.places[at].within
        return tuple(found)

    def find(self, step: Look | Move, thing: str, box: Box, within: int | None) -> None:
        """Note a place, if the box lies in the picture."""
        try:
            self.places.append(place(self.example, thing, box, within, self.rules))
        except InvalidBox:
            self.events.append(Event(step, "the box lies outside the picture"))
            return
        self.events.append(Event(step, f"found as place {len(self.places) - 1}", len(self.places) - 1))


def _round(diary: SearchState, advice: str) -> Generator[RoleCall, Reply, Propose | None]:
    """Plan and act until an answer is proposed, or the steps are used up."""
    diary.events.clear()
    for _ in range(diary.rules.steps):
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
                old = diary.places[at]
                moved = cast(Box, (yield Adjust(diary.view(old.within), old.box, instruction)))
                diary.find(step, old.thing, moved, old.within)
            case _:
                diary.events.append(Event(step, "there is no such place"))
    return None


def _summarised(example: Example, chain: tuple[Place, ...]) -> Generator[RoleCall, Reply, Trace]:
    return trajectory(example, chain, cast("tuple[str, ...]", (yield Summarise(chain))))
