"""What a tool is: a name, a JSON schema of its arguments, and what it does with a call.

A tool is a value `TOOL` of a module; `known.py` finds it by its name. It is run by the loop, which knows tools by name only,
counts their calls, and numbers what they show. Omits how model families call a tool, which their dialects define.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cof.errors import InputError
from cof.geometry import Shown
from cof.trace import Observation, Trace
from cof.types import Call, Limits


class InvalidCall(InputError):
    """A call that its tool cannot follow. Its message, with what is wanted instead, goes back to the model."""


@dataclass(frozen=True)
class State:
    """What happened before a call: the `trace` up to its turn, and what earlier calls of the turn have `shown`.

    `coming`: how many calls of the policy follow, each of which needs pixels beside what the model may still ask for.
    """

    trace: Trace
    shown: tuple[Shown, ...] = ()
    coming: int = 0

    @property
    def everything(self) -> Sequence[Shown]:
        """All that the model was shown, in the order of its ids."""
        return (*self.trace.overviews, *self.trace.views, *self.shown)

    def subject(self, call: Call) -> Shown:
        """What the call is about: what was shown with the id `of`, else the first overview. Raises InvalidCall."""
        number, shown = call.arguments.get("of", 0), self.everything
        if type(number) is not int or not 0 <= number < len(shown):
            raise InvalidCall(f"{number!r} names none of the {len(shown)} pictures so far; want one of them")
        return shown[number]


def numbered(observation: Observation, tool: str, trace: Trace, shown: Sequence[Shown]) -> Observation:
    """The observation with ids that go on from what was shown before, and the name of the tool that made it."""
    first = len(trace.overviews) + len(trace.views) + len(shown)
    views = (replace(view, id=first + n, made_by=tool) for n, view in enumerate(observation.shown))
    return replace(observation, shown=tuple(views))


class Tool(Protocol):
    """One tool. `name` is its name in this package; `about` is one sentence for models; `schema` is the JSON schema of the
    arguments, without `of` and `label`."""

    name: str
    about: str
    schema: Mapping[str, Any]

    def run(self, call: Call, state: State, limits: Limits) -> Observation | None:
        """What the call gives back, None where not even its smallest form fits into the limits.

        Raises InvalidCall or InvalidBox where the call cannot be followed.
        """
        ...
