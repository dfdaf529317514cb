"""Supervised trajectories through TRL's SFTTrainer, of any model: loss on assistant turns, full weights or LoRA.

What is learnt from comes by a seam: the recipe's class names the function that makes a `Supervised` (`recipes.py`).
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from trl import SFTConfig, SFTTrainer

from cof.models.local.model import CARD, Card
from cof.models.named import source_of
from cof.plain import to_json
from cof.runs import publish
from cof.train.progress import Curves, Loaded, Report, StepOrder, common_arguments, no_report, report_to
from cof.train.recipes import SupervisedConfig
from cof.train.start import check_start, last_checkpoint, maker_of

# seconds for gloo's thread to end by itself: its group, taken down at once, has been seen to wait for it for ever
GLOO_SHUTDOWN_SECONDS = 0.5

Batches = Callable[[list[dict[str, int]]], dict[str, Any]]
"""A collator: from one step's number to its batch."""


class SupervisedTrainer(Loaded, StepOrder, SFTTrainer):
    """SFTTrainer whose row `n` is step `n`."""

    def before_training(self) -> None:
        """Adds to the model what is trained beside it."""

    def before_saving(self) -> None:
        """Takes away what is no part of the model."""


@dataclass(frozen=True)
class Supervised:
    """What a run learns from.

    `batches`: turns a step's number into its batch. A bad source is refused when this is made, before the model is loaded.
    `card`: the card of the trained model.
    `trainer`: makes the trainer, from the arguments of SFTTrainer.
    """

    batches: Batches
    card: Card
    trainer: Callable[..., SupervisedTrainer] = SupervisedTrainer


def train_supervised(config: SupervisedConfig, out: Path, report: Report = no_report) -> Path:
    """Run the stage in folder `out`, from its last checkpoint if it has one; returns the folder of the trained model."""
    check_start(config, maker_of("sft"))
    resumed, start = last_checkpoint(out), source_of(config.model)
    tokenizer = AutoTokenizer.from_pretrained(start)
    processor = Qwen2VLImageProcessorPil.from_pretrained(start, do_resize=False)
    supervised = supervised_by(config, tokenizer, processor)
    # the Trainer's own loading misses the names that from_pretrained translates; adapters it loads rightly
    weights = resumed if resumed and not config.lora_rank else start
    model = AutoModelForImageTextToText.from_pretrained(weights, dtype="float32")
    model.model.visual.requires_grad_(not config.freeze_vision)
    trainer = supervised.trainer(
        model,
        _arguments(config, out),
        data_collator=supervised.batches,
        train_dataset=Dataset.from_dict({"step": range(config.steps * config.accumulate)}),
        processing_class=tokenizer,
        callbacks=[Curves(out)],
        peft_config=lora(config.lora_rank, config.freeze_vision) if config.lora_rank else None,
    )
    trainer.before_training()
    report_to(trainer, report)
    trainer.train(resume_from_checkpoint=resumed)
    trainer.before_saving()
    return finish(trainer, processor, supervised.card, out / "model")


def supervised_by(config: SupervisedConfig, tokenizer: Any, processor: Any) -> Supervised:
    """What the recipe's own source makes of it."""
    module, _, function = config.source.partition(":")
    made: Supervised = getattr(importlib.import_module(module), function)(config, tokenizer, processor)
    return made


def lora(rank: int, freeze_vision: bool) -> LoraConfig:
    """Adapters on every linear layer but those of the vision tower, where that is frozen; its merger is adapted."""
    frozen = r".*visual\.blocks\..*" if freeze_vision else None
    return LoraConfig(r=rank, target_modules="all-linear", exclude_modules=frozen, task_type="CAUSAL_LM")


def finish(trainer: Any, processor: Any, card: Card, folder: Path) -> Path:
    """Write the trained model, adapters merged into it, with all that `LocalModel.load` reads."""
    if isinstance(trainer.model, PeftModel):
        if trainer.accelerator.is_main_process:
            trainer.model.merge_and_unload().save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)
    else:
        trainer.save_model(str(folder))
    if trainer.accelerator.is_main_process:
        processor.save_pretrained(folder)
        named = {name: value for name, value in to_json(card).items() if value is not None}
        publish(folder / CARD, json.dumps(named, indent=1))
    trainer.accelerator.wait_for_everyone()  # a process that leaves first would leave the others waiting for it
    trainer.accelerator.end_training()
    if trainer.accelerator.num_processes > 1:
        time.sleep(GLOO_SHUTDOWN_SECONDS)
    return folder


def _arguments(config: SupervisedConfig, out: Path) -> SFTConfig:
    return SFTConfig(
        **common_arguments(config, out),
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_accumulation_steps=config.accumulate,
        activation_checkpointing=config.lora_rank > 0,
    )
