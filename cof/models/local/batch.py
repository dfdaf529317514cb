"""A batch of conversations on one network: each is a sequence with a slot of its own in the KV cache.

Owns the forward pass and the sampling of tokens (`draw`). A sequence's keys and values stay in its slot from turn to turn, so
that a turn costs the tokens that are new. Prompts are rendered and tokenised by workers, while the batch goes on with the
sequences whose prompts are ready.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np
import torch

from cof.errors import ModelError
from cof.models.base import Conversation, ConversationQueue, Usage
from cof.models.encoding import Codec
from cof.models.local.kv_cache import KVCache
from cof.models.local.microbatches import microbatches
from cof.models.local.sequence import TokenSequence, prepared
from cof.models.local.vision_cache import VisionCache
from cof.types import Completion, Sampling

COLDEST = 1e-4  # below it sampling is greedy: what is divided by less leaves the range of float32
FAULTS = (RuntimeError, IndexError, ValueError)  # what a forward pass raises
POLL_SECONDS = 0.01  # between looks for new conversations, while every sequence waits for its prompt


@dataclass(frozen=True)
class ModelBundle:
    """A transformers network with what it needs.

    `network`: the network itself.
    `codec`: its tokenizer and image processor.
    `vision_cache`: its vision tower, which all batches share.
    `ends`: the tokens that end a turn.
    `never`: the tokens that are not sampled.
    """

    network: Any
    codec: Codec
    vision_cache: VisionCache
    ends: frozenset[int]
    never: tuple[int, ...]


class RequestQueue:
    """Conversations that wait for a place in a batch.

    `lock` is held while the next one is taken and while any conversation is asked or answered, as they need not be safe to use
    from several threads. Nothing is rendered or tokenised under it.
    """

    def __init__(self, conversations: Iterator[Conversation] | ConversationQueue) -> None:
        self.source, self.lock, self.closed = conversations, RLock(), False

    def poll(self) -> Conversation | None:
        """The next one, None if there is none now."""
        if self.closed:
            return None
        return self.source.poll() if isinstance(self.source, ConversationQueue) else next(self.source, None)

    def wait(self) -> bool:
        """Wait for another one; False if none will come."""
        return not self.closed and isinstance(self.source, ConversationQueue) and self.source.wait()


class Batch:
    """Runs the conversations of `queue`, `size` at a time; `workers` prepare their prompts.

    `usage` does not count pictures, which batches share.
    """

    def __init__(self, bundle: ModelBundle, queue: RequestQueue, size: int, workers: Executor) -> None:
        self.bundle, self.queue, self.size, self.workers = bundle, queue, size, workers
        self.usage, self.sequences = Usage(), list[TokenSequence]()
        self.slots = KVCache(len(bundle.network.model.language_model.layers))

    @torch.inference_mode()
    def run(self) -> None:
        """Continue conversations until none is left, or the queue is closed. Prompts that are to be read go first."""
        while not self.queue.closed:
            if not self._fill():
                self.slots = KVCache(len(self.slots.layers))  # what long conversations took is given back
                if self.queue.wait():
                    continue
                return
            rows = self._ready()
            for group in microbatches(
                self._prefilling(rows) or rows,
                lambda row: self.sequences[row].pending,
                self.bundle.network.device.type,
            ):
                self._step(group)

    def _fill(self) -> bool:
        """Sequences that are over or cancelled leave; conversations from the queue take their places. False if none is left."""
        leaving = [row for row, one in enumerate(self.sequences) if one.over or one.conversation.cancelled]
        for row in reversed(leaving):
            last = self.sequences.pop()
            if row < len(self.sequences):
                self.sequences[row] = last
                self.slots.move(len(self.sequences), row, last.cached)
        while len(self.sequences) < self.size:
            with self.queue.lock:
                if (conversation := self.queue.poll()) is None:
                    break
                sequence = TokenSequence(conversation)
                self._request(sequence)
            if not sequence.over:
                self.sequences.append(sequence)
        self.slots.height = len(self.sequences)
        return bool(self.sequences)

    def _request(self, sequence: TokenSequence) -> None:
        """Have a worker prepare the turn that the conversation wants next, if any. The queue's lock is held."""
        request = sequence.conversation.request()
        sequence.over, sequence.preparing, sequence.seconds = request is None, None, 0.0
        if request is not None:
            before = sequence.turn.prompt, tuple(sequence.sampled)
            sequence.preparing = self.workers.submit(prepared, request, *before, self.bundle.codec)

    def _ready(self) -> list[int]:
        """The rows whose prompt is ready; waits for a moment where there is none."""
        rows = [row for row, sequence in enumerate(self.sequences) if self._is_ready(sequence)]
        if not rows:
            wait([one.preparing for one in self.sequences if one.preparing], POLL_SECONDS, FIRST_COMPLETED)
        return rows

    def _is_ready(self, sequence: TokenSequence) -> bool:
        """Whether the sequence has its prompt, which is taken from the worker. Where that failed, the conversation gets the
        error."""
        while sequence.preparing is not None and sequence.preparing.done():
            try:
                sequence.begin(sequence.preparing.result())
            except ModelError as error:
                self._end(sequence, error)
        return sequence.preparing is None and not sequence.over

    def _prefilling(self, rows: Sequence[int]) -> list[int]:
        """Those of `rows` that have more than a token to read now. What another sequence has cached is copied, and what one is
        about to read another waits for."""
        prefilling = list[int]()
        for row in [row for row in rows if self.sequences[row].pending > 1]:
            sequence = self.sequences[row]
            shared = [
                (other.shared_prefix(sequence), place) for place, other in enumerate(self.sequences) if place != row
            ]
            most, source = max(shared, default=(0, row))
            if most > sequence.cached:
                self.slots.move(source, row, most)
                sequence.cached = most
            waits = any(
                self.sequences[each].shared_prefix(sequence, pending=True) > sequence.cached for each in prefilling
            )
            if sequence.pending > 1 and not waits:
                prefilling.append(row)
        return prefilling

    def _step(self, rows: Sequence[int]) -> None:
        """Read the pending tokens of some sequences, and sample one more token for each."""
        chosen = [self.sequences[row] for row in rows]
        try:
            logits, best = self._forward(rows, chosen)
        except FAULTS as error:
            if len(rows) == 1:
                return self._end(chosen[0], ModelError(f"the network failed: {_reason(error)}"))
            for row in rows:  # the fault of one sequence must not end the others
                self._step([row])
            return None
        self.usage.prefilled += sum(sequence.pending for sequence in chosen if not sequence.sampled)
        self.usage.decoded += len(chosen)
        for sequence, token, row in zip(chosen, best, logits, strict=True):
            sequence.cached = len(sequence.tokens)
            self._take(sequence, token, row)
        return None

    def _forward(self, rows: Sequence[int], sequences: Sequence[TokenSequence]) -> tuple[torch.Tensor, list[int]]:
        """Logits after the last token of each row, (rows, vocabulary), and the best tokens. Caches the pending tokens."""
        network, device, began = self.bundle.network, self.bundle.network.device, time.monotonic()
        features = self.bundle.vision_cache.features([image for one in sequences for image in one.pending_images])
        cached, width = (
            torch.tensor([one.cached for one in sequences], device=device),
            max(s.pending for s in sequences),
        )
        self.slots.place(torch.tensor(rows, device=device), cached, width)
        ids, places = (
            np.stack(s, -2) for s in zip(*(one.new(width, self.bundle.codec.pad) for one in sequences), strict=True)
        )
        hidden = network.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(places, device=device),
            **features,
            attention_mask=self.slots.mask(),
            past_key_values=self.slots,
            use_cache=True,
        ).last_hidden_state
        last = torch.tensor([one.pending - 1 for one in sequences], device=device)
        logits: torch.Tensor = network.lm_head(hidden[torch.arange(len(rows), device=device), last]).float()
        logits[:, list(self.bundle.never)] = -torch.inf
        best: list[int] = logits.argmax(-1).tolist()
        passed = time.monotonic() - began
        self.usage.seconds += passed
        for one in sequences:
            one.seconds += passed / len(sequences)
        return logits, best

    def _take(self, sequence: TokenSequence, best: int, logits: torch.Tensor) -> None:
        """Sample a token, and end the turn if it ends there."""
        request = sequence.turn.request
        sampling = request.sampling
        try:
            drawn = best if sampling.temperature < COLDEST else draw(logits, sampling, sequence.generator)
        except FAULTS as error:
            return self._end(sequence, ModelError(f"the network failed: {_reason(error)}"))
        if request.transcript:
            temperature = sampling.temperature if sampling.temperature >= COLDEST else 1.0
            sequence.logprobs.append(float((logits / temperature).log_softmax(-1)[drawn]))
        if drawn in self.bundle.ends:
            return self._end(sequence, sequence.completion(drawn, self.bundle.codec))
        sequence.sampled.append(drawn)
        if len(sequence.sampled) >= sampling.tokens:
            self._end(sequence, sequence.completion(None, self.bundle.codec))
        return None

    def _end(self, sequence: TokenSequence, completion: Completion | ModelError) -> None:
        """End the turn, and ask for the next."""
        with self.queue.lock:
            sequence.conversation.receive(completion, sequence.seconds)
            self._request(sequence)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> int:
    """A token by temperature and top_p: the fewest tokens that hold at least top_p of the probability."""
    shares, tokens = (logits.cpu() / sampling.temperature).softmax(-1).sort(descending=True)
    shares[1:][shares.cumsum(-1)[:-1] >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(shares, 1, generator=generator)])
