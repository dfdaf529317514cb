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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import count, zip_longest
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from cof.data.outside import OUTSIDE
from cof.data.pictures import pictures_in
from cof.errors import InvalidImage
from cof.geometry import Box, Shown
from cof.loop.notes import limit_notes, stop_note
from cof.loop.session import NO_VIEW
from cof.scoring import answers
from cof.scoring.traces import listed, score_trace
from cof.trace import Observation, Trace, Turn
from cof.types import Call, Stop
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
    view: Shown | None = None
    place: Box | None = None
    closer: float | None = None
    picture: str | None = None
    before: int = 0
    why: str = ""


@dataclass(frozen=True)
class Step:
    """One turn of the run, by its `number` from 1, with the boxes that it asked for as `looks`.

    `kind` is the turn's, and "refused" for calls that got no observation. `others` are its calls that name no box.
    """

    number: int
    turn: Turn
    kind: str
    looks: tuple[RequestedBox, ...]
    others: tuple[OtherCall, ...] = ()


@dataclass(frozen=True)
class OtherCall:
    """A call that names no box: its tool and arguments in words, and what came back as `words` and data URLs of `pictures`."""

    text: str
    words: str
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class ShownPicture:
    """One picture of the question, as the page shows it. `whole` and `overview` are data URLs; `truth` are boxes in percent."""

    number: int
    whole: str
    first: Shown
    overview: str
    truth: tuple[Box, ...]


Pictures = Image.Image | EncodedPicture | Sequence[Image.Image | EncodedPicture]


def trace_page(trace: Trace, images: Pictures) -> str:
    """`trace` as a self-contained HTML file, to be written as UTF-8; `images` are its pictures, as `load` gives them.

    An `EncodedPicture` is encoded once for several pages. Raises InvalidImage when a picture is not of the size that the
    trace was made for.
    """
    given = images if isinstance(images, Sequence) else [images]
    if len(given) != len(trace.overviews):
        raise InvalidImage(
            f"the trace is about {len(trace.overviews)} pictures, and {len(given)} came; want all of them"
        )
    return _page(
        trace, [each if isinstance(each, EncodedPicture) else EncodedPicture(each) for each in given], warnings(trace)
    )


def page_without_picture(trace: Trace, reason: str) -> str:
    """The page of a trace whose picture cannot be read: it shows grey instead, and the `reason`."""
    regions = [view.region for view in trace.overviews]
    grey = [GreyPicture((round(region.width), round(region.height))) for region in regions]
    why = "Grey is in the place of the picture" if trace.overview != NO_VIEW else "The picture cannot be read"
    sentence = f"{why}." if reason == trace.error else f"{why}: {reason}"
    return _page(trace, grey, (sentence, *warnings(trace)))


def _page(trace: Trace, pictures: Sequence[EncodedPicture], sentences: tuple[str, ...]) -> str:
    return template("trace.html").render(
        trace=trace,
        asked=trace.overview != NO_VIEW,
        steps=tuple(_steps(trace, pictures)),
        pictures=[_picture(view, trace, picture) for view, picture in zip(trace.overviews, pictures, strict=True)],
        right=_right(trace),
        warnings=sentences,
        notes=limit_notes(trace),
        stop=stop_note(trace),
        settings=_settings(trace),
    )


def _picture(first: Shown, trace: Trace, picture: EncodedPicture) -> ShownPicture:
    truth = tuple(
        _percent(box, boxes.full(picture.size)) for box in trace.question.targets if box.picture == first.picture
    )
    return ShownPicture(first.picture, picture.whole, first, picture.view(first, trace), truth)


def page_of(trace: Trace, pictures: Any = None) -> str:
    """`trace_page` of any picture that `load` takes, or of a list; without them those that the question names.

    Raises InvalidImage.
    """
    if pictures is None:
        return trace_page(trace, pictures_in(trace))
    return trace_page(trace, [load(each) for each in (pictures if isinstance(pictures, list | tuple) else [pictures])])


def warnings(trace: Trace) -> tuple[str, ...]:
    """What a reader should know before the answer, in sentences."""
    holding = {OUTSIDE: trace.outside is True, UNLISTED: listed(trace) is False}
    return tuple(sentence for sentence, holds in holding.items() if holds)


def _steps(trace: Trace, pictures: Sequence[EncodedPicture]) -> Iterator[Step]:
    numbers = count(1)
    for number, turn in enumerate(trace.turns, 1):
        looks, others = list[RequestedBox](), list[OtherCall]()
        for call, observation in zip_longest(turn.calls, turn.observations):
            if call.box is None:
                others.append(_other(call, observation, trace, pictures))
            elif observation is None:
                looks.append(RequestedBox(call.box, why=_why(call.box, number, trace)))
            else:
                looks += [_look(call.box, view, next(numbers), trace, pictures) for view in observation.shown]
        kind = "refused" if turn.calls and not turn.observations else turn.kind
        yield Step(number, turn, kind, tuple(looks), tuple(others))


def _other(call: Call, observation: Observation | None, trace: Trace, pictures: Sequence[EncodedPicture]) -> OtherCall:
    given = ", ".join(f"{key} {value}" for key, value in call.arguments.items())
    shown = observation.shown if observation else ()
    words = observation.words if observation else "It was not followed."
    return OtherCall(f"{call.tool} {given}".strip(), words, tuple(pictures[v.picture].view(v, trace) for v in shown))


def _look(asked: Box, view: Shown, number: int, trace: Trace, pictures: Sequence[EncodedPicture]) -> RequestedBox:
    first = trace.overview_of(view.region)
    closer = (view.unedited[0] / view.region.width) / (first.size[0] / first.region.width)
    place, shown = _percent(view.region, first.region), pictures[view.picture].view(view, trace)
    return RequestedBox(asked, number, view, place, closer, shown, trace.views[: number - 1].count(view))


def _why(asked: Box, number: int, trace: Trace) -> str:
    """Why turn `number` (from 1) was not shown a box that it asked for."""
    turn = trace.turns[number - 1]
    if number == len(trace.turns) and trace.stop is not Stop.FAILED:
        return "The model had been asked for its answer."
    first = turn.refused[0].box or asked
    if all(boxes.intersect(first, view.region) is None for view in trace.overviews):
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
    about = {"arm": trace.policy, "category": question.category, "depth": question.depth}
    picture = ", ".join(name for image in question.images if (name := PurePath(image).name)) or None
    run = names | {"model": trace.model, "dialect": trace.dialect, "picture": picture}
    return {
        "Run": {name: value for name, value in (run | about).items() if value is not None},
        "Views": asdict(trace.spec),
        "Limits": asdict(trace.limits),
        "Sampling": asdict(trace.sampling),
    }


@functools.cache
def template(name: str) -> Template:
    """A template of this folder, compiled once. Text is escaped, and hidden characters in it are spelt out."""
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
