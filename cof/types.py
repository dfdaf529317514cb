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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cof.errors import InputError, InvalidBox, InvalidConfig

TRACE_VERSION = 2


@dataclass(frozen=True)
class Box:
    """A rectangle (x0, y0, x1, y1); unless a name says otherwise in float pixels of the *source image*.

    Origin top-left, x to the right, y down; x1 and y1 are exclusive. Always finite, with x0 < x1 and y0 < y1.
    """

    x0: float
    y0: float
    x1: float
    y1: float

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
class View:
    """A region of the source image (source pixels) shown to the model at `size` = (width, height) pixels.

    `to_source` and `from_source` are exact inverses of each other up to float rounding.
    """

    region: Box
    size: tuple[int, int]

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def detail(self) -> float:
        """Pixels of this view a source pixel, at most 1: an enlarged view shows no more than its source."""
        return min(self.size[0] / self.region.width, self.size[1] / self.region.height, 1.0)

    def to_source(self, box: Box) -> Box:
        """A box in pixels of this view, as a box in source pixels."""
        sx, sy = self.region.width / self.size[0], self.region.height / self.size[1]
        x, y = self.region.x0, self.region.y0
        return Box(x + box.x0 * sx, y + box.y0 * sy, x + box.x1 * sx, y + box.y1 * sy)

    def from_source(self, box: Box) -> Box:
        """A box in source pixels, as a box in pixels of this view; it may lie outside."""
        sx, sy = self.size[0] / self.region.width, self.size[1] / self.region.height
        x, y = self.region.x0, self.region.y0
        return Box((box.x0 - x) * sx, (box.y0 - y) * sy, (box.x1 - x) * sx, (box.y1 - y) * sy)


Metric = Literal["match", "anls", "relaxed", "iou"]


@dataclass(frozen=True)
class Exchange:
    """An earlier question about the same picture, and the answer that it got. Either may be empty."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """What is asked of one picture. `answer`, `category`, `depth` and `targets` are ground truth, None where unknown.

    `image` is a path; `targets` are boxes in source pixels, in the order in which a careful reader would visit them;
    `depth` is the number of zooms needed at the overview budget the question was made for; `tags` are further names that
    results are grouped by. `aliases` are further true answers, each as right as `answer`; `metric` says how an answer is
    compared with the truth. `system` is what follows the dialect's own system prompt; `earlier` are the exchanges about the
    picture that came before. `readable` says whether the answer can be seen in the picture at all, by zooming or without, where
    that is known.
    """

    id: str
    image: str
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


@dataclass(frozen=True)
class Zoom:
    """The model asks to see `boxes` (source pixels) more closely."""

    boxes: tuple[Box, ...]
    label: str = ""
    thought: str = ""


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


Action = Zoom | Answer | Malformed


class Stop(enum.StrEnum):
    """Why a run ended. A limit's name with an answer beside it means: the answer was given when asked for at the limit."""

    ANSWER = "answer"
    TURNS = "turns"
    ZOOMS = "zooms"
    TOKENS = "tokens"
    PIXELS = "pixels"
    SECONDS = "seconds"
    FAILED = "failed"


@dataclass(frozen=True)
class Limits:
    """What one request may cost. At a limit the model is asked for its answer once; a crop shrinks to what pixels are left.

    `turns` of the model, `zooms` shown, `tokens` sampled, `pixels` shown in all, the overview included, `seconds` of the
    model's time. `crop_pixels` is the most that one crop may have; None leaves it to the view rules and to `pixels`.
    """

    turns: int = 6
    zooms: int = 4
    tokens: int = 16_384
    pixels: int = 5_500_000
    seconds: float = 300.0
    crop_pixels: int | None = None

    def __post_init__(self) -> None:
        numbers = (self.turns - 1, self.zooms, self.tokens, self.pixels, self.seconds, (self.crop_pixels or 1) - 1)
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
class Turn:
    """One assistant turn, what it was parsed into, and what came back: `views` of its zoom, or a `note` in words.

    A `given` turn was put into the model's mouth (the oracle's), and counts as none of its own.
    """

    completion: Completion
    action: Action
    views: tuple[View, ...] = ()
    note: str = ""
    seconds: float = 0.0
    given: bool = False


@dataclass(frozen=True)
class Trace:
    """Everything that happened between a question and its end. `overview` is the first view; `error` only if failed.

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
    overview: View
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
    def views(self) -> tuple[View, ...]:
        """Every view after the overview, in order."""
        return tuple(view for turn in self.turns for view in turn.views)

    @property
    def model_turns(self) -> tuple[Turn, ...]:
        """The turns that the model spoke itself."""
        return tuple(turn for turn in self.turns if not turn.given)

    @property
    def requested_boxes(self) -> tuple[Box, ...]:
        """The boxes that the model named itself, shown or not."""
        return tuple(box for turn in self.model_turns if isinstance(turn.action, Zoom) for box in turn.action.boxes)

    @property
    def shown_boxes(self) -> tuple[Box, ...]:
        """Of those, the boxes that were shown."""
        zooms = [(turn.action, len(turn.views)) for turn in self.model_turns if isinstance(turn.action, Zoom)]
        return tuple(box for zoom, shown in zooms for box in zoom.boxes[:shown])

    @property
    def zooms(self) -> int:
        """Views that the model asked for."""
        return sum(len(turn.views) for turn in self.model_turns)

    @property
    def tokens(self) -> int:
        """Tokens the model produced."""
        return sum(turn.completion.tokens for turn in self.turns)

    @property
    def pixels(self) -> int:
        """Pixels shown, the overview included."""
        return self.overview.pixels + sum(view.pixels for view in self.views)

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
