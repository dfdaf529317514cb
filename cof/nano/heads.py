"""Small heads that read visual tokens, and what they are held to: dense supervision on needle scenes.

Made for the perception stage, and taken along by the supervised one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cof.nano.labels import IGNORE, VOCABULARIES, TokenLabels

SOFTNESS = 4.0  # pixels: width of the target distribution over numbers


class PerceptionHeads(nn.Module):
    """Reads visual tokens: classes of every vocabulary, and a box. `absolute` heads name places by number tokens."""

    def __init__(self, width: int, absolute: bool) -> None:
        super().__init__()
        self.classes = nn.ModuleDict({name: nn.Linear(width, len(words)) for name, words in VOCABULARIES.items()})
        self.box = nn.Linear(width, 4 * width if absolute else 4)

    def class_loss(self, tokens: torch.Tensor, truth: dict[str, Any]) -> tuple[torch.Tensor, dict[str, float]]:
        """Weighted mean cross-entropy summed over vocabularies, and the weighted accuracy in each; `tokens` is (N, width)."""
        loss, accuracy = tokens.new_zeros((), dtype=torch.float32), {}
        for name, head in self.classes.items():
            known = truth["classes"][name] != IGNORE
            if not known.any():
                continue
            logits, target = head(tokens[known]).float(), truth["classes"][name][known]
            weight = truth["mark_weight" if name == "mark" else "weight"][known]
            loss = loss + _mean(F.cross_entropy(logits, target, reduction="none"), weight)
            accuracy[name] = float(_mean((logits.argmax(-1) == target).float(), weight))
        return loss, accuracy


def relative_box_loss(
    heads: PerceptionHeads, tokens: torch.Tensor, truth: dict[str, Any], centres: torch.Tensor, factor: int
) -> torch.Tensor:
    """Smooth L1 between predicted and true corners relative to the token's centre, in tokens."""
    known = ~truth["box"][:, 0].isnan()
    offsets = (truth["box"][known] - centres[known].repeat(1, 2)) / factor
    each = F.smooth_l1_loss(heads.box(tokens[known]).float(), offsets, beta=0.2, reduction="none").mean(-1)
    return _mean(each, truth["weight"][known])


def absolute_box_loss(
    heads: PerceptionHeads,
    tokens: torch.Tensor,
    box: torch.Tensor,
    weight: torch.Tensor,
    table: torch.Tensor,
    values: torch.Tensor,
) -> tuple[torch.Tensor, float]:
    """Cross-entropy of four places against a narrow distribution over number tokens, and the mean error in pixels.

    `box` is (N, 4) pixels; `table` is (numbers, width), the embedding rows of `values` (numbers,) in pixels.
    """
    known = ~box[:, 0].isnan()
    logits = (heads.box(tokens[known]).unflatten(-1, (4, -1)) @ table.T).float()
    target = torch.softmax(-0.5 * ((box[known][..., None] - values) / SOFTNESS) ** 2, -1)
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1), reduction="none").view(-1, 4).mean(-1)
    error = (values[logits.argmax(-1)] - box[known]).abs().mean(-1)
    return _mean(each, weight[known]), float(_mean(error, weight[known]))


def truth_tensors(labels: Sequence[TokenLabels]) -> dict[str, Any]:
    """The labels of several views one after another, as tensors."""
    return {
        "classes": {n: torch.from_numpy(np.concatenate([each.classes[n] for each in labels])) for n in VOCABULARIES},
        "box": torch.from_numpy(np.concatenate([each.box for each in labels])),
        "weight": torch.from_numpy(np.concatenate([each.weight for each in labels])),
        "mark_weight": torch.from_numpy(np.concatenate([each.mark_weight for each in labels])),
    }


def _mean(each: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (each * weight).sum() / weight.sum()
