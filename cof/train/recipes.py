"""The recipe of supervision, and what all recipes have, checked before torch is imported. GRPO's is in `reinforce.py`.

The recipe names by `supervision` what makes the supervised examples: a file of traces, `cof/nano/` for the embedded model, or a
part from outside the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from cof import registry
from cof.config import read_recipe
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec

Precision = Literal["bfloat16", "float32"]
"""The type of the forward pass. Weights are float32. A CPU without bfloat16 arithmetic is ten times slower in bfloat16."""

DATA = "`cof data build --out FOLDER` writes one"
GROUP = "cof.supervisions"  # of entry points
SUPERVISIONS = {"traces": "cof.train.recipes:SupervisedConfig", "nano": "cof.nano.recipes:NanoSupervisedConfig"}


class Needed(NamedTuple):
    """A file that a recipe names by `key`; empty where it names none. `want` is what is wanted there."""

    key: str
    path: str
    want: str


class Recipe(Protocol):
    """What all recipes of training have. Counts are in steps."""

    @property
    def model(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> int: ...
    @property
    def save_every(self) -> int: ...
    @property
    def precision(self) -> Precision: ...

    def files(self, maker: str) -> Iterator[Needed]:
        """The files that must be there; `maker` is the command of the stage before, without its --out."""
        ...


def at_least_one(config: Any, *names: str) -> None:
    """Raises InvalidConfig where one of these counts of a recipe is below 1."""
    if low := [name for name in names if getattr(config, name) < 1]:
        raise InvalidConfig(f"{low[0]} = {getattr(config, low[0])} is not possible; want at least 1")


@dataclass(frozen=True)
class SupervisedConfig:
    """Recipe of supervision on traces of any pictures. Other kinds of supervised examples extend it.

    `model`: "nano", "nano-sft", a folder or a hub id.
    `dialect`: a family's name or a TOML file.
    `supervision`: who makes the supervised examples: "traces", "nano", a name of the entry points `cof.supervisions`, or
    module:name of a class that extends this one.
    `traces`: a JSONL file of traces, `rows` of them for each step.
    `warmup`, `save_every`: in steps.
    """

    source: ClassVar[str] = "cof.train.traces:supervise"
    """Python path of the function that makes a `cof.train.sft.Supervised` of the recipe, a tokenizer and an image processor."""

    model: str
    dialect: str = COF.name
    supervision: str = "traces"
    traces: str = ""
    seed: int = 0
    steps: int = 6000
    rows: int = 2
    accumulate: int = 1
    learning_rate: float = 1e-3
    warmup: int = 100
    save_every: int = 250
    freeze_vision: bool = True
    lora_rank: int = 0
    precision: Precision = "bfloat16"
    spec: ViewSpec = ViewSpec()

    def __post_init__(self) -> None:
        at_least_one(self, "steps", "rows", "accumulate", "save_every")
        dialect_of(self.dialect)

    def files(self, maker: str) -> Iterator[Needed]:  # noqa: ARG002
        yield Needed("traces", self.traces, f"a JSONL file of traces: {DATA}")


def supervised_recipe(path: Path, overrides: Sequence[str] = ()) -> type[SupervisedConfig]:
    """The class of a recipe of supervision, by the `supervision` that the file or an override names. Raises InvalidConfig."""
    given = [item.partition("=")[2].strip() for item in overrides if item.partition("=")[0].strip() == "supervision"]
    name = given[-1] if given else read_recipe(path).get("supervision", "traces")
    found = registry.part("supervision", str(name), registry.known(GROUP, SUPERVISIONS))
    if not (isinstance(found, type) and issubclass(found, SupervisedConfig)):
        raise InvalidConfig(f"supervision {name!r} is no recipe; want a class that extends SupervisedConfig")
    return found
