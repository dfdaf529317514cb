"""Stage 2: GRPO that learns when to look. Full weights or LoRA.

Owns the recipe, what of it goes to TRL, and where a run begins or goes on; the steps themselves are in `focus_trainer.py`.
Omits weights that are sharded: rollouts come from the whole network that is trained, or from a copy of it in vLLM.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import AutoModelForImageTextToText
from trl import GRPOConfig

from cof.errors import InvalidConfig
from cof.models.local import LocalModel
from cof.plain import to_json
from cof.scoring.rewards import Weights
from cof.train.focus_trainer import FocusTrainer, Show
from cof.train.progress import at_least_one, common_arguments, last_checkpoint
from cof.train.prompts import FilePrompts, NeedlePrompts, Prompts
from cof.train.sft import finish
from cof.types import Limits
from cof.worlds.needle import DEPTHS, SIDES


@dataclass(frozen=True)
class ReinforceConfig:
    """Recipe of the stage. `model` is "nano", a folder or a hub id: where the run starts, and what it is held to by `beta`.

    A step asks `groups` questions, `group` rollouts each, of which `seats` run together, and learns from them in `accumulate`
    passes; rows of a pass hold at most `branches` rollouts. Questions come from the file `questions`, or else from needle
    scenes, as `NeedlePrompts` says. `judge` is the URL of an endpoint that scores what cannot be read. `scale`: advantages
    are divided by their group's deviation. `tokens` limits a turn; `warmup` counts steps; every `show_every` steps a group
    is shown. `vllm`: rollouts come from vLLM on the GPU that trains, which holds a copy of the weights.
    """

    model: str
    questions: str = ""
    sides: tuple[int, ...] = (1792,)
    resolutions: tuple[int, ...] = ()
    budgets: tuple[int, ...] = (256,)
    depths: tuple[float, ...] = DEPTHS
    rewards: Weights = Weights(agar=1.0)
    judge: str = ""
    judge_model: str = "judge"
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
    vllm: bool = False

    def __post_init__(self) -> None:
        at_least_one(self, "steps", "groups", "accumulate", "branches", "seats", "tokens", "save_every", "show_every")
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
        if not any(asdict(self.rewards).values()) or not (self.sides and self.budgets and self.depths):
            raise InvalidConfig(
                "rewards, sides, budgets or depths are empty; want a reward that weighs something, and some of each"
            )


def train_reinforced(config: ReinforceConfig, out: Path, show: Show = lambda _step, _traces: None) -> Path:
    """Run the stage in folder `out`, from its last checkpoint if it has one; returns the folder of the trained model.

    `show` gets the step and the rollouts of one question, every `show_every` steps. Raises InvalidConfig, ModelError.
    """
    resumed = last_checkpoint(out)
    start = LocalModel.load(config.model, device="cpu")
    network = start.network.float()
    if resumed and not config.lora_rank:  # the Trainer's own loading misses the names that from_pretrained translates
        path = network.config.name_or_path
        network = AutoModelForImageTextToText.from_pretrained(resumed, dtype="float32")
        network.config.name_or_path = path  # of the reference, which stays at the start
    network.model.visual.requires_grad_(not config.freeze_vision)
    arguments = _arguments(config, out)
    prompts = _prompts(config, start)
    prompts(0)  # so that what cannot be asked is refused before anything runs
    trainer = FocusTrainer(config, start, network, arguments, prompts, show)
    trainer.train(resume_from_checkpoint=resumed)
    card = {"spec": to_json(start.spec)} | ({"zoom_opening": start.zoom_opening} if start.zoom_opening else {})
    return finish(trainer, start.codec.processor, card, out / "model")


def _prompts(config: ReinforceConfig, start: LocalModel) -> Prompts:
    """What is asked."""
    if config.questions:
        return FilePrompts(Path(config.questions), config.seed, start.spec.factor)
    return NeedlePrompts(start.spec, config.seed, config.sides, config.budgets, config.depths, config.resolutions)


def _arguments(config: ReinforceConfig, out: Path) -> GRPOConfig:
    processes, rollouts = PartialState(cpu=not torch.cuda.is_available()).num_processes, config.groups * config.group
    if rollouts % (processes * config.accumulate):
        raise InvalidConfig(
            f"{config.groups} groups of {config.group} rollouts cannot be shared by {processes} processes in "
            f"{config.accumulate} passes each; want equal shares"
        )
    common = common_arguments(out, config.seed, config.steps, config.learning_rate, config.warmup, config.save_every)
    own = {
        "per_device_train_batch_size": rollouts // processes // config.accumulate,
        "gradient_accumulation_steps": config.accumulate,
        "steps_per_generation": config.accumulate,
        "num_generations": config.group,
        "shuffle_dataset": False,
        "temperature": config.temperature,
        "beta": config.beta,
        "epsilon": config.clip,
        "loss_type": "dapo",  # a mean over all tokens of the step, so that long rollouts do not count less
        "activation_checkpointing": config.lora_rank > 0,
        "logging_steps": 1,
    }
    if config.vllm:
        if find_spec("vllm") is None:
            raise InvalidConfig(
                "vllm = true wants vLLM, which is not installed; install it on a machine with a GPU, or leave vllm out"
            )
        own |= {"use_vllm": True, "vllm_mode": "colocate", "vllm_importance_sampling_correction": False}
    return GRPOConfig(**common | own)
