"""The needle world as a benchmark: no files, the pictures are drawn from the seed.

Dataset: synthetic scenes (`cof.needle.samples`), any number; its test split holds colour-shape pairs never trained on.
Metric: accuracy, overall, by category and by the depth of zooming that a question needs.
Source: this package.
"""

from __future__ import annotations

from collections.abc import Iterator

from cof.data.benchmarks.base import Item
from cof.needle.samples import Sample, asked_at, samples
from cof.needle.scenes import Split
from cof.types import Question, Shown, ViewSpec


def items(
    split: Split, seed: int, count: int, side: int, spec: ViewSpec, multiple_choice: bool = False
) -> Iterator[Item]:
    """`count` questions about pictures whose longer side is `side`; their depths are mixed as they are at `spec`."""
    for sample in samples(split, seed, count, side, spec, multiple_choice):
        yield _item(sample)


def _item(sample: Sample) -> Item:
    def at(first: Shown, factor: float, spec: ViewSpec) -> Question:
        return asked_at(sample, first, sample.side * factor, spec)

    return Item(sample.question, sample.picture, at=at)
