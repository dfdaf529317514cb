"""The values that carry the meaning: what is asked, what the model said, what it was shown, and how it ended.

Everything here is frozen, compares by value and round-trips through JSON (`plain.py`). No pixels and no torch: a trace names
regions of its picture and re-renders exactly. No I/O but in `Trace.save` and `to_html`, which reach up to the rooms that write
JSON and pages, for people at a prompt. Derived figures (`answer`, `zooms`, `tokens`) are properties
and are never stored.
"""

from __future__ import annotations

import enum
import importlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cof.errors import InputError, InvalidBox, InvalidConfig

TRACE_VERSION = 3
ZOOM = "zoom"  # the name of the tool that shows a region enlarged


@dataclass(frozen=True)
class Box:
    """A rectangle (x0, y0, x1, y1); unless a name says otherwise in float pixels of a question's *source picture*.

    Origin top-left, x to the right, y down; x1 and y1 are exclusive. Always finite, with x0 < x1 and y0 < y1. `picture` is the
    number of that picture among those of the question, from 0; boxes of two pictures share nothing.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    picture: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.x0, self.y0, self.x1, self.y1)):
            raise InvalidBox(f"box {self.as_tuple()} has a number that is not finite; want four finite numbers")
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise InvalidBox(f"box {self.as_tuple()} is empty or reversed; want x0 < x1 and y0 < y1")

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def as_tuple(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class ViewSpec:
    """How pixels are chosen, for the overview and for every zoom. The same value is used wherever a picture is shown.

    An overview is the whole picture resized to between `min_pixels` and `max_pixels`; a zoom is the box grown by
    `grow` about its centre, scaled by `scale`, and held between `zoom_min_pixels` and `zoom_max_pixels`. All sides are
    multiples of `factor` pixels, the side of one visual token. `source` names the pixels a zoom is cut from: the
    original file, or the resized overview (as the paper's evaluation does). `pad` widens the box of a zoom on each side by
    that part of the picture's side, up to its edge, before it is grown. No side is longer than `max_side` pixels, where that
    is given.
    """

    min_pixels: int = 56 * 56
    max_pixels: int = 448 * 448
    zoom_min_pixels: int = 168 * 168
    zoom_max_pixels: int = 252 * 252
    factor: int = 28
    grow: float = 1.25
    scale: float = 1.0
    source: Literal["original", "resized"] = "original"
    resample: Literal["lanczos", "bicubic", "bilinear"] = "lanczos"
    pad: float = 0.0
    max_side: int | None = None


@dataclass(frozen=True)
class Rotate:
    """An edit: the region is turned clockwise by `degrees`, which is 90, 180 or 270."""

    degrees: int

    def __post_init__(self) -> None:
        if self.degrees not in (90, 180, 270):
            raise InvalidConfig(
                f"a rotation by {self.degrees!r} degrees is not possible; want 90, 180 or 270, clockwise"
            )

    def turned(self, box: Box, size: tuple[float, float]) -> Box:
        """The box in a frame of `size` = (width, height), as a box in that frame turned."""
        width, height = size
        match self.degrees:
            case 90:
                return Box(height - box.y1, box.x0, height - box.y0, box.x1)
            case 180:
                return Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)
            case _:
                return Box(box.y0, width - box.x1, box.y1, width - box.x0)


Edit = Rotate  # a union, as there are more


@dataclass(frozen=True)
class Shown:
    """What a model was shown: a region of a picture with edits, at a size. It holds no pixels, and renders exactly again.

    `region` is in source pixels of the picture that `region.picture` numbers; `edits` are applied to it in order; `size` is the
    (width, height) in pixels of what results. `id` numbers what was shown in a run, from 0; `made_by` names the tool whose
    observation it is in, or is empty for the overview of a picture. Two values that show the same are equal.
    `to_source` and `from_source` are exact inverses of each other up to float rounding.
    """

    region: Box
    size: tuple[int, int]
    edits: tuple[Edit, ...] = ()
    id: int = field(default=0, compare=False)
    made_by: str = field(default="", compare=False)

    @property
    def picture(self) -> int:
        """The number of the picture among those of the question, from 0."""
        return self.region.picture

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def unedited(self) -> tuple[int, int]:
        """The (width, height) in pixels before the edits."""
        quarters = sum(edit.degrees for edit in self.edits) // 90
        return (self.size[1], self.size[0]) if quarters % 2 else self.size

    @property
    def detail(self) -> float:
        """Pixels that are shown per source pixel, at most 1: an enlarged region shows no more than its source."""
        width, height = self.unedited
        return min(width / self.region.width, height / self.region.height, 1.0)

    def to_source(self, box: Box) -> Box:
        """A box in pixels of what is shown, as a box in source pixels of the picture."""
        frame: tuple[int, int] = self.size
        for edit in reversed(self.edits):
            box, frame = _inverse(edit).turned(box, frame), frame[::-1] if edit.degrees != 180 else frame
        sx, sy = self.region.width / frame[0], self.region.height / frame[1]
        x, y = self.region.x0, self.region.y0
        return Box(x + box.x0 * sx, y + box.y0 * sy, x + box.x1 * sx, y + box.y1 * sy, picture=self.picture)

    def from_source(self, box: Box) -> Box:
        """A box in source pixels of the picture, as a box in pixels of what is shown; it may lie outside."""
        frame = self.unedited
        sx, sy = frame[0] / self.region.width, frame[1] / self.region.height
        x, y = self.region.x0, self.region.y0
        found = Box((box.x0 - x) * sx, (box.y0 - y) * sy, (box.x1 - x) * sx, (box.y1 - y) * sy)
        for edit in self.edits:
            found, frame = edit.turned(found, frame), frame[::-1] if edit.degrees != 180 else frame
        return found


def _inverse(edit: Edit) -> Edit:
    return Rotate(360 - edit.degrees)


Metric = Literal["match", "anls", "relaxed", "iou"]


@dataclass(frozen=True)
class Exchange:
    """An earlier question about the same picture, and the answer that it got. Either may be empty."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """What is asked of one or more pictures. `answer`, `category`, `depth` and `targets` are ground truth, None where unknown.

    `images` are their paths; `targets` are boxes in source pixels, in the order in which a careful reader would visit them;
    `depth` is the number of zooms needed at the overview budget the question was made for; `tags` are further names that
    results are grouped by. `aliases` are further true answers, each as right as `answer`; `metric` says how an answer is
    compared with the truth. `system` is what follows the dialect's own system prompt; `earlier` are the exchanges about the
    picture that came before. `readable` says whether the answer can be seen in the picture at all, by zooming or without, where
    that is known.
    """

    id: str
    images: tuple[str, ...]
    text: str
    choices: tuple[str, ...] = ()
    answer: str | None = None
    category: str | None = None
    depth: int | None = None
    targets: tuple[Box, ...] = ()
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    metric: Metric = "match"
    system: str = ""
    earlier: tuple[Exchange, ...] = ()
    readable: bool | None = None

    @property
    def image(self) -> str:
        """The path of the first picture."""
        return self.images[0]


@dataclass(frozen=True)
class Call:
    """The model calls a tool.

    `tool` is the tool's name in this package, whatever the model's family calls it. `arguments` are the tool's own: a `box` is
    in source pixels, and `of` is the `id` of what was shown that the call is about; without it that is the first overview.
    `label` is what the model says it looks for. `thought` is what it said before the call; in a turn of several calls the first
    has it.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    thought: str = ""

    @property
    def box(self) -> Box | None:
        """The box that the call names, in source pixels; None where its tool takes none."""
        box = self.arguments.get("box")
        return box if isinstance(box, Box) else None


@dataclass(frozen=True)
class Answer:
    """The model gives its final answer."""

    text: str
    thought: str = ""


@dataclass(frozen=True)
class Malformed:
    """The model's text is no action. `fault` is one clear sentence that is told back to the model."""

    fault: str
    raw: str


Action = Answer | Malformed | tuple[Call, ...]


class Stop(enum.StrEnum):
    """Why a run ended. A limit's name with an answer beside it means: the answer was given when asked for at the limit."""

    ANSWER = "answer"
    TURNS = "turns"
    ZOOMS = "zooms"
    CALLS = "calls"
    TOKENS = "tokens"
    PIXELS = "pixels"
    SECONDS = "seconds"
    FAILED = "failed"


@dataclass(frozen=True)
class Limits:
    """What one request may cost. At a limit the model is asked for its answer once; a crop shrinks to what pixels are left.

    `turns` of the model, `zooms` shown, `calls` of each other tool that get an observation, `tokens` sampled, `pixels` shown in
    all, the overviews included, `seconds` of the model's time. `crop_pixels` is the most that one crop may have; None leaves
    it to the view rules and to `pixels`.
    """

    turns: int = 6
    zooms: int = 4
    tokens: int = 16_384
    pixels: int = 5_500_000
    seconds: float = 300.0
    crop_pixels: int | None = None
    calls: int = 4

    def of(self, tool: str) -> int:
        """How many calls of the tool get an observation."""
        return self.zooms if tool == ZOOM else self.calls

    def __post_init__(self) -> None:
        numbers = (
            self.turns - 1,
            self.zooms,
            self.calls,
            self.tokens,
            self.pixels,
            self.seconds,
            (self.crop_pixels or 1) - 1,
        )
        if not all(number >= 0 for number in numbers) or self.crop_pixels == 0:  # NaN is not
            raise InvalidConfig(
                f"limits {self} are not possible; want at least one turn, a crop of a pixel or more, and nothing below zero"
            )


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: `temperature` 0 is greedy; `tokens` is the most that one turn may produce."""

    temperature: float = 0.0
    top_p: float = 1.0
    tokens: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.tokens < 1:
            raise InvalidConfig(f"{self} is not possible; want temperature >= 0, 0 < top_p <= 1 and tokens >= 1")


@dataclass(frozen=True)
class Transcript:
    """A completion in the model's own tokens, for training: the `prompt`, with a placeholder once a visual token, what was
    `sampled` after it, the end of the turn included, and the logarithm of the probability of each at the temperature of the
    sampling (1 where that is 0), before `top_p` cuts off the unlikely."""

    prompt: tuple[int, ...]
    sampled: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True)
class Completion:
    """One assistant turn as a model produced it. `visual_tokens` counts image tokens in the prompt.

    `transcript` is there if the request asked for it.
    """

    text: str
    tokens: int = 0
    prompt_tokens: int = 0
    visual_tokens: int = 0
    finish: Literal["stop", "length"] = "stop"
    transcript: Transcript | None = None


@dataclass(frozen=True)
class Observation:
    """What a tool gave back: regions that are `shown`, `words`, or both."""

    shown: tuple[Shown, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Turn:
    """One assistant turn: what it was parsed into, and what came back.

    `observations` are those of its calls, in order; fewer than the calls where one was refused or a limit was reached. `note`
    is what the loop says to the model besides. A `given` turn was written for the model (by the oracle), and is not its own.
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
    def thought(self) -> str:
        """What was said before the calls or the answer."""
        match self.action:
            case Malformed():
                return ""
            case Answer(thought=thought):
                return thought
            case calls:
                return calls[0].thought


@dataclass(frozen=True)
class Trace:
    """Everything that happened between a question and its end. `overviews` are the pictures as first
    shown; `error` only if failed.

    `mode` says whether the model could choose to zoom ("focus"), could not ("direct"), had to ("always"), or was shown the
    true boxes first ("oracle"). `outside` says whether the picture is none of the kind that the model was trained on; None
    where the model makes no such claim.
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
    mode: str = "focus"
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
        """The turns that the model spoke itself."""
        return tuple(turn for turn in self.turns if not turn.given)

    @property
    def requested_boxes(self) -> tuple[Box, ...]:
        """The boxes that the model named itself, shown or not."""
        return tuple(call.box for turn in self.model_turns for call in turn.calls if call.box)

    @property
    def shown_boxes(self) -> tuple[Box, ...]:
        """Of those, the boxes that were shown."""
        pairs = (pair for turn in self.model_turns for pair in zip(turn.calls, turn.observations, strict=False))
        return tuple(call.box for call, observation in pairs if call.box and observation.shown)

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
