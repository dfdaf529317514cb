"""What a benchmark is to the evaluation: an ordered list of questions, each with a way to get its picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from cof.types import Question, View, ViewSpec


@dataclass(frozen=True)
class Item:
    """One question of a benchmark.

    `question` holds the truth: where it has `choices`, `answer` is one of them, word for word; `targets` are boxes in
    pixels of the picture that `picture` reads (RGB, upright; raises InvalidImage). Items with the same `group` are one
    question asked in several ways (option cycles): they count once, by their mean. `depth` gives the zooms that are
    needed, or None where none help, from the overview and the factor by which the picture was resized; without it the
    question's own depth stands.
    """

    question: Question
    picture: Callable[[], Image.Image]
    group: str = ""
    depth: Callable[[View, float, ViewSpec], int | None] | None = None
