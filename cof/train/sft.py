"""Stage 1: supervised trajectories through TRL's SFTTrainer. Loss on assistant turns, full weights or LoRA.

The same code trains nano on needle scenes made as it goes, and a 7B checkpoint on trajectories from a file. On needle
scenes the visual tokens keep their dense supervision, so that the language layers do not forget what they see.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoTokenizer, PreTrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from trl import SFTConfig, SFTTrainer

from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.models.local.model import CARD, Card
from cof.models.named import source_of
from cof.needle.demonstrations import NEEDLE_TOKENS, ZOOM_OPENING
from cof.needle.world import NEEDLE
from cof.plain import to_json
from cof.runs import publish
from cof.train.heads import SOFTNESS, PerceptionHeads, absolute_box_loss
from cof.train.lessons import Demonstrations
from cof.train.looks import look_loss
from cof.train.nano import number_tokens
from cof.train.perception import LARGEST_PLACE
from cof.train.progress import Curves, Loaded, Report, StepOrder, common_arguments, no_report, report_to
from cof.train.recipes import Dense, SupervisedConfig
from cof.train.scenes import SceneBatches, Teacher
from cof.train.start import check_start, last_checkpoint, maker_of
from cof.train.traces import SceneTraces, TraceLessons

# seconds for gloo's thread to end by itself: its group, taken down at once, has been seen to wait for it for ever
GLOO_SHUTDOWN_SECONDS = 0.5


def train_supervised(config: SupervisedConfig, out: Path, report: Report = no_report) -> Path:
    """Run the stage in folder `out`, from its last checkpoint if it has one; returns the folder of the trained model."""
    check_start(config, maker_of("sft"))
    resumed, start = last_checkpoint(out), source_of(config.model)
    tokenizer = AutoTokenizer.from_pretrained(start)
    processor = Qwen2VLImageProcessorPil.from_pretrained(start, do_resize=False)
    source = _source(config, tokenizer, processor)
    # the Trainer's own loading misses the names that from_pretrained translates; adapters it loads rightly
    weights = resumed if resumed and not config.lora_rank else start
    model = AutoModelForImageTextToText.from_pretrained(weights, dtype="float32")
    model.model.visual.requires_grad_(not config.freeze_vision)
    trainer = DenseTrainer(
        model,
        _arguments(config, out),
        data_collator=source,
        train_dataset=Dataset.from_dict({"step": range(config.steps * config.accumulate)}),
        processing_class=tokenizer,
        callbacks=[Curves(out)],
        peft_config=lora(config.lora_rank, config.freeze_vision) if config.lora_rank else None,
    )
    if config.dense:
        trainer.attach(DenseHeads(model, tokenizer, config.dense, Path(config.heads)))
    report_to(trainer, report)
    trainer.train(resume_from_checkpoint=resumed)
    card = Card(config.spec, ZOOM_OPENING, NEEDLE, NEEDLE_TOKENS) if config.dense else Card(config.spec)
    return finish(trainer, processor, card, out / "model")


def _source(
    config: SupervisedConfig, tokenizer: Any, processor: Any
) -> Callable[[list[dict[str, int]]], dict[str, Any]]:
    """What is learnt from; a file of traces is read at once, so that a bad one is refused before the model is loaded."""
    teacher: Teacher
    dialect = dialect_of(config.dialect)
    if config.traces and not config.dense:
        lessons = TraceLessons(
            tokenizer, processor, config.spec, Path(config.traces), config.seed, config.rows, dialect
        )
        lessons.traces  # noqa: B018
        return lessons
    if config.traces:
        teacher = built = SceneTraces(Path(config.traces), config.spec, config.seed, config.scenes, config.questions)
        built.groups  # noqa: B018
    else:
        teacher = Demonstrations(config.spec, config.lessons, config.seed, config.scenes, config.questions)
    return SceneBatches(tokenizer, processor, teacher, config.seed)


def lora(rank: int, freeze_vision: bool) -> LoraConfig:
    """Adapters on every linear layer but those of the vision tower, where that is frozen; its merger is adapted."""
    frozen = r".*visual\.blocks\..*" if freeze_vision else None
    return LoraConfig(r=rank, target_modules="all-linear", exclude_modules=frozen, task_type="CAUSAL_LM")


def finish(trainer: Any, processor: Any, card: Card, folder: Path) -> Path:
    """Write the trained model, adapters merged into it, with all that `LocalModel.load` reads."""
    if hasattr(trainer.model, "dense_heads"):
        del trainer.model.dense_heads
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


class DenseHeads(torch.nn.Module):
    """The heads that read visual tokens inside the language model, and their loss."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, dense: Dense, checkpoint: Path) -> None:
        super().__init__()
        width, layers = model.config.text_config.hidden_size, model.config.text_config.num_hidden_layers
        if not dense.content < dense.look <= layers - 2 or not dense.frame <= layers:
            raise InvalidConfig(
                f"{dense} does not fit {layers} layers; want content < look <= {layers - 2}, frame <= {layers}"
            )
        self.dense = dense
        self.content, self.frame = PerceptionHeads(width, True), PerceptionHeads(width, True)
        if checkpoint.name:
            state = load_file(checkpoint)
            for name, heads in (("content", self.content), ("frame", self.frame)):
                heads.load_state_dict(_under(state, f"dense_heads.{name}.") or _under(state, "language_heads."))
        numbers = {n: t for n, t in number_tokens(tokenizer).items() if n <= LARGEST_PLACE}
        self.values = torch.nn.Buffer(torch.tensor(list(numbers), dtype=torch.float32), persistent=False)
        self.number_ids = torch.nn.Buffer(torch.tensor(list(numbers.values())), persistent=False)

    def loss(
        self, language: Any, seen: dict[int, torch.Tensor], places: torch.Tensor, truth: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """`seen` maps a count of layers of `language` to its hidden states, `places` marks visual tokens."""
        rows = language.embed_tokens.weight[self.number_ids]
        early, late = language.norm(seen[self.dense.content])[places], language.norm(seen[self.dense.frame])[places]
        classes, parts = self.content.class_loss(early, truth)
        local, error = absolute_box_loss(self.content, early, truth["box"], truth["weight"], rows, self.values)
        frame, frame_error = absolute_box_loss(self.frame, late, truth["frame"], truth["weight"], rows, self.values)
        return classes + local + frame, parts | {"box_error": error, "frame_error": frame_error}

    def place_loss(
        self, language: Any, states: Sequence[torch.Tensor], labels: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """Cross-entropy of the numbers in trained text against a narrow distribution, and the mean error in pixels.

        `states` are the hidden states after several layers, the last last, each (rows, tokens, width): a place should be
        known as soon as it was looked at. `labels` is (rows, tokens).
        """
        following = labels[:, 1:]
        numbers = (following[..., None] == self.number_ids).any(-1)
        if not numbers.any():
            return states[-1].new_zeros((), dtype=torch.float32), 0.0
        truth = self.values[(following[numbers][:, None] == self.number_ids).float().argmax(-1)]
        target = torch.softmax(-0.5 * ((truth[:, None] - self.values) / SOFTNESS) ** 2, -1)
        table = language.embed_tokens.weight[self.number_ids]
        logits = [(language.norm(state[:, :-1][numbers]) @ table.T).float() for state in states]
        loss = torch.stack([torch.nn.functional.cross_entropy(each, target) for each in logits]).mean()
        return loss, float((self.values[logits[-1].argmax(-1)] - truth).abs().mean())


class DenseTrainer(Loaded, StepOrder, SFTTrainer):
    """SFTTrainer with dense supervision of visual tokens where heads are attached."""

    heads: DenseHeads | None = None

    def attach(self, heads: DenseHeads) -> None:
        self.heads = heads
        self.model.dense_heads = heads  # so that the optimizer and the checkpoints hold them

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        truth = inputs.pop("dense", None)
        if self.heads is None or truth is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        language, visual = model.model.language_model, inputs["input_ids"] == model.config.image_token_id
        dense, depth = self.heads.dense, len(language.layers)
        with _recorded(
            language.layers, {dense.content, dense.look, dense.frame, *range(dense.look + 1, depth + 1)}
        ) as seen:
            loss = super().compute_loss(model, inputs, False, num_items_in_batch)
        shown, parts = self.heads.loss(language, seen, visual, truth)
        entering = {layer: seen[layer] for layer in (dense.content, dense.look, dense.look + 1)}
        looked, attention = look_loss(language, entering, inputs, truth["looks"])
        after = [seen[count] for count in range(dense.look + 1, depth + 1)]
        placed, place_error = self.heads.place_loss(language, after, inputs["labels"])
        parts |= attention | {"language_loss": float(loss.detach()), "place_error": place_error}
        for name, value in parts.items():
            self._metrics["train"][name].append(value)
        return loss + dense.weight * shown + dense.places * placed + dense.looks * looked


def _under(state: Mapping[str, torch.Tensor], place: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `place`, by what follows it."""
    return {name.removeprefix(place): tensor for name, tensor in state.items() if name.startswith(place)}


@contextmanager
def _recorded(layers: torch.nn.ModuleList, counts: set[int]) -> Iterator[dict[int, torch.Tensor]]:
    """Collects the hidden states after the first `counts` layers while the block runs."""
    seen: dict[int, torch.Tensor] = {}

    def keep(count: int) -> Any:
        return lambda _module, _inputs, output: seen.__setitem__(
            count, output[0] if isinstance(output, tuple) else output
        )

    hooks = [layers[count - 1].register_forward_hook(keep(count)) for count in counts]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _arguments(config: SupervisedConfig, out: Path) -> SFTConfig:
    return SFTConfig(
        **common_arguments(config, out),
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_accumulation_steps=config.accumulate,
        activation_checkpointing=config.lora_rank > 0,
    )
