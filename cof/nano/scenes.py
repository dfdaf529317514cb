"""Batches of conversations about needle scenes, with what their visual tokens show and where heads should look.

A batch is a pure function of the seed and the step. One scene gives one row: its overview once, and several conversations as
branches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.data import sequences
from cof.data.example import Example
from cof.data.sequences import Dialogue, pixel_tensors
from cof.dialects.cof import COF
from cof.geometry import Box, Shown
from cof.models.encoding import IMAGE_PAD
from cof.nano.architecture import number_tokens
from cof.nano.heads import truth_tensors
from cof.nano.labels import token_labels
from cof.nano.looks import Sight, Vocabulary, find_looks
from cof.nano.perception import show
from cof.needle.samples import SceneTruth, truth_of
from cof.needle.scenes import BOARD, COLOURS, KINDS, Scene
from cof.vision import boxes


@dataclass(frozen=True)
class SupervisedScene:
    """Conversations about one scene: `dialogues`, the example that each is about, and the overview that all begin with."""

    dialogues: tuple[Dialogue, ...]
    examples: tuple[Example, ...]
    overview: Shown

    @property
    def scene(self) -> Scene:
        return truth_of(self.examples[0]).scene

    @property
    def side(self) -> float:
        """Pixels of the longer side of the picture."""
        return truth_of(self.examples[0]).side

    @property
    def meant(self) -> tuple[Box | None, ...]:
        """The thing that each question asks an attribute of, in pixels of the overview; None for a relation."""
        return tuple(_meant(truth_of(example), self.overview) for example in self.examples)


class Teacher(Protocol):
    """A source of supervised scenes."""

    def teach(self, step: int, rng: np.random.Generator) -> list[SupervisedScene]:
        """The scenes of a step; `rng` is the step's own."""
        ...


@dataclass(frozen=True)
class SceneBatches:
    """A collator that turns step numbers into batches of what `teacher` teaches; `dense` adds what visual tokens show."""

    tokenizer: PreTrainedTokenizerBase
    processor: Qwen2VLImageProcessorPil
    teacher: Teacher
    seed: int
    dense: bool = True

    def __call__(self, steps: list[dict[str, int]]) -> dict[str, Any]:
        step = steps[0]["step"]
        rng = np.random.default_rng([self.seed, step])
        factor = int(self.processor.patch_size * self.processor.merge_size)
        taught = self.teacher.teach(step, rng)
        rows = [sequences.row(each.dialogues, self.tokenizer, factor) for each in taught]
        batch: dict[str, Any] = sequences.collate(rows, int(self.tokenizer.pad_token_id), square=True)
        shown = [(each, view) for each, row in zip(taught, rows, strict=True) for view in row.views]
        batch |= pixel_tensors(self.processor([show(each.scene, view, each.side, rng) for each, view in shown]))
        if not self.dense:
            return batch
        dense = _dense(shown, factor)
        looks = self._looks(taught, rows, dense, batch["input_ids"].shape[1], factor)
        return batch | {"dense": dense | {"looks": looks}}

    def _looks(
        self,
        taught: Sequence[SupervisedScene],
        rows: Sequence[sequences.PackedRow],
        dense: dict[str, Any],
        width: int,
        factor: int,
    ) -> dict[str, torch.Tensor]:
        """`purpose`, `row` and `position` (N,) of tokens that should look at `target` (N, tokens)."""
        words, start = _vocabulary(self.tokenizer), 0
        found: list[tuple[int, int, int, np.ndarray]] = []
        for n, (each, row) in enumerate(zip(taught, rows, strict=True)):
            sizes = [view.pixels // factor**2 for view in row.views]
            part = slice(start, start := start + sum(sizes))
            what, local, frame = (
                labels[part].numpy() for labels in (dense["classes"]["what"], dense["box"], dense["frame"])
            )
            sight = Sight(what, local, frame, np.repeat(range(len(sizes)), sizes))
            for purpose, position, mask in find_looks(row, sight, words, each.meant):
                found.append((purpose, n, position, np.pad(mask, (0, width - len(mask)))))
        purposes, places, positions, targets = zip(*found, strict=True)
        return {
            "purpose": torch.tensor(purposes),
            "row": torch.tensor(places),
            "position": torch.tensor(positions),
            "target": torch.from_numpy(np.stack(targets)),
        }


def _meant(truth: SceneTruth, overview: Shown) -> Box | None:
    needle, side = truth.needle, truth.side
    return (
        None if needle.attribute == "relation" else overview.from_source(boxes.scale(needle.items[0].box, side, side))
    )


def _vocabulary(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    def ids(names: Iterable[str]) -> frozenset[int]:
        return frozenset(int(tokenizer.convert_tokens_to_ids(form)) for name in names for form in (name, f" {name}"))

    tags = (IMAGE_PAD, COF.think.open, COF.answer.open)
    numbers = {token: n for n, token in number_tokens(tokenizer).items()}
    return Vocabulary(
        numbers, ids(KINDS), ids((BOARD,)), ids(COLOURS), *(int(tokenizer.convert_tokens_to_ids(tag)) for tag in tags)
    )


def _dense(shown: Sequence[tuple[SupervisedScene, Shown]], factor: int) -> dict[str, Any]:
    """Labels of every visual token: classes, its thing's box in the view, and the same box in the overview's pixels."""
    labels = [token_labels(each.scene, view, each.side, factor) for each, view in shown]
    frames = [_in_overview(label.box, view, each.overview) for label, (each, view) in zip(labels, shown, strict=True)]
    return truth_tensors(labels) | {"frame": torch.from_numpy(np.concatenate(frames))}


def _in_overview(box: np.ndarray, view: Shown, first: Shown) -> np.ndarray:
    """(tokens, 4) pixels of `view` as pixels of the overview `first`; NaN stays NaN."""
    sx, sy = view.region.width / view.size[0], view.region.height / view.size[1]
    source = box * (sx, sy, sx, sy) + (view.region.x0, view.region.y0, view.region.x0, view.region.y0)
    fx, fy = first.size[0] / first.region.width, first.size[1] / first.region.height
    return (source * (fx, fy, fx, fy)).astype(np.float32)
