"""What a policy decides, carried out: looks that are made for the model, and the order to answer.

A policy may come from outside the package: what it decides is checked, and what it raises is an error of one line.
"""

from __future__ import annotations

import reprlib
from dataclasses import replace
from typing import TYPE_CHECKING

from cof.errors import CofError, InputError
from cof.loop.policies.base import Looks, Next
from cof.tools.base import State, numbered
from cof.tools.known import tool_named
from cof.trace import Observation, Turn
from cof.types import Call, Completion

if TYPE_CHECKING:
    from cof.loop.session import Session

LOOKS = 256  # turns of a run after which a policy makes no more: it might never end


def advance(session: Session) -> None:
    """Do what the policy decides, until the model's turn comes or the limits leave no room for another look.

    Raises InputError where the policy fails, decides what is nothing of the kind, or a look of it cannot be followed.
    """
    while session.looking:
        decided = _decided(session)
        if decided is Next.ANSWER:
            session.order_answer()
        elif isinstance(decided, Next) or not _look(session, decided):
            return


def accepts(session: Session) -> bool:
    """Whether the policy accepts an answer. Raises InputError where it fails."""
    policy = session.setting.policy
    try:
        return bool(policy.accepts(session.trace))
    except Exception as error:
        raise _failed(policy.name, error) from error


def _decided(session: Session) -> Next | Looks:
    policy = session.setting.policy
    try:
        decided = policy.next(session.trace)
    except Exception as error:
        raise _failed(policy.name, error) from error
    if isinstance(decided, Next) or (isinstance(decided, tuple) and all(map(_is_look, decided))):
        return decided
    want = "want Next.MODEL, Next.ANSWER, or turns, each a tuple of calls"
    raise InputError(f"policy {policy.name} decided {reprlib.repr(decided)}; {want}")


def _is_look(turn: object) -> bool:
    return isinstance(turn, tuple) and turn != () and all(isinstance(call, Call) for call in turn)


def _failed(name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    kind = "" if isinstance(error, CofError) else f"{type(error).__name__}: "
    return InputError(f"policy {name} failed ({kind}{reason}); want it corrected, or another policy")


def _look(session: Session, looks: Looks) -> bool:
    """Make the turns that a policy decided, as far as limits allow; whether all calls were followed, and there were any."""
    coming = sum(map(len, looks))
    for calls in looks[: LOOKS - len(session.trace.turns)]:
        trace, found = session.trace, list[Observation]()
        for call in calls:
            coming -= 1
            shown = tuple(view for each in found for view in each.shown)
            observation = tool_named(call.tool).run(call, State(trace, shown, coming), trace.limits)
            if observation is None:
                break
            found.append(numbered(observation, call.tool, trace, shown))
        if found:
            followed = calls[: len(found)]
            said = Completion(session.setting.dialect.write(followed, trace.overviews))
            session.trace = replace(trace, turns=(*trace.turns, Turn(said, followed, tuple(found), given=True)))
        if len(found) < len(calls):
            return False
    return len(looks) > 0 and len(session.trace.turns) < LOOKS
