"""Batched decoding of whole conversations: every token is read once, every picture encoded once.

Each conversation has a seat; its keys and values stay in the seat's slot from turn to turn, so that a turn costs the
tokens that are new. Seats are filled as they fall free. In float32 what a conversation says does not depend on who sits
beside it; in lower precision rounding may.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from cof.errors import ModelError
from cof.models.base import Conversation, Request
from cof.models.encoding import Codec, rotary_positions, views_in
from cof.models.eyes import Eyes
from cof.models.slots import Slots
from cof.types import Completion, Sampling, View

READ_TOGETHER = 4096  # tokens of one pass, padding included: more takes memory and saves no time
FAULTS = (RuntimeError, IndexError, ValueError)  # what a forward pass raises


@dataclass
class Usage:
    """What an engine did so far: prompt tokens read, tokens sampled, pictures encoded, seconds in the network."""

    prefilled: int = 0
    decoded: int = 0
    images: int = 0
    seconds: float = 0.0


class Engine:
    """Runs conversations on `network`, `batch` at a time. `ends` are the tokens that end a turn, `never` are not sampled."""

    def __init__(self, network: Any, codec: Codec, ends: set[int], never: Sequence[int], batch: int) -> None:
        self.network, self.codec, self.ends, self.never, self.batch = network, codec, ends, list(never), batch
        self.usage, self.eyes = Usage(), Eyes(network, codec)

    @torch.inference_mode()
    def run(self, conversations: Iterable[Conversation]) -> None:
        """Continue every conversation until it is over."""
        source, seats = iter(conversations), list[_Seat]()
        slots = Slots(self.batch, len(self.network.model.language_model.layers), self.network.device)
        while self._fill(source, seats, slots):
            if any(seat.unread for seat in seats):
                for rows in _groups(seats):
                    self._read(rows, seats, slots)
            else:
                self._speak(range(len(seats)), seats, slots)

    def _fill(self, source: Iterator[Conversation], seats: list[_Seat], slots: Slots) -> bool:
        """Those whose conversation is over leave, others take the free seats; False when none is left."""
        leaving = [row for row, seat in enumerate(seats) if seat.over]
        for row in reversed(leaving):
            last = seats.pop()
            if row < len(seats):
                seats[row] = last
                slots.move(len(seats), row)
        if leaving:
            self.eyes.keep(picture for seat in seats for picture in seat.request.pixels.values())
        while len(seats) < self.batch and (conversation := next(source, None)) is not None:
            seat = _Seat(conversation)
            self._listen(seat)
            if not seat.over:
                seats.append(seat)
        return bool(seats)

    def _listen(self, seat: _Seat) -> None:
        """Make ready for the turn that the conversation wants next, if any."""
        while (request := seat.conversation.request()) is not None:
            try:
                seat.prepare(request, self.codec)
            except ModelError as error:
                seat.conversation.hear(error, 0.0)
            else:
                return
        seat.over = True

    def _read(self, rows: Sequence[int], seats: Sequence[_Seat], slots: Slots) -> None:
        """Read the prompts of some seats, and sample the first token of each."""
        chosen = [seats[row] for row in rows]
        width = max(seat.unread for seat in chosen)
        ids, positions = np.full((len(rows), width), self.codec.pad), np.zeros((3, len(rows), width), np.int64)
        for n, seat in enumerate(chosen):
            slots.lengths[rows[n]] = len(seat.held)
            ids[n, : seat.unread] = seat.ids[len(seat.held) :]
            positions[:, n, : seat.unread] = seat.positions[:, len(seat.held) :]
        pictures = [picture for seat in chosen for picture in seat.pictures]
        try:
            logits, best = self._forward(rows, chosen, slots, ids, positions, pictures)
        except FAULTS as error:
            if len(rows) == 1:
                return self._fail(chosen[0], error)
            for row in rows:  # whatever one of them holds must not spoil the others
                self._read([row], seats, slots)
            return None
        self.usage.prefilled += sum(seat.unread for seat in chosen)
        self.usage.images = self.eyes.encoded
        for seat in chosen:
            seat.held, seat.unread = list(seat.ids), 0
        return self._take(chosen, logits, best)

    def _speak(self, rows: Sequence[int], seats: Sequence[_Seat], slots: Slots) -> None:
        """One more token for the seats of `rows`."""
        chosen = [seats[row] for row in rows]
        ids = np.array([[seat.said[-1]] for seat in chosen])
        places = [seat.positions.max() + len(seat.said) for seat in chosen]
        positions = np.broadcast_to(np.array(places)[None, :, None], (3, len(rows), 1))
        try:
            logits, best = self._forward(rows, chosen, slots, ids, positions, ())
        except FAULTS as error:
            if len(rows) == 1:
                return self._fail(chosen[0], error)
            for row in rows:
                self._speak([row], seats, slots)
            return None
        for seat in chosen:
            seat.held.append(seat.said[-1])
        return self._take(chosen, logits, best)

    def _forward(
        self,
        rows: Sequence[int],
        seats: Sequence[_Seat],
        slots: Slots,
        ids: np.ndarray,
        positions: np.ndarray,
        pictures: Sequence[Image.Image],
    ) -> tuple[torch.Tensor, list[int]]:
        """Logits after the last new token of each row, (rows, vocabulary), and the best tokens; the new ones are held then."""
        began, device = time.monotonic(), self.network.device
        shown = self.eyes.see(pictures)
        slots.place(torch.tensor(rows, device=device), ids.shape[1])
        hidden = self.network.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(positions, device=device),
            **shown,
            attention_mask=slots.mask(),
            past_key_values=slots,
            use_cache=True,
        ).last_hidden_state
        new = torch.tensor([seat.unread or 1 for seat in seats], device=device)
        logits: torch.Tensor = self.network.lm_head(hidden[torch.arange(len(rows), device=device), new - 1]).float()
        logits[:, self.never] = -torch.inf
        best: list[int] = logits.argmax(-1).tolist()
        slots.lengths[slots.rows] += new
        passed = time.monotonic() - began
        self.usage.seconds += passed
        for seat in seats:
            seat.seconds += passed / len(seats)
        return logits, best

    def _take(self, seats: Sequence[_Seat], logits: torch.Tensor, best: Sequence[int]) -> None:
        """Sample a token for each of `seats`, and end the turns that it ends."""
        self.usage.decoded += len(seats)
        for seat, token, row in zip(seats, best, logits, strict=True):
            sampling = seat.request.sampling
            try:
                drawn = token if sampling.temperature == 0 else _draw(row, sampling, seat.generator)
            except FAULTS as error:
                self._fail(seat, error)
                continue
            if drawn in self.ends:
                self._end(seat, "stop")
            else:
                seat.said.append(drawn)
                if len(seat.said) >= sampling.tokens:
                    self._end(seat, "length")

    def _end(self, seat: _Seat, finish: Literal["stop", "length"]) -> None:
        seat.conversation.hear(seat.completion(finish, self.codec), seat.seconds)
        self._listen(seat)

    def _fail(self, seat: _Seat, error: Exception) -> None:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        seat.conversation.hear(ModelError(f"the network failed: {reason}"), seat.seconds)
        self._listen(seat)


class _Seat:
    """A conversation in the batch. `held` are the tokens whose keys and values lie in its slot.

    Of the turn under way: the prompt's `text`, `ids`, rotary `positions` and `views`; of these the last `unread` tokens
    and the `pictures` among them; what was `said`; its `seconds`.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.over = conversation, False
        self.generator: torch.Generator | None = None
        self.held, self.ids, self.said, self.text = list[int](), list[int](), list[int](), ""
        self.views: tuple[View, ...] = ()
        self.pictures: tuple[Image.Image, ...] = ()
        self.unread, self.seconds = 0, 0.0

    def prepare(self, request: Request, codec: Codec) -> None:
        """Write the prompt of the next turn, and find which of its tokens are not held. Raises ModelError."""
        text, views = codec.text(request), views_in(request.messages)
        ids = self._ids(text, views, codec)
        starts = codec.starts(ids, views)
        same = _common(self.views, views)
        kept = min(_common(self.held, ids), starts[same] if same < len(views) else len(ids), len(ids) - 1)
        self.request, self.text, self.ids, self.views, self.said, self.seconds = request, text, ids, views, [], 0.0
        self.held, self.unread = ids[:kept], len(ids) - kept
        self.positions = rotary_positions(np.asarray(ids), views, codec.image_token, codec.factor)
        self.pictures = tuple(request.pixels[v] for v, start in zip(views, starts, strict=True) if start >= kept)
        self.generator = self.generator or torch.Generator().manual_seed(request.sampling.seed)

    def _ids(self, text: str, views: Sequence[View], codec: Codec) -> list[int]:
        """The prompt's tokens: what was read or sampled before keeps its tokens, only what is new is tokenised."""
        for said in (self.said, []):
            known = self.text + codec.words(said)
            if known and text.startswith(known):
                return [*self.ids, *said, *codec.ids(text[len(known) :], views[len(self.views) :])]
        return codec.ids(text, views)

    def completion(self, finish: Literal["stop", "length"], codec: Codec) -> Completion:
        visual = sum(view.pixels for view in self.views) // codec.factor**2
        text = self.request.prefix + codec.words(self.said)
        return Completion(text, len(self.said) + (finish == "stop"), len(self.ids), visual, finish)


def _groups(seats: Sequence[_Seat]) -> list[list[int]]:
    """The rows of seats with something to read, those of like length together, each group to be read in one pass."""
    groups: list[list[int]] = []
    for row in sorted((n for n, seat in enumerate(seats) if seat.unread), key=lambda n: seats[n].unread):
        if groups and (len(groups[-1]) + 1) * seats[row].unread <= READ_TOGETHER:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the common front."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> int:
    """A token by temperature and top_p: the fewest tokens that hold at least top_p of the probability."""
    shares, tokens = (logits.cpu() / sampling.temperature).softmax(-1).sort(descending=True)
    shares[1:][shares.cumsum(-1)[:-1] >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(shares, 1, generator=generator)])
