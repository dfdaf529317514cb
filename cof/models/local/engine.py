"""Batched decoding of whole conversations: every token is read once, every picture encoded once.

On a CPU some batches run side by side, each on threads of its own: small tensors gain more from that than from many threads
for one. On a GPU there is one batch. A batch, and how its tokens are sampled, is in `batch.py`. Prompts are rendered and
tokenised by workers beside the batches. In float32 a conversation's completions do not depend on the others in its batch; in
lower precision rounding may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from threading import Lock
from typing import Any

import torch

from cof.models.base import Conversation, ConversationQueue, Usage
from cof.models.encoding import Codec
from cof.models.local.batch import Batch, ModelBundle, RequestQueue
from cof.models.local.vision_cache import VisionCache

SIDE_BY_SIDE = 4  # batches on a CPU at most
WORKERS = 4  # threads that render and tokenise prompts


class Engine:
    """Runs conversations on `network`, `size` at a time. `ends` are the tokens that end a turn, `never` are not sampled."""

    def __init__(self, network: Any, codec: Codec, ends: set[int], never: Sequence[int], size: int) -> None:
        self.bundle = ModelBundle(network, codec, VisionCache(network, codec), frozenset(ends), tuple(never))
        self.size, self._spent, self._lock = size, Usage(), Lock()

    @property
    def usage(self) -> Usage:
        """What was done so far."""
        return replace(self._spent, images=self.bundle.vision_cache.encoded)

    def run(self, conversations: Iterable[Conversation]) -> None:
        """Continue every conversation until it is over. One at a time is asked or answered, though by several threads."""
        threads = torch.get_num_threads() if self.bundle.network.device.type == "cpu" else 1
        queue, parts = _queue(conversations, min(threads, SIDE_BY_SIDE, self.size))
        if not parts:
            return
        workers = ThreadPoolExecutor(WORKERS, "prompts")
        batches = [Batch(self.bundle, queue, size, workers) for size in _shares(self.size, parts)]
        try:
            if len(batches) == 1:
                batches[0].run()
            else:
                _side_by_side(batches, queue, _shares(threads, len(batches)))
        finally:
            workers.shutdown(cancel_futures=True)
            with self._lock:
                for batch in batches:
                    self._spent.add(batch.usage)


def _queue(conversations: Iterable[Conversation], most: int) -> tuple[RequestQueue, int]:
    """The queue that batches take from, and how many batches it is worth, at most `most`."""
    if isinstance(conversations, ConversationQueue):
        return RequestQueue(conversations), most
    source = iter(conversations)
    first = list(islice(source, most))
    return RequestQueue(chain(first, source)), len(first)


def _shares(whole: int, parts: int) -> list[int]:
    """Nearly equal shares, the larger ones first."""
    return [whole // parts + (n < whole % parts) for n in range(parts)]


def _side_by_side(batches: Sequence[Batch], queue: RequestQueue, threads: Sequence[int]) -> None:
    """Run every batch on its number of threads. Where one breaks off, so do the others, at their next pass."""

    def work(batch: Batch, own: int) -> None:
        torch.set_num_threads(own)
        try:
            batch.run()
        except BaseException:
            queue.closed = True
            raise

    before = torch.get_num_threads()
    with ThreadPoolExecutor(len(batches)) as pool:
        working = [pool.submit(work, batch, own) for batch, own in zip(batches, threads, strict=True)]
        try:
            for each in working:
                each.result()
        finally:
            queue.closed = True
    torch.set_num_threads(before)  # for threads that are made later: it is a setting of each, and of the process
