"""How likely a network finds what was sampled: episodes packed into rows, and the log-probability of every sampled token.

Rollouts of one question share its tokens, so these stand once at the front of a row and the rollouts follow as branches
(`data/sequences.py`). The distribution is the one that was sampled from: the same temperature, and the same tokens ruled out.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from cof.data import sequences
from cof.models.encoding import Codec
from cof.train.rollouts import Episode, silent


@dataclass(frozen=True)
class Packed:
    """Rows as a network takes them, and for each sampled token: its `row`, where it is predicted there (`at`), which `token`
    it is, its `episode`, and its `place` after that one's prompt; (sampled tokens,) each.
    """

    inputs: dict[str, torch.Tensor]
    row: torch.Tensor
    at: torch.Tensor
    token: torch.Tensor
    episode: torch.Tensor
    place: torch.Tensor


def learnt_tokens(episodes: Sequence[Episode], advantages: Sequence[float | None]) -> list[np.ndarray]:
    """Of each episode which tokens after its prompt are learnt from: those that were sampled, none without an advantage."""
    return [
        episode.sampled[episode.prompt :] & (advantage is not None)
        for episode, advantage in zip(episodes, advantages, strict=True)
    ]


def loss_inputs(
    episodes: Sequence[Episode], masks: Sequence[np.ndarray], codec: Codec, branches: int, device: torch.device
) -> dict[str, Any]:
    """One pass as TRL's loss takes it, from what is learnt of each episode (`masks`, over the tokens after its prompt).

    `completion_mask` and `drawn`, the sampler's log-probabilities, are (episodes, tokens after the prompt). What is not
    learnt from is not read by the network.
    """
    width = max(1, *(len(mask) for mask in masks))
    mask, drawn = torch.zeros(2, len(episodes), width, device=device)
    for n, (episode, own) in enumerate(zip(episodes, masks, strict=True)):
        mask[n, : len(own)] = torch.from_numpy(own.astype(np.float32))
        drawn[n, : len(own)] = torch.from_numpy(episode.logprobs[episode.prompt :])
    chosen = [n for n, own in enumerate(masks) if own.any()]
    if not chosen:  # every pass needs a gradient, if only of 0
        spoken = [n for n, episode in enumerate(episodes) if episode.sampled.any()]
        episodes = episodes if spoken else [silent(episodes[0], codec), *episodes[1:]]
        chosen = spoken[:1] or [0]
    nothing = torch.zeros(len(episodes), 0, dtype=torch.long, device=device)
    inputs = {"packed": pack(episodes, chosen, codec, branches), "drawn": drawn}
    inputs |= {"prompt_ids": nothing, "prompt_mask": nothing}
    return inputs | {"completion_ids": torch.zeros_like(mask, dtype=torch.long), "completion_mask": mask}


def pack(episodes: Sequence[Episode], chosen: Sequence[int], codec: Codec, branches: int) -> Packed:
    """The `chosen` episodes, at least one, in rows of at most `branches` that share a question and lie side by side."""
    rows, places, pixels = list[sequences.PackedRow](), list[np.ndarray](), list[Image.Image]()
    for number, group in enumerate(_rows(episodes, chosen, branches)):
        members = [episodes[n] for n in group]
        encoded = [(e.ids, np.where(e.sampled, e.ids, sequences.IGNORE), e.views) for e in members]
        front = min(members[0].prompt, sequences.common_front([e.ids for e in members]))
        row = sequences.join(encoded, front, codec.image_token, codec.factor)
        pictures, trace = members[0].pictures, members[0].trace
        pixels += [pictures[view.picture].show(view, trace.overview_of(view.region), trace.spec) for view in row.views]
        rows.append(row)
        places.append(_places(members, group, number, front))
    inputs = sequences.collate(rows, codec.pad, square=branches > 1)
    del inputs["labels"]
    inputs |= {name: torch.from_numpy(array) for name, array in codec.patches(pixels).items()}
    return Packed(inputs, *(torch.from_numpy(column) for column in np.concatenate(places, axis=1)))


def score(
    network: Any, packed: Packed, shape: tuple[int, int], temperature: float, never: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each sampled token and entropy of the choice, (episodes, tokens after the prompt) as `shape`; 0
    elsewhere. `network` may be wrapped; tokens of `never` cannot be sampled."""
    device = next(network.parameters()).device
    positions, where = torch.unique(packed.at, return_inverse=True)
    inputs = {name: tensor.to(device) for name, tensor in packed.inputs.items()}
    logits = network(**inputs, logits_to_keep=positions.to(device), use_cache=False).logits
    chosen = logits[packed.row.to(device), where.to(device)].float() / temperature
    ruled_out = torch.zeros(chosen.shape[-1], dtype=torch.bool, device=device)
    ruled_out[list(never)] = True
    shares = chosen.masked_fill(ruled_out, -torch.inf).log_softmax(-1)
    with torch.no_grad():
        entropy = -(shares.exp() * shares.masked_fill(ruled_out, 0.0)).sum(-1)
    said = shares.gather(-1, packed.token.to(device)[:, None])[:, 0]
    cells = packed.episode.to(device), packed.place.to(device)
    empty = torch.zeros(shape, device=device)
    return empty.index_put(cells, said), empty.index_put(cells, entropy)


def _rows(episodes: Sequence[Episode], chosen: Sequence[int], branches: int) -> Iterator[list[int]]:
    """The chosen ones in order, cut where the question changes or a row is full."""
    row: list[int] = []
    for n in chosen:
        if row and (len(row) == branches or not _alike(episodes[row[0]], episodes[n])):
            yield row
            row = []
        row.append(n)
    if row:
        yield row


def _alike(one: Episode, other: Episode) -> bool:
    prompts = one.ids[: one.prompt], other.ids[: other.prompt]
    same = len(one.pictures) == len(other.pictures) and all(map(operator.is_, one.pictures, other.pictures))
    return same and np.array_equal(*prompts)


def _places(members: Sequence[Episode], group: Sequence[int], number: int, front: int) -> np.ndarray:
    """Of every sampled token: row, position of the token before it, id, episode, place after the prompt; (5, sampled)."""
    found, start = list[np.ndarray](), front
    for episode, n in zip(members, group, strict=True):
        at = np.flatnonzero(episode.sampled)
        before = np.where(at - 1 < front, at - 1, start + at - 1 - front)
        same = np.ones(len(at), np.int64)
        found.append(np.stack([number * same, before, episode.ids[at], n * same, at - episode.prompt]))
        start += len(episode.ids) - front
    return np.concatenate(found, axis=1)
