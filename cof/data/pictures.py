"""The picture that a question is about: a file, or one of a world, which is drawn again."""

from __future__ import annotations

import os

from PIL import Image

from cof.data.worlds import world_with
from cof.errors import InvalidImage
from cof.types import Question, Trace
from cof.vision.load import load


def can_open(question: Question) -> bool:
    """Whether the question names its picture: one inside a table has no name of its own."""
    return world_with(question.image) is not None or os.path.isfile(question.image)


def picture_of(question: Question) -> Image.Image:
    """RGB, upright. Raises InvalidImage where there is none."""
    world = world_with(question.image)
    return load(question.image) if world is None else world.picture(question.image)


def picture_in(trace: Trace) -> Image.Image:
    """The picture as it was asked about: an evaluation of resized pictures made it smaller.

    Raises InvalidImage where there is none, or it is another by now.
    """
    image, region = picture_of(trace.question), trace.overview.region
    (width, height), size = image.size, (round(region.width), round(region.height))
    if size == image.size:
        return image
    if size[0] > width or size[1] > height or abs(size[0] * height - size[1] * width) > max(image.size):
        raise InvalidImage(
            f"the picture is {width} x {height} px, the trace's was {size[0]} x {size[1]}; want the same one"
        )
    return image.resize(size, Image.Resampling.LANCZOS)
