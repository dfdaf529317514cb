"""Pictures with one known box each, by which an endpoint shows in which frame its model names boxes.

A plain background and one filled rectangle: any model that can ground at all can name its box. Sizes are of several aspect
ratios and up to 7.2 megapixels, and none is near 1,000 pixels on a side, where pixels and thousandths are alike. Sides are
multiples of 224 pixels, so that neither tokens of 28 nor of 32 pixels resize them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from cof.geometry import Box

SIZES = ((672, 448), (448, 672), (1792, 1344), (2240, 672), (1344, 2688), (3136, 2240))
COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (20, 150, 60), "yellow": (245, 215, 30)}
PAPER_GREY = (232, 232, 228)
TEXTURE = 6  # grey levels by which the background varies, so that no coder drops it
PLAIN_TO_SEE = (0.12, 0.3)  # sides of the rectangle, as parts of those of the picture
SMALL = (0.02, 0.03)


@dataclass(frozen=True)
class ProbePicture:
    """A picture of a rectangle of the `colour`; `box` is in its pixels."""

    image: Image.Image
    colour: str
    box: Box


def draw(
    size: tuple[int, int], colour: str, rng: random.Random, parts: tuple[float, float] = PLAIN_TO_SEE
) -> ProbePicture:
    """A rectangle of the colour somewhere in a picture of `size` = (width, height); its sides are `parts` of the picture's."""
    image = Image.new("RGB", size, PAPER_GREY)
    noise = Image.effect_noise((size[0] // 8, size[1] // 8), TEXTURE).resize(size)
    image = Image.blend(image, Image.merge("RGB", (noise,) * 3), 0.05)
    w, h = (round(side * rng.uniform(*parts)) for side in size)
    x, y = (round(rng.uniform(0.05, 0.95) * (side - own)) for side, own in zip(size, (w, h), strict=True))
    ImageDraw.Draw(image).rectangle((x, y, x + w - 1, y + h - 1), fill=COLOURS[colour])
    return ProbePicture(image, colour, Box(x, y, x + w, y + h))


def drawn(seed: int) -> tuple[ProbePicture, ...]:
    """One picture a size; the same seed gives the same boxes and colours."""
    rng = random.Random(seed)
    return tuple(draw(size, rng.choice(list(COLOURS)), rng) for size in SIZES)
