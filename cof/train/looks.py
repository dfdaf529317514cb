"""Where an attention head should look: supervision for the step that forms last, choosing the asked thing among others.

Where the text names a place or gives an attribute, two heads of one layer are taught to attend to the visual tokens of the
thing that is meant. Nothing is added to the model: the scores are those of its own projections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cof.train.examples import Row
from cof.types import Box

HEADS = 2  # how many heads of the layer are taught
SAME_THING = 0.5  # IoU from which a token's box and a written box mean one thing
SAME_PLACE = 4.0  # pixels


@dataclass(frozen=True)
class Sight:
    """What each visual token of a row shows, (tokens, ...), NaN boxes where nothing: its thing's box in pixels of the view
    and of the overview, and the index of its view."""

    local: np.ndarray
    frame: np.ndarray
    view: np.ndarray


def find_looks(
    row: Row, sight: Sight, numbers: Mapping[int, int], visual: int, answer: int, meant: Sequence[Box | None]
) -> list[tuple[int, np.ndarray]]:
    """Positions of a row that should look somewhere, each with a mask (tokens,) of where.

    `numbers` maps token ids to pixels; `visual` and `answer` are the ids of visual tokens and of the answer's tag;
    `meant[n]` is the box, in overview pixels, of the thing that conversation n + 1 asks an attribute of.
    """
    places = np.flatnonzero(row.ids == visual)
    found: list[tuple[int, np.ndarray]] = []
    for group in _number_groups(row.labels, numbers):
        values = np.array([numbers[int(row.labels[p])] for p in group], np.float32)
        seen = _visible(row, places, group[0])
        if len(group) == 4:
            hit = seen & (_iou(sight.frame, values) > SAME_THING)
        else:
            centre = (sight.local[:, :2] + sight.local[:, 2:]) / 2
            hit = seen & _latest(seen, sight.view) & (np.abs(centre - values[:2]).max(-1) <= SAME_PLACE)
        found += [(p - 1, _mask(row, places, hit)) for p in group if hit.any()]
    for p in np.flatnonzero((row.labels[1:] >= 0) & (row.ids[:-1] == answer)) + 1:
        box = meant[int(row.branch[p]) - 1]
        if box is not None:
            seen = _visible(row, places, int(p))
            hit = seen & _latest(seen, sight.view) & (_iou(sight.frame, np.array(box.as_tuple())) > SAME_THING)
            found += [(int(p) - 1, _mask(row, places, hit))] if hit.any() else []
    return found


def look_loss(
    language: Any,
    layer: int,
    before: torch.Tensor,
    batch: Mapping[str, torch.Tensor],
    looks: Mapping[str, torch.Tensor],
) -> tuple[torch.Tensor, float]:
    """Negative log of the attention on the right tokens, meaned over looks and heads, and the mean attention there.

    `before` is the hidden states that enter layer number `layer` (from 0), (rows, tokens, width); `looks` holds `row` and
    `position`, (N,), and `target`, (N, tokens).
    """
    block, row, position = language.layers[layer], looks["row"], looks["position"]
    states = block.input_layernorm(before)
    cos, sin = language.rotary_emb(states, batch["position_ids"])
    size = block.self_attn.head_dim
    keys = block.self_attn.k_proj(states)[..., : HEADS * size].unflatten(-1, (HEADS, size))
    queries = block.self_attn.q_proj(states[row, position])[..., : HEADS * size].unflatten(-1, (HEADS, size))
    keys = _rotate(keys, cos[:, :, None], sin[:, :, None])
    queries = _rotate(queries, cos[row, position][:, None], sin[row, position][:, None])
    scores = torch.einsum("nhd,nkhd->nhk", queries.float(), keys[row].float()) * size**-0.5
    scores = scores.masked_fill(~batch["attention_mask"][row, 0, position][:, None], -torch.inf)
    right = scores.masked_fill(~looks["target"][:, None], -torch.inf)
    gap = scores.logsumexp(-1) - right.logsumexp(-1)
    return gap.mean(), float((-gap).exp().mean().detach())


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def _number_groups(labels: np.ndarray, numbers: Mapping[int, int]) -> list[list[int]]:
    """Positions of trained numbers, grouped where one token stands between: a place (2) or a box (4)."""
    groups: list[list[int]] = []
    for p in np.flatnonzero(np.isin(labels, list(numbers))):
        if groups and p - groups[-1][-1] == 2 and len(groups[-1]) < 4:
            groups[-1].append(int(p))
        else:
            groups.append([int(p)])
    return [group for group in groups if len(group) in (2, 4)]


def _visible(row: Row, places: np.ndarray, position: int) -> np.ndarray:
    """Which visual tokens the token at `position` can see, (visual tokens,)."""
    branch = row.branch[places]
    return (places < position) & ((branch == 0) | (branch == row.branch[position]))


def _latest(seen: np.ndarray, view: np.ndarray) -> np.ndarray:
    return view == view[seen].max()


def _iou(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """IoU of (N, 4) boxes with one; 0 where a box is NaN."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) + np.prod(box[2:] - box[:2])
    return np.nan_to_num(common / (areas - common))


def _mask(row: Row, places: np.ndarray, hit: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(row.ids), bool)
    mask[places[hit]] = True
    return mask
