"""The recipes of the embedded model: perception, and supervision on needle scenes. Checked before torch is imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from cof.dialects.cof import COF
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec
from cof.needle.scenes import Contents
from cof.train.recipes import Needed, Precision, SupervisedConfig, at_least_one


@dataclass(frozen=True)
class PerceptionConfig:
    """Recipe of stage 0.

    `model`: "nano", "nano-sft", or a folder of that architecture. Without it an untrained model is made.
    `text`, `vision`: the fields of the untrained model's two configs.
    `layers`: first language layers that are trained, with the vision tower.
    `scenes`, `crops`: scenes of a step, and zooms of each scene.
    `warmup`, `save_every`: in steps.
    """

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

    def files(self, maker: str) -> Iterator[Needed]:  # noqa: ARG002
        yield from ()


@dataclass(frozen=True)
class Lesson:
    """What is taught until step `until`: scenes of these `contents`, and questions that need 0, 1 or 2 zooms.

    `depths` are the weights of these questions. Pictures have one of `sides` (pixels of the longer side), overviews at most
    one of `budgets` (visual tokens). Of the conversations a share is `direct`: answered at once; `given`: shown the true
    places first; `forced`: made to zoom. Of the others `recovery` begin at a wrong place. Of all a share has `choices`.
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
    """Supervision beside the language loss, which alone would take many more steps, with the weight of each.

    `content`, `frame`: language layers after which visual tokens predict their content, and their place in the overview.
    `weight`: of both predictions.
    `places`: weight of the loss where the text names a place; nearby numbers are nearly right.
    `look`: heads of the two layers after so many attend to what is meant; those of the layer after `content`, to its name.
    `looks`: weight of that attention (see `looks.py`).
    """

    content: int = 2
    frame: int = 4
    look: int = 3
    weight: float = 0.15
    places: float = 1.0
    looks: float = 1.0


@dataclass(frozen=True)
class NanoSupervisedConfig(SupervisedConfig):
    """Recipe of supervision on needle scenes, in the dialect "cof" alone.

    `heads`: the checkpoint, of perception or of this stage, from which dense heads are taken.
    `traces`: a JSONL file of traces about needle scenes.
    `lessons`: without `traces`, conversations about needle scenes are made from these.
    `dense`: supervision of visual tokens beside the language loss.
    `scenes`, `questions`: needle scenes of a step, and the most conversations about each.
    """

    source: ClassVar[str] = "cof.nano.supervision:supervise"

    supervision: str = "nano"
    heads: str = ""
    lessons: tuple[Lesson, ...] = (Lesson(1),)
    dense: Dense | None = None
    scenes: int = 4
    questions: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "scenes", "questions")
        if self.dialect != COF.name:
            want = f'want dialect = {COF.name!r}, or supervision = "traces"'
            raise InvalidConfig(f"dialect = {self.dialect!r} is not possible on needle scenes; {want}")

    def files(self, maker: str) -> Iterator[Needed]:
        if self.dense and self.heads:
            leaves = f"which `{maker} --out {Path(self.heads).parent.parent}` leaves"
            yield Needed("heads", self.heads, f"a checkpoint's model.safetensors, {leaves}")
        yield from super().files(maker)
