"""Stage 2: GRPO that learns when to look. Full weights or LoRA.

Owns what of a recipe goes to TRL, and where a run begins or goes on; the recipe itself is in `reinforce.py`, a step in
`focus_trainer.py`. Omits weights that are sharded: rollouts come from the whole network, or from a copy of it in vLLM.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import AutoModelForImageTextToText
from trl import GRPOConfig

from cof.data.worlds import world_of
from cof.errors import InvalidConfig, MissingExtra
from cof.models.local.model import LocalModel
from cof.train.focus_trainer import FocusTrainer, Show
from cof.train.progress import Report, common_arguments, no_report, report_to
from cof.train.prompts import FilePrompts, Prompts, WorldPrompts
from cof.train.reinforce import ReinforceConfig
from cof.train.sft import finish
from cof.train.start import check_start, last_checkpoint, maker_of

RATIO_CAP = 4.0  # times as likely as when drawn, beyond which none is pushed away further (arXiv 2505.07291)
WORDS = 1024  # tokens of a prompt beside its pictures: system, question, notes


def train_reinforced(
    config: ReinforceConfig,
    out: Path,
    show: Show = lambda _step, _traces: None,
    report: Report = no_report,
) -> Path:
    """Run the stage in folder `out`, from its last checkpoint if it has one; returns the folder of the trained model.

    `show` gets the step and the rollouts of one question, every `show_every` steps. Raises InvalidConfig, ModelError.
    """
    if config.vllm and find_spec("vllm") is None:
        raise MissingExtra("vllm in a recipe", "vllm", "vllm")
    resumed = last_checkpoint(out)
    check_start(config, maker_of("grpo"))
    start = LocalModel.load(config.model, device="cpu")
    network = start.network.float()
    if resumed and not config.lora_rank:  # the Trainer's own loading misses the names that from_pretrained translates
        path = network.config.name_or_path
        network = AutoModelForImageTextToText.from_pretrained(resumed, dtype="float32")
        network.name_or_path = network.config.name_or_path = path  # where the reference and vLLM find the start
    network.model.visual.requires_grad_(not config.freeze_vision)
    arguments = _arguments(config, out, start)
    prompts = _prompts(config, start)
    prompts(0)  # so that what cannot be asked is refused before anything runs
    trainer = FocusTrainer(config, start, network, arguments, prompts, show)
    report_to(trainer, report)
    trainer.train(resume_from_checkpoint=resumed)
    card = replace(start.card, world=None, turn_tokens=None) if config.questions else start.card
    return finish(trainer, start.codec.processor, card, out / "model")


def _prompts(config: ReinforceConfig, start: LocalModel) -> Prompts:
    """What is asked."""
    if config.questions:
        return FilePrompts(Path(config.questions), config.seed, start.card.spec.factor)
    world, sizes = world_of(config.world), (config.sides, config.budgets, config.depths, config.resolutions)
    return WorldPrompts(world, start.card.spec, config.seed, *sizes)


def _arguments(config: ReinforceConfig, out: Path, start: LocalModel) -> GRPOConfig:
    processes, rollouts = PartialState(cpu=not torch.cuda.is_available()).num_processes, config.groups * config.group
    if rollouts % (processes * config.accumulate):
        raise InvalidConfig(
            f"{config.groups} groups of {config.group} rollouts cannot be shared by {processes} processes in "
            f"{config.accumulate} passes each; want equal shares"
        )
    common = common_arguments(config, out)
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
        own |= {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": config.vllm}
        own |= {"vllm_max_model_length": _longest(config, start), "vllm_importance_sampling_correction": False}
        own |= {"delta": RATIO_CAP}
    return GRPOConfig(**common | own)


def _longest(config: ReinforceConfig, start: LocalModel) -> int:
    """Tokens of the longest rollout that `limits` allow, for the cache of vLLM; at most what the model can read."""
    limits, overview = config.limits, max((*config.budgets, start.card.spec.max_pixels // start.card.spec.factor**2))
    visual = overview + min(limits.pixels, limits.zooms * start.card.spec.zoom_max_pixels) // start.card.spec.factor**2
    most = int(start.network.config.text_config.max_position_embeddings)
    return min(most, visual + limits.tokens + config.tokens + WORDS)
