"""Everything that happened between a question and its end: turns with what the tools gave back, and the trace of a run.

A trace names regions of its pictures and renders again exactly. Derived figures (`answer`, `zooms`, `tokens`) are properties
and are never stored. No I/O but in `Trace.save` and `to_html`, which import the modules that write JSON and pages.
"""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cof.errors import InputError, InvalidBox
from cof.geometry import Box, Shown, ViewSpec
from cof.types import ZOOM, Action, Answer, Call, Completion, Limits, Malformed, Question, Sampling, Stop

TRACE_VERSION = 3


@dataclass(frozen=True)
class Observation:
    """What a tool gave back: regions that are `shown`, `words`, or both."""

    shown: tuple[Shown, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Turn:
    """One assistant turn: what it was parsed into, and what came back.

    `observations` are those of its calls, in order; fewer than the calls where one was refused or a limit was reached. `note`
    is the loop's own message to the model after the turn. A `given` turn was made for the model by a policy, and is not its
    own. `seconds` is the model's time for it.
    """

    completion: Completion
    action: Action
    observations: tuple[Observation, ...] = ()
    note: str = ""
    seconds: float = 0.0
    given: bool = False

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of the turn; none of an answer."""
        return self.action if isinstance(self.action, tuple) else ()

    @property
    def kind(self) -> str:
        """What the turn did: "answer", "malformed", the name of the tool that it called, or "calls" for several tools."""
        if self.calls:
            names = {call.tool for call in self.calls}
            return names.pop() if len(names) == 1 else "calls"
        return "answer" if isinstance(self.action, Answer) else "malformed"

    @property
    def refused(self) -> tuple[Call, ...]:
        """The calls that got no observation."""
        return self.calls[len(self.observations) :]

    @property
    def views(self) -> tuple[Shown, ...]:
        """What the observations show, in order."""
        return tuple(shown for each in self.observations for shown in each.shown)

    @property
    def shown_boxes(self) -> tuple[Box, ...]:
        """The boxes of its calls that were shown."""
        pairs = zip(self.calls, self.observations, strict=False)
        return tuple(call.box for call, observation in pairs if call.box and observation.shown)

    @property
    def thought(self) -> str:
        """The model's text before the calls or the answer."""
        match self.action:
            case Malformed():
                return ""
            case Answer(thought=thought):
                return thought
            case calls:
                return calls[0].thought


@dataclass(frozen=True)
class Trace:
    """Everything that happened between a question and its end. `overviews` are the pictures as first shown;
    `error` is there only if the run failed.

    `policy` is the name of what decided where to look, and `may_call` whether the model was offered its tools; without them
    the question itself asked for the answer at once. `outside`: whether the picture is of another kind than the
    model was trained on; None where the model claims no kind.
    """

    id: str
    question: Question
    model: str
    dialect: str
    spec: ViewSpec
    sampling: Sampling
    limits: Limits
    overviews: tuple[Shown, ...]
    turns: tuple[Turn, ...] = ()
    stop: Stop = Stop.ANSWER
    error: str | None = None
    policy: str = "own"
    may_call: bool = True
    outside: bool | None = None
    version: int = field(default=TRACE_VERSION)

    @property
    def answer(self) -> str | None:
        """The final answer, or None where the run ended without one."""
        last = self.turns[-1].action if self.turns else None
        return last.text if isinstance(last, Answer) else None

    @property
    def overview(self) -> Shown:
        """The overview of the first picture."""
        return self.overviews[0]

    def overview_of(self, box: Box) -> Shown:
        """The overview of the picture that a box is in. Raises InvalidBox where there is no such picture."""
        if not 0 <= box.picture < len(self.overviews):
            raise InvalidBox(f"a box is in picture {box.picture}; want one of {len(self.overviews)}, counted from 0")
        return self.overviews[box.picture]

    @property
    def views(self) -> tuple[Shown, ...]:
        """All that was shown after the overviews, in order."""
        return tuple(view for turn in self.turns for view in turn.views)

    @property
    def model_turns(self) -> tuple[Turn, ...]:
        """The turns that the model produced itself."""
        return tuple(turn for turn in self.turns if not turn.given)

    @property
    def requested_boxes(self) -> tuple[Box, ...]:
        """The boxes that the model named itself, shown or not."""
        return tuple(call.box for turn in self.model_turns for call in turn.calls if call.box)

    @property
    def shown_boxes(self) -> tuple[Box, ...]:
        """Of those, the boxes that were shown."""
        return tuple(box for turn in self.model_turns for box in turn.shown_boxes)

    @property
    def tools(self) -> Mapping[str, int]:
        """How often each tool gave the model an observation, by the tool's name."""
        return Counter(
            call.tool for turn in self.model_turns for call, _ in zip(turn.calls, turn.observations, strict=False)
        )

    @property
    def zooms(self) -> int:
        """Regions that the model zoomed into."""
        return self.tools.get(ZOOM, 0)

    @property
    def tokens(self) -> int:
        """Tokens the model produced."""
        return sum(turn.completion.tokens for turn in self.turns)

    @property
    def pixels(self) -> int:
        """Pixels shown, the overviews included."""
        return sum(view.pixels for view in self.overviews) + sum(view.pixels for view in self.views)

    @property
    def visual_tokens(self) -> int:
        """Visual tokens shown, each counted once."""
        return self.pixels // self.spec.factor**2

    @property
    def seconds(self) -> float:
        """The model's time for all turns."""
        return sum(turn.seconds for turn in self.turns)

    def to_json(self) -> dict[str, Any]:
        """The trace as plain JSON data."""
        data: dict[str, Any] = _room("cof.plain").to_json(self)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trace:
        """The inverse of `to_json`. Raises InvalidRun where `data` is no trace."""
        trace: Trace = _room("cof.plain").checked_trace(data)
        return trace

    def to_html(self, picture: Any = None) -> str:
        """The trace as one HTML page; `picture` as `cof.load` takes it, else what the question names. Raises InvalidImage."""
        page: str = _room("cof.view.page").page_of(self, picture)
        return page

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to a `.json` file, or its page to an `.html` file. Raises InputError or InvalidImage."""
        suffix = os.path.splitext(path)[1].lower() if isinstance(path, str | os.PathLike) else ""
        if suffix not in (".json", ".html"):
            raise InputError(f"cannot save a trace as {path!r}; want a path that ends in .json or .html")
        text = self.to_html() if suffix == ".html" else json.dumps(self.to_json(), ensure_ascii=False) + "\n"
        try:
            _room("cof.runs").publish(Path(path), text)
        except OSError as error:
            raise InputError(
                f"cannot write {os.fspath(path)!r}: {error.strerror}; want a folder that can be written"
            ) from None


def _room(module: str) -> Any:
    """A module above this one, imported when it is used: for the methods by which a person at a prompt reads a trace."""
    return importlib.import_module(module)
