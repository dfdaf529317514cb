"""Conversations that share the passes of a network, each in a seat of its own; filled as seats fall free.

A seat's keys and values stay in its slot from turn to turn, so that a turn costs the tokens that are new.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np
import torch
from PIL import Image

from cof.errors import ModelError
from cof.models.base import Conversation, ConversationQueue, Request, Usage
from cof.models.encoding import Codec, PromptTokens, rotary_positions
from cof.models.local.kv_cache import KVCache
from cof.models.local.microbatches import microbatches
from cof.models.local.vision_cache import VisionCache
from cof.types import Completion, Sampling

COLDEST = 1e-4  # below it sampling is greedy: what is divided by less leaves the range of float32
FAULTS = (RuntimeError, IndexError, ValueError)  # what a forward pass raises


@dataclass(frozen=True)
class ModelBundle:
    """A transformers network with what it needs: `ends` are the tokens that end a turn, `never` are not sampled."""

    network: Any
    codec: Codec
    eyes: VisionCache
    ends: frozenset[int]
    never: tuple[int, ...]


class RequestQueue:
    """Conversations that wait for a seat. `talk` is held while any conversation is spoken to, or the next is called."""

    def __init__(self, conversations: Iterator[Conversation] | ConversationQueue) -> None:
        self.source, self.lock, self.closed = conversations, RLock(), False

    def call(self) -> Conversation | None:
        """The next one, None if there is none now."""
        if self.closed:
            return None
        return self.source.poll() if isinstance(self.source, ConversationQueue) else next(self.source, None)

    def wait(self) -> bool:
        """Wait for another one; False if none will come."""
        return not self.closed and isinstance(self.source, ConversationQueue) and self.source.wait()


class Batch:
    """Runs the conversations of `line`, `size` at a time. `usage` does not count pictures, which batches share."""

    def __init__(self, bundle: ModelBundle, line: RequestQueue, size: int) -> None:
        self.bundle, self.line, self.size = bundle, line, size
        self.usage, self.seats = Usage(), list[_Sequence]()
        self.slots = KVCache(len(bundle.network.model.language_model.layers))

    @torch.inference_mode()
    def run(self) -> None:
        """Continue conversations until none is left, or the line is closed. What has a prompt to read goes first."""
        while not self.line.closed:
            if not self._fill():
                self.slots = KVCache(len(self.slots.layers))  # what long conversations took is given back
                if self.line.wait():
                    continue
                return
            rows = range(len(self.seats))
            reading = self._readers()
            for group in microbatches(
                reading or rows, lambda row: self.seats[row].unread, self.bundle.network.device.type
            ):
                self._step(group)

    def _fill(self) -> bool:
        """Those whose conversation is over, or gone, leave; others take the free seats. False if none is taken."""
        for row in reversed([row for row, seat in enumerate(self.seats) if seat.over or seat.conversation.gone]):
            last = self.seats.pop()
            if row < len(self.seats):
                self.seats[row] = last
                self.slots.move(len(self.seats), row, last.held)
        while len(self.seats) < self.size:
            with self.line.lock:
                if (conversation := self.line.call()) is None:
                    break
                seat = _Sequence(conversation)
                self._listen(seat)
            if not seat.over:
                self.seats.append(seat)
        self.slots.height = len(self.seats)
        return bool(self.seats)

    def _readers(self) -> list[int]:
        """The rows that have more than a token to read now. What a seat beside it holds is copied, and what one is about to
        read another waits for."""
        readers = list[int]()
        for row in [row for row, seat in enumerate(self.seats) if seat.unread > 1]:
            seat = self.seats[row]
            gains = [(other.front(seat), place) for place, other in enumerate(self.seats) if place != row]
            most, source = max(gains, default=(0, row))
            if most > seat.held:
                self.slots.move(source, row, most)
                seat.held = most
            waits = any(self.seats[reader].front(seat, ahead=True) > seat.held for reader in readers)
            if seat.unread > 1 and not waits:
                readers.append(row)
        return readers

    def _listen(self, seat: _Sequence) -> None:
        """Make ready for the turn that the conversation wants next, if any."""
        while (request := seat.conversation.request()) is not None:
            try:
                seat.prepare(request, self.bundle.codec)
            except ModelError as error:
                seat.conversation.receive(error, 0.0)
            else:
                return
        seat.over = True

    def _step(self, rows: Sequence[int]) -> None:
        """Read what is new in some seats, and sample one more token for each."""
        chosen = [self.seats[row] for row in rows]
        try:
            logits, best = self._forward(rows, chosen)
        except FAULTS as error:
            if len(rows) == 1:
                return self._end(chosen[0], ModelError(f"the network failed: {_reason(error)}"))
            for row in rows:  # whatever one of them holds must not spoil the others
                self._step([row])
            return None
        self.usage.prefilled += sum(seat.unread for seat in chosen if not seat.said)
        self.usage.decoded += len(chosen)
        for seat, token, row in zip(chosen, best, logits, strict=True):
            seat.held = len(seat.tokens)
            self._take(seat, token, row)
        return None

    def _forward(self, rows: Sequence[int], seats: Sequence[_Sequence]) -> tuple[torch.Tensor, list[int]]:
        """Logits after the last token of each row, (rows, vocabulary), and the best tokens; what was new is held then."""
        network, device, began = self.bundle.network, self.bundle.network.device, time.monotonic()
        shown = self.bundle.eyes.see([picture for seat in seats for picture in seat.pictures])
        held, width = torch.tensor([seat.held for seat in seats], device=device), max(seat.unread for seat in seats)
        self.slots.place(torch.tensor(rows, device=device), held, width)
        ids, places = (
            np.stack(s, -2) for s in zip(*(seat.new(width, self.bundle.codec.pad) for seat in seats), strict=True)
        )
        hidden = network.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(places, device=device),
            **shown,
            attention_mask=self.slots.mask(),
            past_key_values=self.slots,
            use_cache=True,
        ).last_hidden_state
        last = torch.tensor([seat.unread - 1 for seat in seats], device=device)
        logits: torch.Tensor = network.lm_head(hidden[torch.arange(len(rows), device=device), last]).float()
        logits[:, list(self.bundle.never)] = -torch.inf
        best: list[int] = logits.argmax(-1).tolist()
        passed = time.monotonic() - began
        self.usage.seconds += passed
        for seat in seats:
            seat.seconds += passed / len(seats)
        return logits, best

    def _take(self, seat: _Sequence, best: int, logits: torch.Tensor) -> None:
        """Sample a token, and end the turn if it ends there."""
        sampling = seat.request.sampling
        try:
            drawn = best if sampling.temperature < COLDEST else draw(logits, sampling, seat.generator)
        except FAULTS as error:
            return self._end(seat, ModelError(f"the network failed: {_reason(error)}"))
        if seat.request.transcript:
            warmth = sampling.temperature if sampling.temperature >= COLDEST else 1.0
            seat.logprobs.append(float((logits / warmth).log_softmax(-1)[drawn]))
        if drawn in self.bundle.ends:
            return self._end(seat, seat.completion(drawn, self.bundle.codec))
        seat.said.append(drawn)
        if len(seat.said) >= sampling.tokens:
            self._end(seat, seat.completion(None, self.bundle.codec))
        return None

    def _end(self, seat: _Sequence, completion: Completion | ModelError) -> None:
        with self.line.lock:
            seat.conversation.receive(completion, seat.seconds)
            self._listen(seat)


class _Sequence:
    """A conversation in the batch. The keys and values of its first `held` tokens lie in its slot.

    Of the turn under way: its `prompt` with the `ids`, their rotary `positions`, the `shown` pictures and where the
    tokens of each start; what was `said`, with its `logprobs` where they are wanted; its `seconds`.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.over = conversation, False
        self.generator: torch.Generator | None = None
        self.prompt, self.ids, self.said, self.held = PromptTokens(), list[int](), list[int](), 0
        self.logprobs = list[float]()
        self.shown, self.starts = tuple[Image.Image, ...](), list[int]()
        self.seconds = 0.0

    @property
    def tokens(self) -> list[int]:
        return self.ids + self.said

    @property
    def unread(self) -> int:
        return len(self.ids) + len(self.said) - self.held

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        """The pictures among the unread tokens."""
        if self.said:
            return ()
        return tuple(picture for picture, start in zip(self.shown, self.starts, strict=True) if start >= self.held)

    def front(self, other: _Sequence, ahead: bool = False) -> int:
        """How many tokens of the other's prompt this seat holds, or `ahead`: will hold after its next pass.

        Fronts without the same picture count for nothing: they are too short to be worth a copy.
        """
        same = _common([id(picture) for picture in self.shown], [id(picture) for picture in other.shown])
        if not same:
            return 0
        end = other.starts[same] if same < len(other.shown) else len(other.ids) - 1
        if end <= other.held:  # it holds that much itself
            return 0
        return _common(self.tokens if ahead else self.tokens[: self.held], other.ids[:end])

    def prepare(self, request: Request, codec: Codec) -> None:
        """Write the prompt of the next turn, and find which of its tokens are not held. Raises ModelError."""
        prompt = self.prompt.then(self.said, request, codec)
        ids, views = list(prompt.ids), prompt.views
        starts = codec.starts(ids, views)
        same = _common(self.prompt.views, views)
        kept = _common(self.tokens[: self.held], ids)
        self.held = min(kept, starts[same] if same < len(views) else len(ids), len(ids) - 1)
        self.request, self.prompt, self.ids, self.seconds = request, prompt, ids, 0.0
        self.said, self.logprobs = [], []
        self.positions = rotary_positions(np.asarray(ids), views, codec.image_token, codec.factor)
        self.shown, self.starts = tuple(request.pixels[view] for view in views), starts
        self.generator = self.generator or torch.Generator().manual_seed(request.sampling.seed)

    def new(self, width: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
        """The unread tokens (width,) and their positions (3, width), padded behind."""
        ids, places = np.full(width, pad), np.zeros((3, width), np.int64)
        if self.said:
            ids[0], places[:, 0] = self.said[-1], self.positions.max() + len(self.said)
        else:
            ids[: self.unread], places[:, : self.unread] = self.ids[self.held :], self.positions[:, self.held :]
        return ids, places

    def completion(self, end: int | None, codec: Codec) -> Completion:
        """What was said, and then the token `end`; None where it was cut off."""
        return self.prompt.completion(self.said, end, self.logprobs, self.request, codec)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the common front of two lists or tuples; by halves, as comparing slices takes no time."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low


def draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> int:
    """A token by temperature and top_p: the fewest tokens that hold at least top_p of the probability."""
    shares, tokens = (logits.cpu() / sampling.temperature).softmax(-1).sort(descending=True)
    shares[1:][shares.cumsum(-1)[:-1] >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(shares, 1, generator=generator)])
