"""Where attention heads should look: supervision for the step that forms last, choosing the asked thing among others.

Where the text names a place, gives an attribute or is about to decide between looking closer and answering, two heads of two
layers are taught to attend to the visual tokens of the thing that is meant, and before them one head each to the words that
name its shape and its colour. Nothing is added to the model: the scores are those of its own projections.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cof.data.sequences import PackedRow
from cof.geometry import Box
from cof.nano.labels import TYPES
from cof.needle.scenes import BOARD

VISUAL, SHAPE, COLOUR = 0, 1, 2  # what a look is for: a thing in a picture, or a word of its name
SAME_THING = 0.5  # IoU from which a token's box and a written box mean one thing
SAME_PLACE = 4.0  # pixels


@dataclass(frozen=True)
class Sight:
    """What each visual token of a row shows, (tokens, ...), NaN boxes where nothing: the index of its thing's type, its
    box in pixels of the view and of the overview, and the index of its view."""

    what: np.ndarray
    local: np.ndarray
    frame: np.ndarray
    view: np.ndarray


@dataclass(frozen=True)
class Vocabulary:
    """Token ids by meaning. `numbers` maps ids to pixels; `think` and `answer` are the opening tags."""

    numbers: Mapping[int, int]
    kinds: frozenset[int]
    boards: frozenset[int]
    colours: frozenset[int]
    visual: int
    think: int
    answer: int


Look = tuple[int, int, np.ndarray]  # what for; the position that looks; (tokens,) mask of where


def find_looks(row: PackedRow, sight: Sight, words: Vocabulary, meant: Sequence[Box | None]) -> list[Look]:
    """Everything in a row that should look somewhere.

    `meant[n]` is the box, in overview pixels, of the thing that conversation n + 1 asks an attribute of.
    """
    acting = [*_places(row, sight, words, 4), *_answers(row, sight, words, meant)]
    seeing = [*acting, *_places(row, sight, words, 2), *_decisions(row, words, acting)]
    naming = [look for seen in seeing for look in _name(row, sight, words, seen)]
    return [*seeing, *naming, *_copies(row, words)]


def look_loss(
    language: Any,
    before: Mapping[int, torch.Tensor],
    batch: Mapping[str, torch.Tensor],
    looks: Mapping[str, torch.Tensor],
) -> tuple[torch.Tensor, dict[str, float]]:
    """Negative log of the attention on the right tokens, a mean for each purpose, and the mean attention there.

    `before[n]` is the hidden states that enter layer `n` of `language` (from 0), (rows, tokens, width); the first of the
    three layers looks at words, the others at things. `looks` holds `purpose`, `row`, `position` (N,) and `target` (N, tokens).
    """
    early, middle, late = sorted(before)
    loss, attention = before[late].new_zeros((), dtype=torch.float32), {}
    for name, purpose, layer, heads in (
        ("thing", VISUAL, middle, slice(0, 2)),
        ("thing_again", VISUAL, late, slice(0, 2)),
        ("shape", SHAPE, early, slice(0, 1)),
        ("colour", COLOUR, early, slice(1, 2)),
    ):
        chosen = {key: value[looks["purpose"] == purpose] for key, value in looks.items()}
        if len(chosen["row"]):
            gap = _gap(language, layer, heads, before[layer], batch, chosen)
            loss = loss + gap.mean()
            attention[f"look_{name}"] = float((-gap).exp().mean().detach())
    return loss, attention


def _gap(
    language: Any,
    layer: int,
    heads: slice,
    states: torch.Tensor,
    batch: Mapping[str, torch.Tensor],
    looks: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """Negative log attention on the targets, (N, heads)."""
    block, row, position = language.layers[layer], looks["row"], looks["position"]
    states = block.input_layernorm(states)
    cos, sin = language.rotary_emb(states, batch["position_ids"])
    size = block.self_attn.head_dim
    keys = block.self_attn.k_proj(states).unflatten(-1, (-1, size))[:, :, heads]
    queries = block.self_attn.q_proj(states[row, position]).unflatten(-1, (-1, size))[:, heads]
    keys = _rotate(keys, cos[:, :, None], sin[:, :, None])
    queries = _rotate(queries, cos[row, position][:, None], sin[row, position][:, None])
    scores = queries.new_empty((*queries.shape[:2], keys.shape[1]), dtype=torch.float32)
    for each in range(len(keys)):  # row by row: a copy of its keys for every look would cost gigabytes
        own = row == each
        scores[own] = torch.einsum("nhd,khd->nhk", queries[own], keys[each]).float() * size**-0.5
    scores = scores.masked_fill(~batch["attention_mask"][row, 0, position][:, None], -torch.inf)
    right = scores.masked_fill(~looks["target"][:, None], -torch.inf)
    return scores.logsumexp(-1) - right.logsumexp(-1)


def _places(row: PackedRow, sight: Sight, words: Vocabulary, size: int) -> list[Look]:
    """Every number of a written box (`size` 4) or place (2) looks at the thing that is there."""
    visual, found = np.flatnonzero(row.ids == words.visual), []
    for group in _number_groups(row.labels, words.numbers, size):
        values = np.array([words.numbers[int(row.labels[p])] for p in group], np.float32)
        seen = _visible(row, visual, group[0])
        if size == 4:
            hit = seen & (_iou(sight.frame, values) > SAME_THING)
        else:
            centre = (sight.local[:, :2] + sight.local[:, 2:]) / 2
            hit = seen & _latest(seen, sight.view) & (np.abs(centre - values[:2]).max(-1) <= SAME_PLACE)
        found += [(VISUAL, p - 1, _mask(row, visual[hit])) for p in group if hit.any()]
    return found


def _answers(row: PackedRow, sight: Sight, words: Vocabulary, meant: Sequence[Box | None]) -> list[Look]:
    """The start of an answer looks at the thing whose attribute is asked, in the latest view."""
    visual, found = np.flatnonzero(row.ids == words.visual), []
    for p in np.flatnonzero((row.labels[1:] >= 0) & (row.ids[:-1] == words.answer)):
        box = meant[int(row.branch[p]) - 1]
        if box is not None:
            seen = _visible(row, visual, int(p))
            hit = seen & _latest(seen, sight.view) & (_iou(sight.frame, np.array(box.as_tuple())) > SAME_THING)
            found += [(VISUAL, int(p), _mask(row, visual[hit]))] if hit.any() else []
    return found


def _decisions(row: PackedRow, words: Vocabulary, acting: Sequence[Look]) -> list[Look]:
    """A turn's opening looks where its first box or answer will: whether to look closer hangs on what is there."""
    openings = np.flatnonzero((row.labels[1:] >= 0) & (row.ids[:-1] == words.think))
    borders, found = [*openings, len(row.ids)], []
    for start, end in itertools.pairwise(borders):
        later = [look for look in acting if start < look[1] < end]
        found += [(VISUAL, int(start), min(later, key=lambda look: look[1])[2])] if later else []
    return found


def _name(row: PackedRow, sight: Sight, words: Vocabulary, seen: Look) -> list[Look]:
    """A position that means a thing looks at the latest word for such a thing, and at the colour before it."""
    _, position, target = seen
    board = bool((sight.what[target[row.ids == words.visual]] == TYPES.index(BOARD)).all())
    names = words.boards if board else words.kinds
    shapes = [q for q in range(position + 1) if row.branch[q] == row.branch[position] and row.ids[q] in names]
    if not shapes:
        return []
    colour = row.ids[shapes[-1] - 1] in words.colours
    found = [(SHAPE, position, _mask(row, [shapes[-1]]))]
    return [*found, (COLOUR, position, _mask(row, [shapes[-1] - 1]))] if colour else found


def _copies(row: PackedRow, words: Vocabulary) -> list[Look]:
    """A position whose next word is a shape said before looks at where it was said."""
    found: list[Look] = []
    for p in np.flatnonzero(np.isin(row.labels, list(words.kinds | words.boards))):
        said = np.flatnonzero((row.ids[:p] == row.ids[p]) & (row.branch[:p] == row.branch[p]))
        found += [(SHAPE, int(p) - 1, _mask(row, said))] if len(said) else []
    return found


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def _number_groups(labels: np.ndarray, numbers: Mapping[int, int], size: int) -> list[list[int]]:
    """Positions of trained numbers, in groups of `size` with one token between neighbours."""
    groups: list[list[int]] = []
    for p in np.flatnonzero(np.isin(labels, list(numbers))):
        if groups and p - groups[-1][-1] == 2 and len(groups[-1]) < 4:
            groups[-1].append(int(p))
        else:
            groups.append([int(p)])
    return [group for group in groups if len(group) == size]


def _visible(row: PackedRow, visual: np.ndarray, position: int) -> np.ndarray:
    """Which visual tokens the token at `position` can see, (visual tokens,)."""
    branch = row.branch[visual]
    return (visual < position) & ((branch == 0) | (branch == row.branch[position]))


def _latest(seen: np.ndarray, view: np.ndarray) -> np.ndarray:
    return view == view[seen].max()


def _iou(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """IoU of (N, 4) boxes with one; 0 where a box is NaN."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) + np.prod(box[2:] - box[:2])
    return np.nan_to_num(common / (areas - common))


def _mask(row: PackedRow, positions: Sequence[int] | np.ndarray) -> np.ndarray:
    mask = np.zeros(len(row.ids), bool)
    mask[positions] = True
    return mask
