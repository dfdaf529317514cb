"""A conversation as a sequence of tokens: which are cached, which are pending, and which were sampled in the turn under way.

Preparing a turn may take long, and needs nothing of the sequence: a worker does it while the batch goes on. Beginning the turn
takes no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from cof.models.base import Conversation, Request
from cof.models.encoding import Codec, PromptTokens, rotary_positions
from cof.types import Completion, Sampling


@dataclass(frozen=True)
class PreparedTurn:
    """A turn that is wanted, with its prompt.

    `request`: what the conversation asked for.
    `prompt`: its text and token ids.
    `positions`: the rotary positions of the prompt's tokens, (3, tokens).
    `images`: the pictures of the prompt, in order.
    `starts`: where the first token of each picture is in the prompt.
    """

    request: Request
    prompt: PromptTokens = PromptTokens()
    positions: np.ndarray = field(default_factory=lambda: np.zeros((3, 0), np.int64))
    images: tuple[Image.Image, ...] = ()
    starts: tuple[int, ...] = ()


def prepared(request: Request, before: PromptTokens, sampled: Sequence[int], codec: Codec) -> PreparedTurn:
    """Tokenise and render a turn that follows a prompt and what was sampled after it. Raises ModelError."""
    prompt = before.then(sampled, request, codec)
    positions = rotary_positions(np.asarray(prompt.ids), prompt.views, codec.image_token, codec.factor)
    images = tuple(request.pixels[view] for view in prompt.views)
    return PreparedTurn(request, prompt, positions, images, tuple(codec.starts(prompt.ids, prompt.views)))


class TokenSequence:
    """A conversation in a batch. The keys and values of its first `cached` tokens are in its slot.

    `over`: whether the conversation wants no further turn.
    `preparing`: a worker's promise of the turn that comes next; None while a turn is under way.
    `turn`: the turn under way, or the last one. `ids` are the tokens of its prompt.
    `sampled`: its tokens so far, with their `logprobs` where they are wanted.
    `seconds`: its share of the passes.
    `generator`: the source of chance of all its turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.over = conversation, False
        self.preparing: Future[PreparedTurn] | None = None
        self.generator: torch.Generator | None = None
        self.turn = PreparedTurn(Request((), {}, Sampling()))
        self.ids, self.sampled, self.logprobs = list[int](), list[int](), list[float]()
        self.cached, self.seconds = 0, 0.0

    @property
    def tokens(self) -> list[int]:
        """The prompt's tokens, and those sampled after it."""
        return self.ids + self.sampled

    @property
    def pending(self) -> int:
        """How many tokens are not cached yet."""
        return len(self.ids) + len(self.sampled) - self.cached

    @property
    def pending_images(self) -> tuple[Image.Image, ...]:
        """The pictures among the pending tokens."""
        if self.sampled:
            return ()
        pairs = zip(self.turn.images, self.turn.starts, strict=True)
        return tuple(image for image, start in pairs if start >= self.cached)

    def shared_prefix(self, other: TokenSequence, pending: bool = False) -> int:
        """How many tokens of the other's prompt this sequence has cached; with `pending`, will have after its next pass.

        A prefix without the same picture counts for nothing: it is too short to be worth a copy.
        """
        same = common_prefix([id(image) for image in self.turn.images], [id(image) for image in other.turn.images])
        if not same:
            return 0
        end = other.turn.starts[same] if same < len(other.turn.images) else len(other.ids) - 1
        if end <= other.cached:  # it has that much itself
            return 0
        return common_prefix(self.tokens if pending else self.tokens[: self.cached], other.ids[:end])

    def begin(self, turn: PreparedTurn) -> None:
        """Begin the turn; what its prompt has in common with what is cached stays cached."""
        ids, views = list(turn.prompt.ids), turn.prompt.views
        same = common_prefix(self.turn.prompt.views, views)
        known = common_prefix(self.tokens[: self.cached], ids)
        self.cached = min(known, turn.starts[same] if same < len(views) else len(ids), len(ids) - 1)
        self.turn, self.ids, self.preparing = turn, ids, None
        self.sampled, self.logprobs = [], []
        self.generator = self.generator or torch.Generator().manual_seed(turn.request.sampling.seed)

    def new(self, width: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
        """The pending tokens (width,) and their positions (3, width), padded behind."""
        ids, places, positions = np.full(width, pad), np.zeros((3, width), np.int64), self.turn.positions
        if self.sampled:
            ids[0], places[:, 0] = self.sampled[-1], positions.max() + len(self.sampled)
        else:
            ids[: self.pending], places[:, : self.pending] = self.ids[self.cached :], positions[:, self.cached :]
        return ids, places

    def completion(self, end: int | None, codec: Codec) -> Completion:
        """What was sampled, and then the token `end`; None where it was cut off."""
        return self.turn.prompt.completion(self.sampled, end, self.logprobs, self.turn.request, codec)


def common_prefix(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the common prefix of two lists or tuples; by halves, as comparing slices takes no time."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
