"""The benchmarks that are read from a user's own copy, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cof.data.benchmarks import hrbench, jsonl, mme_realworld, treebench, visualprobe, vstar
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example


class Reader(Protocol):
    """The items of the user's file or folder. Rows that cannot be used go to `left_out`; without it the first is raised."""

    def __call__(self, data: Path, seed: int, left_out: LeftOut | None = None) -> Iterator[Example]: ...


BENCHMARKS: dict[str, Reader] = {
    "vstar": vstar.items,
    "hrbench": hrbench.items,
    "mme-realworld": mme_realworld.items,
    "treebench": treebench.items,
    "visualprobe": visualprobe.items,
    "jsonl": jsonl.items,
}
