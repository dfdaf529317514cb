"""A trace as one HTML page: the question, the picture with every zoom drawn on it, each turn, and what it cost.

Owns how a trace looks to a person; `trace.html` beside it holds every word and colour. The page is one file that loads
nothing and runs nothing: pictures are data URLs, there is no script, and its content security policy admits only its
own style, by hash. Model text is hostile: it is escaped everywhere, and characters that hide or reorder text are spelt
out. Omits pages about many traces.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import count, zip_longest
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from cof.focus.notes import stop_note
from cof.scoring import answers
from cof.types import Box, Trace, Turn, View, Zoom
from cof.vision import boxes, views
from cof.vision.load import load
from cof.vision.urls import jpeg_url, png_url
from cof.worlds.pictures import picture_in

PICTURE_SIDE = 1600  # pixels of the longer side: the picture on the page is for people
PICTURE_QUALITY = 85
LOSSLESS_PIXELS = 1_000_000  # a larger view becomes a JPEG of the same size, or the page would weigh tens of megabytes
VIEW_QUALITY = 95
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)  # controls, bidi controls, invisible characters and lone surrogates; not the joiners that scripts and emoji need


@dataclass(frozen=True)
class Look:
    """One box that a turn asked for (source pixels) and what came of it.

    `number` counts the zooms of the run from 1; `place` is the shown region in percent of the picture; `closer` is how
    many times finer than the overview it was shown; `picture` is its pixels as a data URL; `before` counts the earlier
    zooms that showed the same region. Where the box was refused, they keep their defaults.
    """

    asked: Box
    number: int | None = None
    view: View | None = None
    place: Box | None = None
    closer: float | None = None
    picture: str | None = None
    before: int = 0


@dataclass(frozen=True)
class Step:
    """One turn of the run, counted from 1, with its looks; `kind` is the action's name in lower case."""

    number: int
    turn: Turn
    kind: str
    looks: tuple[Look, ...]


def trace_page(trace: Trace, image: Image.Image) -> str:
    """`trace` as a self-contained HTML file, to be written as UTF-8; `image` is its picture, as `load` gives it.

    Raises InvalidImage when `image` is not of the size that the trace was made for.
    """
    size = boxes.full(image.size)
    return template("trace.html").render(
        trace=trace,
        steps=tuple(_steps(trace, image)),
        picture=jpeg_url(_shrink(image), PICTURE_QUALITY),
        overview=_shown(trace.overview, trace, image),
        truth=[_percent(box, size) for box in trace.question.targets],
        right=_right(trace),
        stop=stop_note(trace),
        settings=_settings(trace),
    )


def page_of(trace: Trace, picture: Any = None) -> str:
    """`trace_page` of any picture that `load` takes; without one the picture that the question names. Raises InvalidImage."""
    return trace_page(trace, picture_in(trace) if picture is None else load(picture))


def _steps(trace: Trace, image: Image.Image) -> Iterator[Step]:
    numbers = count(1)
    for number, turn in enumerate(trace.turns, 1):
        asked = turn.action.boxes if isinstance(turn.action, Zoom) else ()
        looks = (
            _look(box, view, next(numbers), trace, image) if view else Look(box)
            for box, view in zip_longest(asked, turn.views)
        )
        yield Step(number, turn, type(turn.action).__name__.lower(), tuple(looks))


def _look(asked: Box, view: View, number: int, trace: Trace, image: Image.Image) -> Look:
    first = trace.overview
    closer = (view.size[0] / view.region.width) / (first.size[0] / first.region.width)
    place, picture = _percent(view.region, first.region), _shown(view, trace, image)
    return Look(asked, number, view, place, closer, picture, trace.views[: number - 1].count(view))


def _percent(box: Box, picture: Box) -> Box:
    """A box in source pixels, in percent of the picture's sides."""
    return boxes.scale(box, 100 / picture.width, 100 / picture.height)


def _shown(view: View, trace: Trace, image: Image.Image) -> str:
    """The view as the model saw it, as a data URL."""
    pixels = views.render(image, view, trace.overview, trace.spec)
    return png_url(pixels) if view.pixels <= LOSSLESS_PIXELS else jpeg_url(pixels, VIEW_QUALITY)


def _shrink(image: Image.Image) -> Image.Image:
    small = image.convert("RGB")
    small.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    return small


def _right(trace: Trace) -> bool | None:
    """Whether scoring takes the answer for the truth; None where either is missing."""
    missing = trace.answer is None or trace.question.answer is None
    return None if missing else answers.score(trace.question, trace.answer).value == 1.0


def _same(answer: str | None, truth: str | None) -> bool:
    """Whether scoring would take one for the other; never where either is missing."""
    return answers.exact(answer, truth) == 1.0


def _settings(trace: Trace) -> dict[str, dict[str, object]]:
    """What the run was given, by heading; of the picture's path only its name, as a page travels."""
    question = trace.question
    about = {"question": question.id, "category": question.category, "depth": question.depth}
    run = {"trace": trace.id, "model": trace.model, "dialect": trace.dialect, "picture": PurePath(question.image).name}
    return {
        "Run": run | {name: value for name, value in about.items() if value is not None},
        "Views": asdict(trace.spec),
        "Limits": asdict(trace.limits),
        "Sampling": asdict(trace.sampling),
    }


def template(name: str) -> Template:
    """A page of this room. Text is escaped, and hidden characters in it are spelt out."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters["sha256"] = _sha256
    environment.tests["same"] = _same
    return environment.from_string(resources.files("cof.serve").joinpath(name).read_text("utf-8"))


def _visible(value: object) -> object:
    """Spells out hidden characters in whatever the template prints; its own markup passes."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", value)


def _sha256(text: str) -> str:
    """The digest that a content security policy names a style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
