"""The values that carry the meaning: what is asked, what the model does, what a run may cost, and why it ended.

Everything here is frozen, compares by value and round-trips through JSON (`plain.py`). No pixels, no torch, no I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cof.errors import InvalidConfig
from cof.geometry import Box

ZOOM = "zoom"  # the name of the tool that shows a region enlarged


Metric = Literal["match", "anls", "relaxed", "iou"]


@dataclass(frozen=True)
class Exchange:
    """An earlier question about the same picture, and the answer that it got. Either may be empty."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """What is asked of one or more pictures. `answer`, `category`, `depth` and `targets` are ground truth, None where unknown.

    `images` are their paths; `targets` are boxes in source pixels, in the order in which to look at them;
    `depth` is the number of zooms needed at the overview budget the question was made for; `tags` are further names that
    results are grouped by. `aliases` are further true answers, each as right as `answer`; `metric` is how an answer is
    compared with the truth. `system` is what follows the dialect's own system prompt; `earlier` are the exchanges about the
    picture that came before. `readable`: whether the answer can be seen in the picture at all, with zooms or without; None
    where that is not known.
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
    `label` is the model's own name for what it looks for. `thought` is its text before the call; in a turn of several calls the
    first has it.
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
    """The model's text (`raw`) is not an action. `fault` is one clear sentence, which goes back to the model."""

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
    """One assistant turn as a model produced it. `tokens` counts those of the turn, `visual_tokens` image tokens in
    the prompt.

    `finish` is "length" where the turn was cut off at its token limit. `transcript` is there if the request asked for it.
    """

    text: str
    tokens: int = 0
    prompt_tokens: int = 0
    visual_tokens: int = 0
    finish: Literal["stop", "length"] = "stop"
    transcript: Transcript | None = None
