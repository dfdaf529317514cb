"""From conversations to tensors: token ids, loss mask, positions, pictures. Loss falls on assistant turns only.

Several conversations about one picture become one row: what they share (the system turn and the overview) stands once
at the front, and each goes on as a branch that sees the front and itself. Positions and attention are those that each
conversation would have alone, so nothing differs from inference but the cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from cof.dialects.base import Message
from cof.dialects.dialect import Dialect
from cof.errors import InvalidConfig
from cof.geometry import Shown
from cof.models.encoding import IMAGE_PAD, rotary_positions, template_messages, token_ids, views_in, visual_repeats
from cof.trace import Trace, Turn
from cof.types import Malformed

IGNORE = -100
Encoded = tuple[
    np.ndarray, np.ndarray, tuple[Shown, ...]
]  # ids and labels of one conversation, (tokens,) each, and its views


@dataclass(frozen=True)
class PackedRow:
    """One picture with its conversations, as 1-D arrays over tokens; `positions` is (3, tokens): time, height, width.

    `branch` is 0 for the shared front and counts conversations from 1. `views` are the pictures in order of appearance.
    """

    ids: np.ndarray
    labels: np.ndarray
    branch: np.ndarray
    positions: np.ndarray
    views: tuple[Shown, ...]


@dataclass(frozen=True)
class Dialogue:
    """A conversation to learn from, whose last message is the assistant's.

    The assistant turns numbered in `masked_turns`, from 0, get no loss: a mistake is to be seen, not learnt. Nor does the text
    `opening` with which the first of the other turns begins, as a model does not choose it.
    """

    messages: tuple[Message, ...]
    masked_turns: Collection[int] = ()
    opening: str = ""


def dialogue_of(trace: Trace, dialect: Dialect) -> Dialogue:
    """The conversation of a trace, in its dialect. A turn that was given, that could not be read, or whose zoom showed nothing
    gets no loss."""
    return Dialogue(
        dialect.conversation(trace), [number for number, turn in enumerate(trace.turns) if not _followed(turn)]
    )


def row(dialogues: Sequence[Dialogue], tokenizer: PreTrainedTokenizerBase, factor: int) -> PackedRow:
    """One row from conversations that begin with the same picture."""
    image_token = int(tokenizer.convert_tokens_to_ids(IMAGE_PAD))
    encoded = [_encode(dialogue, tokenizer, image_token, factor) for dialogue in dialogues]
    return join(encoded, common_front([ids for ids, _, _ in encoded]), image_token, factor)


def join(encoded: Sequence[Encoded], shared: int, image_token: int, factor: int) -> PackedRow:
    """One row from conversations whose first `shared` tokens, which get no loss, stand once at its front."""
    parts = [(0, encoded[0][0][:shared], np.full(shared, IGNORE))]
    parts += [(n + 1, ids[shared:], labels[shared:]) for n, (ids, labels, _) in enumerate(encoded)]
    positions = [rotary_positions(ids, views, image_token, factor) for ids, _, views in encoded]
    first_views = int((np.diff(np.r_[0, parts[0][1] == image_token]) == 1).sum())
    return PackedRow(
        np.concatenate([ids for _, ids, _ in parts]),
        np.concatenate([labels for _, _, labels in parts]),
        np.concatenate([np.full(len(ids), n) for n, ids, _ in parts]),
        np.concatenate([positions[0][:, :shared], *(p[:, shared:] for p in positions)], axis=1),
        (*encoded[0][2][:first_views], *(v for _, _, views in encoded for v in views[first_views:])),
    )


def collate(rows: Sequence[PackedRow], pad: int, square: bool = False) -> dict[str, torch.Tensor]:
    """A batch of rows padded on the right.

    `attention_mask` is (rows, tokens), 1 at tokens, where every row is one conversation; else, or if `square`, it is
    (rows, 1, tokens, tokens), True where the token of the third axis may look at that of the last.
    """
    width = max(len(r.ids) for r in rows)
    batch = {
        "input_ids": _stack([r.ids for r in rows], width, pad),
        "labels": _stack([r.labels for r in rows], width, IGNORE),
        "position_ids": torch.stack(
            [_stack(list(p), width, 0) for p in zip(*(r.positions for r in rows), strict=True)]
        ),
    }
    branch = _stack([r.branch for r in rows], width, -1)
    if not square and all(r.branch.max() <= 1 for r in rows):
        return batch | {"attention_mask": (branch >= 0).long()}
    looker, seen = branch[:, :, None], branch[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    return batch | {"attention_mask": (causal & ((seen == 0) | (seen == looker)))[:, None]}


def pixel_tensors(pixels: Any) -> dict[str, torch.Tensor]:
    """What an image processor gives, as a network takes it."""
    return {
        "pixel_values": torch.from_numpy(np.asarray(pixels["pixel_values"])).bfloat16(),
        "image_grid_thw": torch.from_numpy(np.asarray(pixels["image_grid_thw"])),
    }


def common_front(sequences: Sequence[np.ndarray]) -> int:
    """Length of the longest common front of several sequences, 0 of one; at least one token is left to each."""
    if len(sequences) == 1:
        return 0
    least = min(len(s) for s in sequences) - 1
    same = np.all([s[:least] == sequences[0][:least] for s in sequences], axis=0)
    return int(np.argmin(same)) if not same.all() else least


def _encode(dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase, image_token: int, factor: int) -> Encoded:
    views = views_in(dialogue.messages)
    opening = len(tokenizer(dialogue.opening, add_special_tokens=False).input_ids)
    opened = next(number for number in count() if number not in dialogue.masked_turns)
    ids: list[int] = []
    trained: list[bool] = []
    for text, turn in _segments(dialogue.messages, tokenizer):
        piece = token_ids(tokenizer, text)
        start = opening if turn == opened else 0
        learnt = turn is not None and turn not in dialogue.masked_turns
        end = len(piece) - piece[::-1].index(tokenizer.eos_token_id) if learnt else 0
        ids += piece
        trained += [start <= n < end for n in range(len(piece))]
    repeats = visual_repeats(ids, views, image_token, factor)
    flat = np.repeat(np.asarray(ids, np.int64), repeats)
    return flat, np.where(np.repeat(trained, repeats), flat, IGNORE), views


def _segments(conversation: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, int | None]]:
    """The rendered conversation cut at the borders of assistant turns; each piece has the number of its turn, from 0, or None.

    Raises InvalidConfig where the chat template does not only append to what it wrote for the turns before.
    """
    messages, done = template_messages(conversation, tokenizer), ""
    for number, place in enumerate(i for i, message in enumerate(messages) if message["role"] == "assistant"):
        before = tokenizer.apply_chat_template(messages[:place], tokenize=False, add_generation_prompt=True)
        after = tokenizer.apply_chat_template(messages[: place + 1], tokenize=False)
        if not before.startswith(done) or not after.startswith(before):
            raise InvalidConfig(
                f"the chat template of {tokenizer.name_or_path!r} writes turn {number + 1}, or those before it, otherwise than "
                "a model speaks them; want a template that only appends"
            )
        yield before[len(done) :], None
        yield after[len(before) :], number
        done = after


def _followed(turn: Turn) -> bool:
    """Whether a turn is the model's own, and an answer or a call that showed something."""
    failed = isinstance(turn.action, Malformed) or (bool(turn.calls) and not turn.observations)
    return not turn.given and not failed


def _stack(arrays: Sequence[np.ndarray], width: int, fill: int) -> torch.Tensor:
    out = torch.full((len(arrays), width), fill, dtype=torch.long)
    for n, array in enumerate(arrays):
        out[n, : len(array)] = torch.from_numpy(np.asarray(array))
    return out
