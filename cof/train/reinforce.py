"""The recipe of reinforcement, checked before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cof.data.worlds import DEPTHS, SIDES, world_of
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.scoring.rewards import reward_named
from cof.train.recipes import DATA, Needed, Precision, at_least_one
from cof.types import Limits

VLLM_TEMPERATURE_RANGE = (0.01, 2.0)  # temperatures that vLLM 0.30.0 takes as they are


@dataclass(frozen=True)
class ReinforceConfig:
    """Recipe of the stage. `model` is "nano", "nano-sft", a folder or a hub id: where the run starts, and
    what it is held to by `beta`. `dialect` is the family, or the TOML file, in whose words it is asked and read.

    A step asks `groups` questions, `group` rollouts each, of which `seats` run together, and learns from them in `accumulate`
    passes; rows of a pass hold at most `branches` rollouts. Questions come from the file `questions`, or else from `world`, a
    name or module:name, as `WorldPrompts` has it. `judge` is the URL of an endpoint that scores what cannot be read; its key is
    in `judge_key_file`, or else in OPENAI_API_KEY. `scale`: advantages are divided by their group's deviation. `tokens` limits
    a turn; `warmup` counts steps; every `show_every` steps a group is shown. `vllm` is the share of the GPU's memory for vLLM,
    from which rollouts come then, all of a step together; with 0 they come from the network that is trained.
    """

    model: str
    dialect: str = COF.name
    questions: str = ""
    world: str = "needle"
    sides: tuple[int, ...] = (1792,)
    resolutions: tuple[int, ...] = ()
    budgets: tuple[int, ...] = (256,)
    depths: tuple[float, ...] = DEPTHS
    rewards: Mapping[str, float] = field(default_factory=lambda: {"agar": 1.0})
    judge: str = ""
    judge_model: str = "judge"
    judge_key_file: str = ""
    seed: int = 0
    steps: int = 200
    groups: int = 8
    group: int = 8
    accumulate: int = 1
    branches: int = 8
    seats: int = 16
    learning_rate: float = 1e-6
    warmup: int = 10
    beta: float = 0.001
    clip: float = 0.2
    scale: bool = True
    temperature: float = 1.0
    tokens: int = 512
    limits: Limits = Limits(turns=4)
    save_every: int = 25
    show_every: int = 25
    freeze_vision: bool = True
    lora_rank: int = 0
    vllm: float = 0.0
    precision: Precision = "bfloat16"

    def __post_init__(self) -> None:
        at_least_one(self, "steps", "groups", "accumulate", "branches", "seats", "tokens", "save_every", "show_every")
        dialect_of(self.dialect)
        world_of(self.world)
        for name, weight in self.rewards.items():
            reward_named(name)
            if not math.isfinite(weight):
                raise InvalidConfig(f"the reward {name} weighs {weight}; want a finite number")
        if bad := [side for side in (*self.sides, *self.resolutions) if not SIDES[0] <= side <= SIDES[1]]:
            raise InvalidConfig(
                f"a side or resolution of {bad[0]} is not possible; want {SIDES[0]} to {SIDES[1]} pixels"
            )
        if low := [budget for budget in self.budgets if budget < 1]:
            raise InvalidConfig(f"a budget of {low[0]} visual tokens is not possible; want at least 1")
        if self.group < 2 or self.temperature <= 0:
            raise InvalidConfig(
                f"group = {self.group} at temperature {self.temperature} gives nothing to compare; want two rollouts or more, "
                "at a temperature above 0"
            )
        if not 0 <= self.vllm < 1:
            raise InvalidConfig(f"vllm = {self.vllm} is not possible; want a share of the GPU's memory, such as 0.4")
        if self.vllm and not (
            self.freeze_vision and VLLM_TEMPERATURE_RANGE[0] <= self.temperature <= VLLM_TEMPERATURE_RANGE[1]
        ):
            raise InvalidConfig(
                "vLLM keeps what it saw of a picture, and takes temperatures from 0.01 to 2; want freeze_vision = true and "
                "such a temperature, or vllm = 0"
            )
        if not any(self.rewards.values()) or not (self.sides and self.budgets and self.depths):
            raise InvalidConfig(
                "rewards, sides, budgets or depths are empty; want a reward that weighs something, and some of each"
            )

    def files(self, maker: str) -> Iterator[Needed]:  # noqa: ARG002
        yield Needed("questions", self.questions, f"a JSONL file of traces: {DATA}")
