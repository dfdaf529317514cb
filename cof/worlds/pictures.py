"""The picture that a question is about: a file, or a scene of the needle world, which is drawn again."""

from __future__ import annotations

from PIL import Image

from cof.types import Question
from cof.vision.load import load
from cof.worlds import needle


def picture_of(question: Question) -> Image.Image:
    """RGB, upright. Raises InvalidImage where there is none."""
    return needle.redraw(question.image) or load(question.image)
