"""The benchmarks that are read from a user's own copy, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cof.evaluate.benchmarks import hrbench, jsonl, mme_realworld, treebench, visualprobe, vstar
from cof.evaluate.benchmarks.base import Item

BENCHMARKS: dict[str, Callable[[Path, int], Iterator[Item]]] = {  # the user's file or folder, and a seed
    "vstar": vstar.items,
    "hrbench": hrbench.items,
    "mme-realworld": mme_realworld.items,
    "treebench": treebench.items,
    "visualprobe": visualprobe.items,
    "jsonl": jsonl.items,
}
