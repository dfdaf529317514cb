"""Pictures outside the needle world: photographs, charts and the like are, drawn scenes are not, however they were saved."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps

from cof.data.outside import outside
from cof.dialects.named import dialect_of
from cof.errors import InvalidImage
from cof.geometry import ViewSpec
from cof.loop.run import run
from cof.loop.setting import setting_of, with_budget
from cof.models.base import ModelInfo
from cof.models.remote.model import RemoteModel
from cof.models.scripted import ScriptedModel
from cof.needle.drawing import draw_full, jpeg
from cof.needle.outside import LIMIT, outside_score
from cof.needle.scenes import Contents, make_scene
from cof.trace import Trace
from cof.types import Question
from cof.vision import views
from cof.vision.load import load
from cof.vision.views import Picture
from tests import photographs

ROOT = Path(__file__).parents[2]
BUDGETS = (16, 64, 256)
SIDES = (224, 320, 448, 640, 896)
HELD = 1 << 57  # of the scenes' seeds: other scenes than the ranges were set on


def seen(picture: Image.Image, tokens: int = 256) -> Image.Image:
    """The overview at a budget."""
    spec = with_budget(ViewSpec(), tokens)
    first = views.overview(picture.size, spec)
    return views.render(picture, first, first, spec)


def warned(picture: Image.Image) -> list[bool]:
    return [outside_score(seen(picture, tokens)) > LIMIT for tokens in BUDGETS]


def needle(seed: int = 0, side: int = 448, aspect: float = 1.0) -> Image.Image:
    return draw_full(make_scene("test", HELD + seed, Contents(), aspect), side)


def photograph() -> Image.Image:
    return load(photographs.photograph())


def pixels(shades: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8))


def chart() -> Image.Image:
    figure, stream = Figure(figsize=(8, 6)), io.BytesIO()
    figure.add_subplot().plot(range(20), [n**2 for n in range(20)])
    figure.savefig(stream, format="png")
    return load(stream.getvalue())


def document() -> Image.Image:
    page = Image.new("RGB", (900, 1200), "white")
    for line in range(50):
        ImageDraw.Draw(page).text(
            (50, 40 + 22 * line), "the quick brown fox jumps over the lazy dog " * 3, fill="black"
        )
    return page


def cartoon() -> Image.Image:
    """Flat discs in the colours of the world, on its kind of colour: only the ground's noise is missing."""
    picture, rng = Image.new("RGB", (900, 900), (110, 150, 130)), np.random.default_rng(0)
    for colour in ("red", "orange", "yellow", "green", "cyan", "blue"):
        x, y = rng.uniform(0, 800, 2)
        ImageDraw.Draw(picture).ellipse((x, y, x + 90, y + 90), fill=colour)
    return picture


def noise(sd: float, channels: int = 3) -> Image.Image:
    return pixels(np.random.default_rng(0).normal(128, sd, (600, 800, channels)).repeat(3 // channels, 2))


def cells(n: int, resample: Image.Resampling) -> Image.Image:
    return pixels(np.random.default_rng(0).uniform(0, 255, (n, n, 3))).resize((768, 768), resample)


OTHERS: dict[str, Callable[[], Image.Image]] = {
    "photograph": photograph,
    "grey photograph": lambda: ImageOps.grayscale(photograph()).convert("RGB"),
    "small photograph": lambda: photograph().resize((96, 120)),
    "thin part of a photograph": lambda: photograph().crop((0, 200, 500, 240)),
    "noise": lambda: noise(30),
    "faint noise": lambda: noise(8),
    "grey noise": lambda: noise(30, channels=1),
    "gradient": lambda: cells(2, Image.Resampling.BILINEAR),
    "tiles": lambda: cells(12, Image.Resampling.NEAREST),
    "chart": chart,
    "document": document,
    "cartoon": cartoon,
    "a scene without its colours": lambda: ImageOps.grayscale(needle()).convert("RGB"),
    "a scene whose ground was smoothed": lambda: needle().resize((20, 20)).resize((448, 448)),
    "black": lambda: Image.new("RGB", (640, 480)),
    "white": lambda: Image.new("RGB", (640, 480), "white"),
    "olive": lambda: Image.new("RGB", (640, 480), (120, 150, 90)),
    "a screenshot": lambda: load(ROOT / "docs" / "live.png"),
    "a page's picture": lambda: load(ROOT / "docs" / "trace.png"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_drawn_scene_is_outside(name: str) -> None:
    assert warned(OTHERS[name]()) == [True] * len(BUDGETS)


def test_parts_of_a_photograph_are_outside() -> None:
    picture, rng = photograph(), np.random.default_rng(0)
    found = list[bool]()
    for _ in range(60):
        side = int(rng.integers(80, 500))
        x, y = int(rng.integers(picture.width - side)), int(rng.integers(picture.height - side))
        found += warned(picture.crop((x, y, x + side, y + side)))
    assert np.mean(found) >= 0.95


@pytest.mark.long
def test_drawn_scenes_of_other_seeds_are_inside() -> None:
    found = [any(warned(needle(seed, SIDES[seed % len(SIDES)]))) for seed in range(100)]
    assert np.mean(found) <= 0.02


@pytest.mark.parametrize("name", ["plaza.jpg", "meadow.jpg"])
def test_the_examples_are_inside(name: str) -> None:
    assert not any(warned(load(ROOT / "examples" / name)))


@pytest.mark.parametrize("quality", [50, 75, 92])
@pytest.mark.parametrize("side", [320, 896])
def test_a_scene_that_went_through_jpeg_is_inside(quality: int, side: int) -> None:
    assert not any(warned(jpeg(needle(seed, side), quality)) != [False] * 3 for seed in range(5))


@pytest.mark.parametrize("aspect", [0.61, 0.8, 1.25, 1.64])
def test_a_scene_that_is_no_square_is_inside(aspect: float) -> None:
    assert not any(any(warned(needle(seed, 672, aspect))) for seed in range(5))


def test_a_scene_that_was_turned_or_made_smaller_is_inside() -> None:
    picture = needle(1, 896)
    others = (ImageOps.mirror(picture), picture.rotate(90), picture.resize((300, 300)), picture.resize((500, 500), 0))
    assert [warned(other) for other in others] == [[False] * 3] * 4


def trace_of(picture: Image.Image, dialect: str = "cof") -> Trace:
    model = ScriptedModel(["<answer>A</answer>"])
    return run(model, Question("q", ("",), "What?"), picture, setting_of(model, dialect=dialect_of(dialect)))


@pytest.mark.parametrize(
    ("info", "dialect", "knows"),
    [
        (ModelInfo("runs/packed", world="needle"), "cof", True),  # by its card
        (ModelInfo("runs/packed", world=None), "cof", False),
        (ModelInfo("runs/packed", world="streets"), "cof", False),
        (ModelInfo("runs/packed", world="os:getcwd"), "cof", False),  # a card imports nothing
        (RemoteModel("http://127.0.0.1:9/v1", "nano").info, "plain", True),  # by its name
        (RemoteModel("http://127.0.0.1:9/v1", "nano-sft").info, "cof", True),
        (RemoteModel("http://127.0.0.1:9/v1", "mine").info, "nano", True),  # by its dialect
        (RemoteModel("http://127.0.0.1:9/v1", "gpt-nano").info, "plain", False),
        (ModelInfo("scripted"), "qwen3-vl", False),
    ],
)
def test_who_knows_the_needle_world_alone_is_asked_whether_a_picture_is_outside(
    info: ModelInfo, dialect: str, knows: bool
) -> None:
    trace, inside = trace_of(photograph(), dialect), needle()
    assert outside(info, trace, photograph()) is (True if knows else None)
    assert outside(info, trace, Picture(photograph())) is (True if knows else None)
    assert outside(info, trace_of(inside, dialect), inside) is (False if knows else None)


def test_another_picture_than_the_traces_is_refused() -> None:
    with pytest.raises(InvalidImage, match="want 448 x 448"):
        outside(ModelInfo("nano"), trace_of(needle()), photograph())
