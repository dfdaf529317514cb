"""Grounded bootstrapping: a plain chain of thought becomes one that zooms into what it rests on.

A thinker that sees the overview writes thoughts, and names the thing or number that each rests on. Thoughts that lead
to the true answer are grounded: each thing is located, in the overview or in the place before, and kept only where a
checker and a reader agree that it is there. Thoughts without a place of their own come before the next zoom. Where
the whole cannot be confirmed, other thoughts are asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

from cof.agent.calls import Check, Locate, Name, Place, Reply, RoleCall, Think, Thoughts
from cof.agent.trajectory import Outcome, Rules, Search, confirmed, place, right, trajectory, tried
from cof.data.example import Example
from cof.errors import InvalidBox
from cof.geometry import Box


def ground(example: Example, rules: Rules) -> Search:
    """Ground the thoughts that answer `example`, whose question has an answer."""
    rate, proposed = (yield from tried(example, rules)), list[Place]()
    for n in range(rules.rounds):
        thoughts = cast(Thoughts, (yield Think(n)))
        if not right(example, thoughts.answer):
            continue
        chain, told = yield from _grounded(example, thoughts, rules, proposed)
        if (yield from confirmed(example, chain, rules)):
            return Outcome(trajectory(example, chain, told), rate, tuple(proposed), n + 1)
    return Outcome(None, rate, tuple(proposed), rules.rounds)


def _grounded(
    example: Example, thoughts: Thoughts, rules: Rules, proposed: list[Place]
) -> Generator[RoleCall, Reply, tuple[tuple[Place, ...], list[str]]]:
    """The places that were confirmed, and the thoughts before each zoom and before the answer."""
    chain, told, waiting = list[Place](), list[str](), list[str]()
    for text, thing in thoughts.steps:
        waiting.append(text)
        new = thing and all(thing != each.thing for each in chain)
        found = (yield from _found(example, thing, chain, rules, proposed)) if new else None
        if found is not None:
            chain.append(found)
            told.append(" ".join(waiting))
            waiting.clear()
    return tuple(chain), [*told, " ".join([*waiting, thoughts.conclusion]).strip()]


def _found(
    example: Example, thing: str, chain: list[Place], rules: Rules, proposed: list[Place]
) -> Generator[RoleCall, Reply, Place | None]:
    """A confirmed place of the thing, in the view of the place before, or in the overview."""
    for within in dict.fromkeys([len(chain) - 1 if chain else None, None]):
        view = example.overview if within is None else chain[within].view
        box = cast("Box | None", (yield Locate(view, thing)))
        if box is None:
            continue
        try:
            found = place(example, thing, box, within, rules)
        except InvalidBox:
            continue
        proposed.append(found)
        if (yield Check(found.view, thing)) and agrees(thing, str((yield Name(found.view)) or "")):
            return found
    return None


def agrees(thing: str, read: str) -> bool:
    """Whether what was read back names the thing: its last word, and every number in it."""
    words, seen = thing.lower().split(), read.lower().replace(",", " ").replace(".", " ").split()
    return bool(words) and all(word in seen for word in words if word == words[-1] or any(c.isdigit() for c in word))
