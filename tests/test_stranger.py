"""A stranger's pictures behind an endpoint, at default settings: every family is shown four zooms, and no body is large."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cof
from cof.dialects.named import dialect_of, names
from cof.geometry import Box
from cof.tools.zoom import zooms
from cof.types import Answer, Limits
from cof.vision import limits as within
from cof.vision.load import load
from tests.models.remote.endpoints import Reply, Say, listening

LARGEST_BODY = 8_000_000  # bytes
ZOOMS = 4
PLAZA = Path(__file__).parent.parent / "examples" / "plaza.jpg"
FAMILIES = ("plain", "qwen3-vl", "claude")  # one a frame, for the pictures that take long


@functools.cache
def textured(width: int, height: int) -> Image.Image:
    """As a photograph: detail at every scale, less of it the finer."""
    layers = [Image.effect_noise((max(2, width // n), max(2, height // n)), 40 + n) for n in (2, 8, 32, 128)]
    large = [layer.resize((width, height), Image.Resampling.BICUBIC) for layer in layers]
    red, green = Image.blend(large[0], large[2], 0.6), Image.blend(large[1], large[3], 0.5)
    return Image.merge("RGB", (red, green, Image.blend(red, green, 0.5)))


def tiled(times: int) -> Image.Image:
    """A picture of so many times 12 megapixels across and down."""
    tile = textured(4000, 3000)
    whole = Image.new("RGB", (tile.width * times, tile.height * times))
    for n in range(times * times):
        whole.paste(tile, (n % times * tile.width, n // times * tile.height))
    return whole


def as_file(image: Image.Image, folder: Path) -> Path:
    file = folder / "photo.jpg"
    image.save(file, quality=90)
    return file


PICTURES: dict[str, Callable[[Path], Path]] = {
    "12 megapixels": lambda folder: as_file(textured(4000, 3000), folder),
    "48 megapixels": lambda folder: as_file(tiled(2), folder),
    "192 megapixels": lambda folder: as_file(tiled(4), folder),
    "a panorama": lambda folder: as_file(textured(20_000, 600), folder),
    "the plaza": lambda _: PLAZA,
}


QUICK = ("12 megapixels",)  # the pictures of a quick run


def zooming(family: str, size: tuple[int, int]) -> Say:
    """An endpoint whose model zooms four times into different places, and then answers."""
    dialect = dialect_of(family)
    first = within.overview(size, dialect.view, Limits())
    w, h = size
    places = [Box(w * x, h * 0.2, w * (x + 0.25), h * 0.7) for x in (0.05, 0.25, 0.45, 0.65)]
    turns = [dialect.write(zooms((place,), "sign", "It is small."), (first,)) for place in places]
    turns.append(dialect.write(Answer("red", "I see it."), (first,)))

    def say(body: dict[str, Any]) -> Reply:
        spoken = sum(message["role"] == "assistant" for message in body["messages"])
        return Reply(turns[min(spoken, ZOOMS)])

    return say


def check(family: str, picture: Image.Image) -> None:
    with listening(zooming(family, picture.size)) as server:
        trace = cof.ask(picture, "What colour is it?", url=server.url, model="m", key="", dialect=family)
    assert (trace.answer, trace.stop, trace.zooms) == ("red", cof.Stop.ANSWER, ZOOMS), trace.error
    assert max(len(asked.raw) for asked in server.asked) < LARGEST_BODY
    assert trace.pixels <= trace.limits.pixels


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in FAMILIES else pytest.mark.long)
        for name in names()
        if name != "served"  # which asks for no crop
    ],
)
def test_every_family_zooms_into_a_photograph(family: str) -> None:
    check(family, textured(4000, 3000))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in PICTURES]
)
def test_any_picture_can_be_zoomed_into(name: str, tmp_path: Path) -> None:
    picture = load(PICTURES[name](tmp_path))
    for family in FAMILIES:
        check(family, picture)
