"""What a benchmark is to the evaluation: an ordered list of questions, each with a way to get its picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from cof.data.benchmarks.rows import Row
from cof.types import Question, Shown, ViewSpec


@dataclass(frozen=True)
class Item:
    """One question of a benchmark.

    `question` holds the truth: where it has `choices`, `answer` is one of them, word for word; `targets` are boxes in
    pixels of the picture that `picture` reads (RGB, upright; raises InvalidImage). Items with the same `group` are one
    question asked in several ways (option cycles): they count once, by their mean. `at` gives the question with the depth
    and targets that it has from an overview of the picture resized by a factor; without it they are unknown there. `row`
    says where the item was read, without its fields; None for what is drawn.
    """

    question: Question
    picture: Callable[[], Image.Image]
    group: str = ""
    at: Callable[[Shown, float, ViewSpec], Question] | None = None
    row: Row | None = None
