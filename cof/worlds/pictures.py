"""The picture that a question is about: a file, or a scene of the needle world, which is drawn again."""

from __future__ import annotations

import os

from PIL import Image

from cof.types import Question
from cof.vision.load import load
from cof.worlds import needle


def can_open(question: Question) -> bool:
    """Whether the question names its picture: one inside a table has no name of its own."""
    return needle.scene_named(question.image) is not None or os.path.isfile(question.image)


def picture_of(question: Question) -> Image.Image:
    """RGB, upright. Raises InvalidImage where there is none."""
    return needle.redraw(question.image) or load(question.image)
