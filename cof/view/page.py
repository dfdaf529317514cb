"""A trace as one HTML page: the question, the picture with every zoom drawn on it, each turn, and what it cost.

Owns how a trace looks to a person; `trace.html` beside it holds every word and colour. The page is one file that loads
nothing and runs nothing: pictures are data URLs, there is no script, and its content security policy admits only its
own style, by hash. Model text is hostile: it is escaped everywhere, and characters that hide or reorder text are spelt
out. Omits pages about many traces.
"""

from __future__ import annotations

import base64
import functools
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

from cof.data.outside import OUTSIDE
from cof.data.pictures import picture_in
from cof.loop.notes import limit_notes, stop_note
from cof.loop.session import NO_VIEW
from cof.scoring import answers
from cof.scoring.traces import listed, score_trace
from cof.types import Box, Stop, Trace, Turn, View, Zoom
from cof.view.encoded import EncodedPicture, GreyPicture
from cof.vision import boxes
from cof.vision.load import load

UNNAMED = "ask"  # the id of a question that was asked alone
UNLISTED = "The answer is none of the choices."
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)  # controls, bidi controls, invisible characters and lone surrogates; not the joiners that scripts and emoji need


@dataclass(frozen=True)
class RequestedBox:
    """One box that a turn asked for (source pixels) and what came of it.

    `number` counts the zooms of the run from 1; `place` is the shown region in percent of the picture; `closer` is how
    many times finer than the overview it was shown; `picture` is its pixels as a data URL; `before` counts the earlier
    zooms that showed the same region. Where the box was not shown, they keep their defaults, and `why` is the reason.
    """

    asked: Box
    number: int | None = None
    view: View | None = None
    place: Box | None = None
    closer: float | None = None
    picture: str | None = None
    before: int = 0
    why: str = ""


@dataclass(frozen=True)
class Step:
    """One turn of the run, by its `number` from 1, with the boxes that it asked for as `looks`.

    `kind` is the action's name in lower case, and "refused" for a zoom that showed nothing.
    """

    number: int
    turn: Turn
    kind: str
    looks: tuple[RequestedBox, ...]


def trace_page(trace: Trace, image: Image.Image | EncodedPicture) -> str:
    """`trace` as a self-contained HTML file, to be written as UTF-8; `image` is its picture, as `load` gives it.

    An `EncodedPicture` is encoded once for several pages. Raises InvalidImage when the picture is not of the size that the
    trace was made for.
    """
    picture = image if isinstance(image, EncodedPicture) else EncodedPicture(image)
    return _page(trace, picture, warnings(trace))


def page_without_picture(trace: Trace, reason: str) -> str:
    """The page of a trace whose picture cannot be read: it shows grey instead, and the `reason`."""
    region = trace.overview.region
    grey = GreyPicture((round(region.width), round(region.height)))
    why = "Grey is in the place of the picture" if trace.overview != NO_VIEW else "The picture cannot be read"
    sentence = f"{why}." if reason == trace.error else f"{why}: {reason}"
    return _page(trace, grey, (sentence, *warnings(trace)))


def _page(trace: Trace, picture: EncodedPicture, sentences: tuple[str, ...]) -> str:
    size = boxes.full(picture.size)
    return template("trace.html").render(
        trace=trace,
        asked=trace.overview != NO_VIEW,
        steps=tuple(_steps(trace, picture)),
        picture=picture.whole,
        overview=picture.view(trace.overview, trace),
        truth=[_percent(box, size) for box in trace.question.targets],
        right=_right(trace),
        warnings=sentences,
        notes=limit_notes(trace),
        stop=stop_note(trace),
        settings=_settings(trace),
    )


def page_of(trace: Trace, picture: Any = None) -> str:
    """`trace_page` of any picture that `load` takes; without one the picture that the question names. Raises InvalidImage."""
    return trace_page(trace, picture_in(trace) if picture is None else load(picture))


def warnings(trace: Trace) -> tuple[str, ...]:
    """What a reader should know before the answer, in sentences."""
    holding = {OUTSIDE: trace.outside is True, UNLISTED: listed(trace) is False}
    return tuple(sentence for sentence, holds in holding.items() if holds)


def _steps(trace: Trace, picture: EncodedPicture) -> Iterator[Step]:
    numbers = count(1)
    for number, turn in enumerate(trace.turns, 1):
        asked = turn.action.boxes if isinstance(turn.action, Zoom) else ()
        looks = (
            _look(box, view, next(numbers), trace, picture) if view else RequestedBox(box, why=_why(box, number, trace))
            for box, view in zip_longest(asked, turn.views)
        )
        kind = "refused" if asked and not turn.views else type(turn.action).__name__.lower()
        yield Step(number, turn, kind, tuple(looks))


def _look(asked: Box, view: View, number: int, trace: Trace, picture: EncodedPicture) -> RequestedBox:
    first = trace.overview
    closer = (view.size[0] / view.region.width) / (first.size[0] / first.region.width)
    place, shown = _percent(view.region, first.region), picture.view(view, trace)
    return RequestedBox(asked, number, view, place, closer, shown, trace.views[: number - 1].count(view))


def _why(asked: Box, number: int, trace: Trace) -> str:
    """Why turn `number` (from 1) was not shown a box that it asked for."""
    turn, picture = trace.turns[number - 1], trace.overview.region
    if number == len(trace.turns) and trace.stop is not Stop.FAILED:
        return "The model had been asked for its answer."
    first = turn.action.boxes[len(turn.views)] if isinstance(turn.action, Zoom) else asked
    if boxes.intersect(first, picture) is None:
        return f"{'It' if first == asked else 'A box before it'} lies outside the picture."
    shown = sum(len(each.views) for each in trace.turns[:number] if not each.given)
    return f"The limit on {'zooms' if shown >= trace.limits.zooms else 'pixels'} was reached."


def _percent(box: Box, picture: Box) -> Box:
    """A box in source pixels, in percent of the picture's sides."""
    return boxes.scale(box, 100 / picture.width, 100 / picture.height)


def _right(trace: Trace) -> bool | None:
    """Whether scoring takes the answer for the truth; None where either is missing."""
    return None if trace.answer is None else score_trace(trace).right


def _same(answer: str | None, truth: str | None) -> bool:
    """Whether scoring would take one for the other; never where either is missing."""
    return answers.exact(answer, truth) == 1.0


def _settings(trace: Trace) -> dict[str, dict[str, object]]:
    """What the run was given, by heading; of the picture's path only its name, as a page travels."""
    question = trace.question
    names = {name: value for name, value in (("trace", trace.id), ("question", question.id)) if value != UNNAMED}
    about = {"arm": trace.mode, "category": question.category, "depth": question.depth}
    picture = PurePath(question.image).name or None
    run = names | {"model": trace.model, "dialect": trace.dialect, "picture": picture}
    return {
        "Run": {name: value for name, value in (run | about).items() if value is not None},
        "Views": asdict(trace.spec),
        "Limits": asdict(trace.limits),
        "Sampling": asdict(trace.sampling),
    }


@functools.cache
def template(name: str) -> Template:
    """A page of this room, compiled once. Text is escaped, and hidden characters in it are spelt out."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters["sha256"] = _sha256
    environment.tests["same"] = _same
    return environment.from_string(resources.files("cof.view").joinpath(name).read_text("utf-8"))


def _visible(value: object) -> object:
    """Spells out hidden characters in whatever the template prints; its own markup passes."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", value)


def _sha256(text: str) -> str:
    """The digest that a content security policy names a style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
