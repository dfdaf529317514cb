"""The calls of a search to the roles that play its parts, and their replies. Frozen values; no prompts, no models.

The parts: a planner chooses the next move; a locator finds a thing in a view; a reader answers from a view; an adjuster
moves a box; a checker decides whether a thing is in a view; an adviser suggests what to try after a wrong answer; a summariser
writes the thoughts of the steps that are kept; the target is the model to be taught, which first tries without zooming; a
thinker writes a chain of thought, which is then grounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cof.data.example import Example
from cof.geometry import Box, Shown


@dataclass(frozen=True)
class Place:
    """Where a thing was found: `box` in source pixels, `view` the zoom on it, `within` the number of the place in whose
    view it was found, or None for the overview."""

    thing: str
    box: Box
    view: Shown
    within: int | None = None


@dataclass(frozen=True)
class Look:
    """Find `thing` in the view of place `within`, or in the overview."""

    thing: str
    within: int | None = None


@dataclass(frozen=True)
class Ask:
    """Read the answer to `text` in the view of place `at`, or in the overview."""

    text: str
    at: int | None = None


@dataclass(frozen=True)
class Move:
    """Change the box of place `at` by `instruction`."""

    at: int
    instruction: str


@dataclass(frozen=True)
class Propose:
    """Give `answer`, which was seen in the view of place `at`, or in the overview."""

    answer: str
    at: int | None = None


CANNOT_READ = "it cannot be read there"  # what is seen of an Ask that has no reply

Step = Look | Ask | Move | Propose


@dataclass(frozen=True)
class Event:
    """A step and what came of it, in words; a step that found a place gives its number."""

    step: Step
    seen: str
    place: int | None = None


@dataclass(frozen=True)
class Plan:
    """Which step next? `events` are those since the last `advice`, `places` all that were found. Reply: Step."""

    events: tuple[Event, ...]
    places: tuple[Place, ...]
    advice: str


@dataclass(frozen=True)
class Locate:
    """Where is `thing` in `view`? Reply: a Box in source pixels, or None."""

    view: Shown
    thing: str


@dataclass(frozen=True)
class Read:
    """What is the answer to `text`, by `view` alone? Reply: str, or None where it cannot be read there."""

    view: Shown
    text: str


@dataclass(frozen=True)
class Adjust:
    """What is the box, drawn in `view`, after `instruction`? Reply: a Box in source pixels."""

    view: Shown
    box: Box
    instruction: str


@dataclass(frozen=True)
class Check:
    """Is `thing` in `view`, and whole? Reply: bool."""

    view: Shown
    thing: str


@dataclass(frozen=True)
class Advise:
    """The proposed `answer` was refused for `fault`. What should be tried next? Reply: str."""

    events: tuple[Event, ...]
    answer: str
    fault: str


@dataclass(frozen=True)
class Summarise:
    """What are the thoughts of a run that zooms along `chain` and then answers? Each rests on what was shown by then.

    Reply: a str for each place, and one for the answer.
    """

    chain: tuple[Place, ...]


@dataclass(frozen=True)
class Try:
    """What does the target answer by the overview alone, sampled with `seed`? Reply: str, or None."""

    seed: int


@dataclass(frozen=True)
class Name:
    """What is in `view`? Reply: str, or None."""

    view: Shown


@dataclass(frozen=True)
class Think:
    """Which chain of thought leads from the overview to the answer, sampled with `seed`? Reply: Thoughts."""

    seed: int


@dataclass(frozen=True)
class Thoughts:
    """A chain of thought: each step with the thing or number that it rests on ("" for none), what is concluded, and the
    answer."""

    steps: tuple[tuple[str, str], ...]
    conclusion: str
    answer: str


RoleCall = Plan | Locate | Read | Adjust | Check | Advise | Summarise | Try | Name | Think
Reply = Step | Box | str | bool | tuple[str, ...] | Thoughts | None


@dataclass
class Cost:
    """What a search cost so far: calls that were replied to, replies that could not be read or never came, tokens."""

    calls: int = 0
    malformed: int = 0
    unanswered: int = 0
    tokens: int = 0


class Actors(Protocol):
    """What replies to the calls of a search: models, or the experts of a world."""

    def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
        """The reply to a search's call. Adds to `cost` all but the call itself. Raises ModelError where there is none.

        An example is played by one thread, from its first call to its last.
        """
        ...
