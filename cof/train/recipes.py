"""The recipes of perception and of supervision, checked before anything heavy is imported; GRPO's is in `reinforce.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.types import ViewSpec
from cof.worlds.scenes import Contents

Precision = Literal["bfloat16", "float32"]
"""What the forward pass is computed in; weights are float32. A CPU without bfloat16 arithmetic is ten times slower in it."""


def at_least_one(config: Any, *names: str) -> None:
    """Raises InvalidConfig where one of these counts of a recipe is below 1."""
    if low := [name for name in names if getattr(config, name) < 1]:
        raise InvalidConfig(f"{low[0]} = {getattr(config, low[0])} is not possible; want at least 1")


@dataclass(frozen=True)
class PerceptionConfig:
    """Recipe of stage 0. `model` is "nano", "nano-sft" or a folder of that architecture; without it an untrained model is made,
    of which `text` and `vision` are fields of its two configs. A step shows `scenes` scenes, with `crops` zooms each."""

    model: str = ""
    text: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] = field(default_factory=dict)
    layers: int = 2
    seed: int = 0
    steps: int = 3500
    scenes: int = 3
    crops: int = 6
    learning_rate: float = 1e-3
    warmup: int = 100
    save_every: int = 250
    precision: Precision = "bfloat16"
    spec: ViewSpec = ViewSpec()
    contents: Contents = Contents()

    def __post_init__(self) -> None:
        at_least_one(self, "layers", "steps", "scenes", "crops", "save_every")
        if bool(self.model) == bool(self.text and self.vision):
            raise InvalidConfig("a start is missing or given twice; want either model, or both [text] and [vision]")


@dataclass(frozen=True)
class Lesson:
    """What is taught until step `until`: scenes, and the weights of questions that need no zoom, one, or two.

    Pictures have one of `sides` (pixels of the longer side), overviews at most one of `budgets` (visual tokens). Of the
    conversations a share is `direct`: answered at once; `given`: shown the true places first; `forced`: made to zoom; and
    of the others `recovery` begins at a wrong place. A share of all has `choices`.
    """

    until: int
    contents: Contents = Contents()
    depths: tuple[float, ...] = (0.35, 0.35, 0.3)
    sides: tuple[int, ...] = (1792,)
    budgets: tuple[int, ...] = (256,)
    direct: float = 0.06
    given: float = 0.0
    forced: float = 0.0
    recovery: float = 0.08
    choices: float = 0.15


@dataclass(frozen=True)
class Dense:
    """Supervision beside the language loss, which alone would be slow to form, with the weight of each.

    Visual tokens tell their content after `content` language layers, and their place in the overview after `frame`
    (`weight`). Where the text names a place, nearby numbers are nearly right (`places`). Heads of the two
    layers after `look` others look at what is meant, and heads of the layer after `content` others at its name (`looks`; see
    `looks.py`).
    """

    content: int = 2
    frame: int = 4
    look: int = 3
    weight: float = 0.15
    places: float = 1.0
    looks: float = 1.0


@dataclass(frozen=True)
class SupervisedConfig:
    """Recipe of stage 1. `model` is "nano", "nano-sft", a folder or a hub id; `heads` the checkpoint, of
    perception or of this stage, to take dense heads from.

    `traces` is a JSONL file of traces about any pictures, `rows` of them a step, all in `dialect`, a family's name or a TOML
    file; with `dense` they are about needle scenes, `scenes` of these a step with at most `questions` conversations each;
    without `traces` such conversations are made from `lessons`. Conversations about needle scenes are in "cof" alone. `warmup`
    counts steps.
    """

    model: str
    dialect: str = COF.name
    heads: str = ""
    traces: str = ""
    lessons: tuple[Lesson, ...] = (Lesson(1),)
    dense: Dense | None = None
    seed: int = 0
    steps: int = 6000
    rows: int = 2
    accumulate: int = 1
    scenes: int = 4
    questions: int = 6
    learning_rate: float = 1e-3
    warmup: int = 100
    save_every: int = 250
    freeze_vision: bool = True
    lora_rank: int = 0
    precision: Precision = "bfloat16"
    spec: ViewSpec = ViewSpec()

    def __post_init__(self) -> None:
        at_least_one(self, "steps", "rows", "accumulate", "scenes", "questions", "save_every")
        dialect_of(self.dialect)
        if self.dialect != COF.name and (self.dense or not self.traces):
            want = f"want dialect = {COF.name!r}, or a file of traces and no [dense]"
            raise InvalidConfig(
                f"dialect = {self.dialect!r} is not possible with lessons or [dense] on needle scenes; {want}"
            )
