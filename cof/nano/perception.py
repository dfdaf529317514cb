"""Stage 0: teach the visual tokens what they show, before any language. Dense supervision on needle scenes.

Small heads read every visual token twice: as it leaves the vision tower, and after the first language layers, where it
also learns where it is (the tower's own positions are relative). The heads stay behind in the training folder.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLModel,
    Trainer,
    TrainingArguments,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.dialects.cof import COF
from cof.geometry import Box, Shown, ViewSpec
from cof.nano.architecture import make_nano, number_tokens
from cof.nano.heads import PerceptionHeads, absolute_box_loss, relative_box_loss, truth_tensors
from cof.nano.labels import TokenLabels, token_labels
from cof.nano.recipes import PerceptionConfig
from cof.needle.drawing import draw, jpeg
from cof.needle.scenes import Contents, Scene, make_scene
from cof.train.progress import Curves, Report, StepOrder, common_arguments, no_report, report_to
from cof.train.start import last_checkpoint, maker_of, start_of
from cof.vision import boxes, views

PREFIX = f"<|im_start|>system\n{COF.system}<|im_end|>\n<|im_start|>user\n<|vision_start|>"
SIDE = 1792  # source pixels of one unit: the side of the pictures that views are cut from
LARGEST_PLACE = 640  # pixels: no overview of 256 tokens that is drawn in training is longer


@dataclass(frozen=True)
class LabelledView:
    """One view of a scene with its labels; `pixels` is RGB of the view's size."""

    view: Shown
    pixels: Image.Image
    labels: TokenLabels


def show(scene: Scene, view: Shown, side: float, rng: np.random.Generator) -> Image.Image:
    """The view's pixels drawn from the scene itself, no finer than a picture of `side` pixels has them.

    Sometimes they come through a resize or JPEG, as from a file.
    """
    region = boxes.scale(view.region, 1 / side, 1 / side)
    finer = 2.0 if rng.uniform() < 0.3 else 1.0
    detail = min(finer, view.region.width / view.size[0], view.region.height / view.size[1])
    picture = draw(scene, region, (max(1, round(view.size[0] * detail)), max(1, round(view.size[1] * detail))))
    if picture.size != view.size:
        picture = picture.resize(view.size, Image.Resampling.LANCZOS)
    return jpeg(picture, int(rng.integers(60, 96))) if rng.uniform() < 0.3 else picture


def first_view(scene: Scene, side: float, spec: ViewSpec) -> Shown:
    """The overview of a scene whose longer side has `side` pixels."""
    return views.overview((round(scene.extent[0] * side), round(scene.extent[1] * side)), spec)


def sample_views(scene: Scene, crops: int, spec: ViewSpec, rng: np.random.Generator) -> list[Shown]:
    """The overview, and zooms on things that are slightly off, as a model's boxes are."""
    first, found = first_view(scene, SIDE, spec), []
    things = [*scene.boards, *scene.items]
    for _ in range(crops):
        target = boxes.scale(things[int(rng.integers(len(things)))].box, SIDE, SIDE)
        dx, dy = rng.normal(0, 0.12, 2) * (target.width, target.height)
        moved = boxes.grow(
            Box(target.x0 + dx, target.y0 + dy, target.x1 + dx, target.y1 + dy), float(rng.uniform(0.85, 1.3))
        )
        found.append(views.zoom(boxes.shift_inside(moved, first.region), first, spec))
    return [first, *found]


class PerceptionBatches(torch.utils.data.Dataset[dict[str, Any]]):
    """Batch `i` of the stage, a pure function of the seed and `i`: scenes with their overview and crops."""

    def __init__(self, seed: int, scenes: int, crops: int, spec: ViewSpec, contents: Contents, steps: int) -> None:
        self.seed, self.scenes, self.crops, self.spec, self.contents, self.steps = (
            seed,
            scenes,
            crops,
            spec,
            contents,
            steps,
        )
        self.processor = Qwen2VLImageProcessorPil(do_resize=False)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, step])
        aspect = 1.0 if rng.uniform() < 0.75 else float(np.exp(rng.uniform(-0.5, 0.5)))
        shown: list[LabelledView] = []
        for i in range(self.scenes):
            scene = make_scene("train", (self.seed << 40) + step * self.scenes + i, self.contents, aspect)
            for view in sample_views(scene, self.crops, self.spec, rng):
                labels = token_labels(scene, view, SIDE, self.spec.factor)
                shown.append(LabelledView(view, show(scene, view, SIDE, rng), labels))
        return collate(shown, self.processor, self.spec.factor)


def collate(shown: list[LabelledView], processor: Qwen2VLImageProcessorPil, factor: int) -> dict[str, Any]:
    patches = processor([s.pixels for s in shown])
    return truth_tensors([s.labels for s in shown]) | {
        "pixel_values": torch.from_numpy(np.asarray(patches["pixel_values"])).bfloat16(),
        "image_grid_thw": torch.from_numpy(np.asarray(patches["image_grid_thw"])),
        "centres": torch.from_numpy(np.concatenate([_centres(s.view, factor) for s in shown])),
        "lengths": [s.labels.box.shape[0] for s in shown],
    }


def _centres(view: Shown, factor: int) -> np.ndarray:
    """Token centres in pixels of the view, (tokens, 2) as x, y."""
    ys, xs = np.mgrid[0 : view.size[1] // factor, 0 : view.size[0] // factor]
    return np.stack([xs.reshape(-1), ys.reshape(-1)], -1).astype(np.float32) * factor + factor / 2


class Perception(nn.Module):
    """The model's tower and first language layers with their heads; `forward` gives the loss and its parts."""

    def __init__(self, core: Qwen2_5_VLModel, tokenizer: PreTrainedTokenizerFast, layers: int, factor: int) -> None:
        super().__init__()
        self.core, self.layers, self.factor = core, layers, factor
        width = core.config.text_config.hidden_size
        self.tower_heads, self.language_heads = PerceptionHeads(width, False), PerceptionHeads(width, True)
        numbers = {n: t for n, t in number_tokens(tokenizer).items() if n <= LARGEST_PLACE}
        self.values = nn.Buffer(torch.tensor(list(numbers), dtype=torch.float32), persistent=False)
        self.number_ids = nn.Buffer(torch.tensor(list(numbers.values())), persistent=False)
        self.prefix = nn.Buffer(torch.tensor(tokenizer(PREFIX).input_ids), persistent=False)

    def forward(self, **batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        features = self.core.visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"]).pooler_output
        tower_loss, parts = self.tower_heads.class_loss(features, batch)
        relative = relative_box_loss(self.tower_heads, features, batch, batch["centres"], self.factor)
        hidden = self._language(features, batch)
        language_loss, language_parts = self.language_heads.class_loss(hidden, batch)
        table = self.core.language_model.embed_tokens.weight[self.number_ids]
        absolute, error = absolute_box_loss(
            self.language_heads, hidden, batch["box"], batch["weight"], table, self.values
        )
        parts |= {f"language_{name}": value for name, value in language_parts.items()}
        loss = tower_loss + relative + language_loss + absolute
        return loss, parts | {"relative": float(relative.detach()), "box_error": error}

    def _language(self, features: torch.Tensor, batch: dict[str, Any]) -> torch.Tensor:
        """Visual tokens after the first language layers, (tokens, width); each view is a sequence of its own."""
        language, lengths, start = self.core.language_model, batch["lengths"], len(self.prefix)
        ids = torch.full((len(lengths), start + max(lengths)), int(self.prefix[0]))
        mask = torch.zeros_like(ids)
        for row, length in enumerate(lengths):
            ids[row, :start], mask[row, : start + length] = self.prefix, 1
            ids[row, start : start + length] = self.core.config.image_token_id
        places = ids == self.core.config.image_token_id
        embeds = language.embed_tokens(ids)
        embeds = embeds.masked_scatter(places[..., None], features.to(embeds.dtype))
        positions, _ = self.core.get_rope_index(
            ids, places.int(), image_grid_thw=batch["image_grid_thw"], attention_mask=mask
        )
        every = language.layers
        try:
            language.layers = every[: self.layers]
            hidden = language(
                inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False
            ).last_hidden_state
        finally:
            language.layers = every
        return hidden[places]


class _Trainer(StepOrder, Trainer):
    """Logs the loss's parts."""

    parts: dict[str, list[float]]

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
        loss, parts = model(**inputs)
        for name, value in parts.items():
            self.parts.setdefault(name, []).append(value)
        return (loss, parts) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        means = {name: round(float(np.mean(values)), 4) for name, values in self.parts.items()}
        self.parts = {}
        super().log({**logs, **means}, *args, **kwargs)


def train_perception(config: PerceptionConfig, out: Path, report: Report = no_report) -> Path:
    """Run the stage in folder `out`, from its last checkpoint if it has one; returns the folder of the trained model."""
    start = Path(start_of(config.model, maker_of("perception"))) if config.model else out / "start"
    if not config.model and not (start / "config.json").exists():
        make_nano(start, config.seed, config.text, config.vision)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(start, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(start)
    network = Perception(model.model, tokenizer, config.layers, config.spec.factor)
    batches = PerceptionBatches(config.seed, config.scenes, config.crops, config.spec, config.contents, config.steps)
    arguments = TrainingArguments(**common_arguments(config, out))
    trainer = _Trainer(network, arguments, operator.itemgetter(0), batches, callbacks=[Curves(out)])
    trainer.parts = {}
    report_to(trainer, report)
    trainer.train(resume_from_checkpoint=last_checkpoint(out))
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    Qwen2VLImageProcessorPil().save_pretrained(out / "model")
    return out / "model"
