"""The picture that a question is about: a file, or one of a world, which is drawn again."""

from __future__ import annotations

import os

from PIL import Image

from cof.data.worlds import world_with
from cof.errors import InvalidImage
from cof.geometry import Shown
from cof.trace import Trace
from cof.types import Question
from cof.vision.load import load


def can_open(question: Question) -> bool:
    """Whether the question names its pictures: one inside a table has no name of its own."""
    return all(world_with(image) is not None or os.path.isfile(image) for image in question.images)


def picture_of(question: Question, number: int = 0) -> Image.Image:
    """The picture of the question with that number, RGB, upright. Raises InvalidImage where there is none."""
    image = question.images[number]
    world = world_with(image)
    return load(image) if world is None else world.picture(image)


def pictures_in(trace: Trace) -> list[Image.Image]:
    """The pictures as they were asked about: an evaluation of resized pictures made them smaller.

    Raises InvalidImage where one is missing, or is another by now.
    """
    return [_sized(picture_of(trace.question, view.picture), view) for view in trace.overviews]


def _sized(image: Image.Image, overview: Shown) -> Image.Image:
    (width, height), size = image.size, (round(overview.region.width), round(overview.region.height))
    if size == image.size:
        return image
    if size[0] > width or size[1] > height or abs(size[0] * height - size[1] * width) > max(image.size):
        raise InvalidImage(
            f"the picture is {width} x {height} px, the trace's was {size[0]} x {size[1]}; want the same one"
        )
    return image.resize(size, Image.Resampling.LANCZOS)
