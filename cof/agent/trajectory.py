"""From confirmed places to one clean trajectory: what every way of building data shares.

Owns what confirms an answer, how places are written, and the form of an outcome.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from cof.agent.calls import Check, Place, Read, Reply, RoleCall, Try
from cof.data.example import Example
from cof.dialects.cof import COF
from cof.geometry import Box, Shown
from cof.scoring.answers import score
from cof.tools.zoom import observed, zooms
from cof.trace import Observation, Trace, Turn
from cof.types import Answer, Call, Completion, Limits, Sampling
from cof.vision import boxes, views

AGENT = "search agent"  # the model's name in traces


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
    """What a search found: a trajectory, or None where nothing was confirmed.

    `pass_rate` is the share of the target's tries that were right, None without tries; `proposed` the places that were
    looked for and found, in order, whether they were kept or not; `rounds` of searching were begun.
    """

    trace: Trace | None
    pass_rate: float | None
    proposed: tuple[Place, ...]
    rounds: int


Search = Generator[RoleCall, Reply, Outcome]
Asking = Generator[RoleCall, Reply, bool]


def tried(example: Example, rules: Rules) -> Generator[RoleCall, Reply, float | None]:
    """The share of the target's tries that are right; None without tries."""
    passed = 0
    for n in range(rules.tries):
        passed += right(example, (yield Try(n)))
    return passed / rules.tries if rules.tries else None


def right(example: Example, answer: Reply) -> bool:
    """Whether a reply is the true answer."""
    return isinstance(answer, str) and score(example.question, answer).right is True


def confirmed(example: Example, chain: tuple[Place, ...], rules: Rules) -> Asking:
    """Whether every place holds its thing, and the right answer is read in the last view, or in the overview."""
    for place in chain:
        if not (yield Check(place.view, place.thing)):
            return False
    for _ in range(rules.readings):
        if not right(example, (yield Read(chain[-1].view if chain else example.overview, example.question.text))):
            return False
    return True


def place(example: Example, thing: str, box: Box, within: int | None, rules: Rules) -> Place:
    """The place of `thing`, its box as it will be written. Raises InvalidBox where it lies outside the picture."""
    written = example.overview.to_source(
        boxes.snap(example.overview.from_source(box), example.overview.size, rules.grid)
    )
    return Place(thing, written, views.zoom(written, example.overview, example.spec), within)


def trajectory(example: Example, chain: Sequence[Place], thoughts: Sequence[str]) -> Trace:
    """The trace that zooms along the chain and answers in the form of the true answer; a thought for each turn."""
    *before, last = thoughts
    first = example.overview
    looks = [
        _turn(zooms([each.box], each.thing, thought), observed([each.view], number), first)
        for number, (each, thought) in enumerate(zip(chain, before, strict=True), 1)
    ]
    answer = _turn(Answer(example.question.answer or "", last), (), first)
    asked = example.question
    return Trace(asked.id, asked, AGENT, COF.name, example.spec, Sampling(), Limits(), (first,), (*looks, answer))


def _turn(action: Answer | tuple[Call, ...], observations: tuple[Observation, ...], first: Shown) -> Turn:
    return Turn(Completion(COF.write(action, (first,))), action, observations)
