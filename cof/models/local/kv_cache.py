"""Keys and values of several conversations side by side, each in a slot of its own, kept from turn to turn.

A slot's tokens are at the front of its row; attention never sees what is behind them. transformers' own caches hold
rows of one length only, so that conversations of different lengths cannot share a batch and keep what was read.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

BLOCK = 256  # tokens by which a row's room grows


class KVCache(Cache):
    """A cache for a network of `layers` layers, with `height` slots: as many as will be taken, since growing copies all.

    Before a forward pass, `place` sets which slots its rows belong to; the new keys and values are written behind the
    tokens that are there, and attention sees the row as `mask` allows.
    """

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[_Layer(self) for _ in range(layers)])
        self.rows = self.at = torch.empty(0, dtype=torch.long)
        self.cached = self.width = self.height = 0
        self.chosen: slice | torch.Tensor = slice(0)

    def place(self, rows: torch.Tensor, lengths: torch.Tensor, new: int) -> None:
        """The next pass brings `new` tokens, padding included, for each slot of `rows` (rows,), which have `lengths` cached."""
        self.rows, self.cached = rows, int(lengths.max())
        self.at = lengths[:, None] + torch.arange(new, device=rows.device)
        self.width, self.height = self.cached + new, max(self.height, int(rows.max()) + 1)
        in_front = torch.equal(rows, torch.arange(len(rows), device=rows.device))
        self.chosen = slice(len(rows)) if in_front else rows  # a slice is seen in place, not copied

    def mask(self) -> torch.Tensor:
        """(rows, 1, new, width), True where a new token may look: at all before it in its slot, and at itself."""
        return torch.arange(self.width, device=self.at.device) <= self.at[:, None, :, None]

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of one slot over another."""
        for layer in (layer for layer in self.layers if length and layer.is_initialized):
            layer.make_room(max(self.height, source + 1, target + 1), length)
            layer.keys[target, :length] = layer.keys[source, :length]
            layer.values[target, :length] = layer.values[source, :length]


class _Layer(CacheLayerMixin):
    """One layer's keys and values, each (slots, room, heads, size)."""

    is_sliding = False

    def __init__(self, slots: KVCache) -> None:
        super().__init__()
        self.slots = slots

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = (s.new_zeros(0, 0, s.shape[1], s.shape[3]) for s in (key_states, value_states))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (rows, heads, new, size) and give back all that the rows hold, (rows, heads, width, size)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        rows, at, width = self.slots.rows, self.slots.at, self.slots.width
        self.make_room(self.slots.height, width)
        self.keys[rows[:, None], at] = key_states.transpose(1, 2)
        self.values[rows[:, None], at] = value_states.transpose(1, 2)
        chosen = self.slots.chosen
        return self.keys[chosen, :width].transpose(1, 2), self.values[chosen, :width].transpose(1, 2)

    def make_room(self, height: int, width: int) -> None:
        """Have room for `height` slots of `width` tokens."""
        self.keys, self.values = (_roomy(s, height, width) for s in (self.keys, self.values))

    def get_seq_length(self) -> int:
        return self.slots.cached

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        return -1


def _roomy(states: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The states with room for `height` slots of `width` tokens."""
    rows, room = max(height, states.shape[0]), max(-(-width // BLOCK) * BLOCK, states.shape[1])
    if (rows, room) == states.shape[:2]:
        return states
    larger = states.new_zeros(rows, room, *states.shape[2:])
    larger[: states.shape[0], : states.shape[1]] = states
    return larger
