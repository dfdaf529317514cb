"""`cof check`: what an endpoint takes, in which frame its model names boxes, and what a zoom costs, as rows of a table.

Each row is found out by real requests, and is given as soon as it is known. Omits anything that would need the model's
weights, and prices.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for, dialect_of
from cof.focus.loop import run
from cof.focus.setting import TURN_TOKENS, setting_of
from cof.models.faults import Fault
from cof.models.remote import RemoteModel
from cof.probe.endpoint import GROWTH, LARGEST, LENGTHS, Probe, picture, user
from cof.probe.frames import LEAST_SAMPLES, Four, Frame, Sample, frame_of
from cof.probe.pictures import COLOURS, SMALL, Drawn, draw, drawn
from cof.types import Limits, Malformed, Question, Sampling, Trace
from cof.vision.urls import Wire

SEED = 0  # of the pictures' boxes
SHOWN = 160  # characters of a reply that are shown
SIDE = 224  # pixels of the two pictures that show whether several are taken
TRIP_SIZE = (3136, 2240)
TRIP_LIMITS = Limits(turns=4, zooms=2)
NUMBER = r"-?\d{1,6}(?:\.\d{1,8})?"
FOUR = re.compile(
    rf"(?<![\w.])({NUMBER})[\s,;()\[\]]+({NUMBER})[\s,;()\[\]]+({NUMBER})[\s,;()\[\]]+({NUMBER})(?![\w.])"
)
KEYED = re.compile(rf'"?(x_?min|x1|left|y_?min|y1|top|x_?max|x2|right|y_?max|y2|bottom)"?\s*[:=]\s*({NUMBER})', re.I)
UNITS = {"pixel": "pixels", "thousand": "thousandths of the sides", "unit": "parts of the sides, 0 to 1"}
GENERIC = {  # the dialect of ours that asks any model for boxes in a frame
    ("thousand", "xy"): "plain",
    ("thousand", "yx"): "gemini",
    ("pixel", "xy"): "plain-pixel",
    ("unit", "xy"): "plain-unit",
}


@dataclass(frozen=True)
class Row:
    """A line of the table. `good`: whether it is as a zoom needs it; None where it makes no difference."""

    name: str
    text: str
    good: bool | None = None


@dataclass(frozen=True)
class Chosen:
    """A dialect to try, and why."""

    dialect: Dialect
    why: str


def check(
    url: str, model: str, key: str | None = None, dialect: Dialect | None = None, wire: Wire = Wire()
) -> Iterator[Row]:
    """The rows of the table; the last is the zoom round trip, whose `good` says whether it worked.

    `dialect` is tried alone where it is given; else the family by the model's name and the one by the measured frame are.
    Raises InputError where `url` is no URL or the key no key.
    """
    probe = Probe(url, model, key)
    listing = probe.models()
    yield _models(listing, model)
    yield _text(probe)
    yield _system(probe)
    yield _several(probe, wire)
    yield _logprobs(probe)
    yield _context(listing, model)
    yield _largest(probe, wire)
    frame, failure = _frame(probe, wire)
    yield _boxes(frame, failure)
    yield Row("server shrinks", _shrinks(frame), None if frame is None else frame.limit is None)
    yield Row("thinks", "yes, before it answers" if probe.thinks else "no thought seen")
    remote = RemoteModel(url, model, 1, probe.seconds, key, wire=wire)
    yield from _trips(remote, _candidates(model, frame, dialect))


def numbers_in(text: str) -> Four | None:
    """The last four numbers in a reply that can be a box: a row of four, or four by name."""
    if rows := FOUR.findall(text):
        a, b, c, d = map(float, rows[-1])
        return a, b, c, d
    named = {name.lower().replace("_", ""): float(value) for name, value in KEYED.findall(text)}
    corners = (("xmin", "x1", "left"), ("ymin", "y1", "top"), ("xmax", "x2", "right"), ("ymax", "y2", "bottom"))
    found = [next((named[name] for name in names if name in named), None) for names in corners]
    if any(number is None for number in found):
        return None
    a, b, c, d = (float(number or 0.0) for number in found)
    return a, b, c, d


def _models(listing: object, model: str) -> Row:
    if isinstance(listing, Fault):
        return Row("models", f"no list ({listing.short})")
    names = [str(row.get("id")) for row in listing] if isinstance(listing, list) else []
    if model in names:
        return Row("models", f"{model} and {len(names) - 1} more" if len(names) > 1 else model, True)
    return Row("models", f"{model} is not among: {', '.join(names[:10]) or 'none'}", False)


def _text(probe: Probe) -> Row:
    began = time.monotonic()
    answer = probe.ask([user("Reply with the word: ready")])
    if isinstance(answer, Fault):
        return Row("text", f"refused: {answer.short}")
    return Row("text", f"answers in {time.monotonic() - began:.1f} s")


def _system(probe: Probe) -> Row:
    said = probe.ask([{"role": "system", "content": "You are brief."}, user("Reply with the word: ready")])
    if isinstance(said, Fault):
        return Row("system role", f"refused ({said.short}); its words go into the first user turn")
    return Row("system role", "yes")


def _several(probe: Probe, wire: Wire) -> Row:
    one, other = (Image.new("RGB", (SIDE, SIDE), COLOURS[name]) for name in ("red", "blue"))
    said = probe.ask([user(picture(one, wire), picture(other, wire), "Name the colour of each picture, in order.")])
    if isinstance(said, Fault):
        return Row("several pictures", f"refused: {said.short}; a zoom needs two", False)
    seen = [name for name in ("red", "blue") if name in said.lower()]
    how = "both are seen" if len(seen) == 2 else f"taken, but the reply is {_quoted(said)}"
    return Row("several pictures", how, True)


def _logprobs(probe: Probe) -> Row:
    found = probe.reply([user("Reply with the word: ready")], logprobs=True, top_logprobs=2)
    if isinstance(found, Fault):
        return Row("log-probabilities", f"refused: {found.short}")
    try:
        there = bool(found["choices"][0]["logprobs"]["content"])
    except (KeyError, IndexError, TypeError):
        there = False
    return Row("log-probabilities", "yes" if there else "not given")


def _context(listing: object, model: str) -> Row:
    """What the list of models says; no request is made as long as a context to find out where it ends."""
    rows = listing if isinstance(listing, list) else []
    own: Any = next((row for row in rows if row.get("id") == model), {})
    for fields in (own, own.get("meta") or {}):
        for name in LENGTHS:
            if isinstance(fields, dict) and isinstance(fields.get(name), int):
                return Row("context length", f"{fields[name]:,} tokens")
    return Row("context length", "not given by the endpoint")


def _largest(probe: Probe, wire: Wire) -> Row:
    """The largest of a few pictures that is taken, and whether larger ones cost more tokens."""
    tokens, largest, refused = list[int](), "", ""
    for size in LARGEST:
        asked = [user(picture(Image.new("RGB", size, COLOURS["green"]), wire), "Which colour is this? One word.")]
        found = probe.reply(asked)
        if isinstance(found, Fault):
            refused = f"; {size[0] * size[1] / 1e6:.0f} megapixels are refused: {found.short}"
            break
        largest = f"{size[0] * size[1] / 1e6:.0f} megapixels are taken"
        usage = found.get("usage") if isinstance(found, dict) else None
        tokens.append(int((usage or {}).get("prompt_tokens") or 0))
    counted = f"; prompts of {', '.join(f'{count:,}' for count in tokens)} tokens" if any(tokens) else ""
    flat = len(tokens) > 1 and 0 < tokens[-1] < GROWTH * tokens[-2]
    shrunk = "; the last costs no more than the one before, so it is shrunk" if flat else ""
    return Row("largest picture", (largest or "none is taken") + counted + shrunk + refused, bool(largest))


def _frame(probe: Probe, wire: Wire) -> tuple[Frame | None, str]:
    """The frame of the model's boxes, and the last reply that named none."""
    samples, failure = list[Sample](), ""
    for one in drawn(SEED):
        words = f"Where is the {one.colour} rectangle? Reply with its bounding box alone, as JSON with four numbers."
        said = probe.ask([user(picture(one.image, wire), words)])
        found = None if isinstance(said, Fault) else numbers_in(said)
        if found is None:
            failure = said.short if isinstance(said, Fault) else _quoted(said)
        else:
            samples.append(Sample(one.image.size, one.box, found))
    return frame_of(samples), failure


def _boxes(frame: Frame | None, failure: str) -> Row:
    if frame is None:
        return Row("boxes", f"fewer than {LEAST_SAMPLES} replies named a box; the last: {failure or 'none'}", False)
    if not frame.found:
        return Row("boxes", f"they fit no frame (best overlap {frame.iou:.2f}); the model may not name places", False)
    first = "x first" if frame.order == "xy" else "y first"
    return Row("boxes", f"{UNITS[frame.unit]}, {first} (median IoU {frame.iou:.2f})", True)


def _shrinks(frame: Frame | None) -> str:
    if frame is None or not frame.found:
        return "not known"
    if frame.limit is None:
        return "no, by the boxes" if frame.unit == "pixel" else "cannot be told by boxes that are relative"
    of = "pixels of the longer side" if frame.by == "side" else "pixels in all"
    return f"to about {frame.limit:,} {of}; boxes are in pixels of the smaller picture"


def _candidates(model: str, frame: Frame | None, given: Dialect | None) -> list[Chosen]:
    """Dialects to try, the likeliest first."""
    if given is not None:
        return [Chosen(given, "as given")]
    family = dialect_for(model)
    named = [Chosen(dialect_of(family), "by the model's name")] if family else []
    if frame is None or not frame.found:
        return [*named, Chosen(dialect_of("plain"), "for any model")]
    generic = GENERIC.get((frame.unit, frame.order))
    fitting = [Chosen(_within(dialect_of(generic), frame), "by the frame of its boxes")] if generic else []
    agrees = bool(named) and (named[0].dialect.unit, named[0].dialect.order) == (frame.unit, frame.order)
    return [*named, *fitting] if agrees or not fitting else [*fitting, *named]


def _within(dialect: Dialect, frame: Frame) -> Dialect:
    """The dialect with pictures that the server does not shrink."""
    if frame.limit is None or frame.unit != "pixel":
        return dialect
    view = dialect.view
    if frame.by == "side":
        return replace(dialect, view=replace(view, max_side=frame.limit))
    most, crop = min(view.max_pixels, frame.limit), min(view.zoom_max_pixels, frame.limit)
    return replace(dialect, view=replace(view, max_pixels=most, zoom_max_pixels=crop))


def _trips(model: RemoteModel, candidates: list[Chosen]) -> Iterator[Row]:
    """The dialect with which a zoom round trip worked, or else what came of the last."""
    small = draw(TRIP_SIZE, "blue", random.Random(SEED), SMALL)
    question = Question("check", "", "What colour is the small rectangle? Look closer at it before you answer.")
    failed = list[str]()
    for chosen in candidates:
        setting = setting_of(model, TRIP_LIMITS, Sampling(tokens=TURN_TOKENS), dialect=chosen.dialect)
        began = time.monotonic()
        trace = run(model, question, small.image, setting)
        if (fault := _fault(trace, small)) is None:
            yield Row("dialect", f"{_in_words(chosen)}, {chosen.why}", True)
            yield Row("zoom", _cost(trace, small, time.monotonic() - began), True)
            return
        failed.append(f"{chosen.dialect.name}: {fault}")
    yield Row("dialect", f"none of {', '.join(chosen.dialect.name for chosen in candidates)} worked", False)
    yield Row("zoom", "; ".join(failed), False)


def _in_words(chosen: Chosen) -> str:
    view, usual = chosen.dialect.view, dialect_of(chosen.dialect.name).view if chosen.why != "as given" else None
    if usual is None or view == usual:
        return chosen.dialect.name
    if view.max_side != usual.max_side:
        return f'a TOML file with like = "{chosen.dialect.name}" and, under [view], max_side = {view.max_side}'
    return f"{chosen.dialect.name} with --budget {view.max_pixels // view.factor**2}"


def _fault(trace: Trace, small: Drawn) -> str | None:
    """Why the round trip did not work; None where a crop of the rectangle was shown and an answer followed."""
    x, y = small.box.center
    said = _quoted(trace.turns[-1].completion.text) if trace.turns else ""
    if trace.error is not None:
        return trace.error
    if not trace.zooms:
        unread = any(isinstance(turn.action, Malformed) for turn in trace.turns)
        return f"no call could be read; it said {said}" if unread else f"it answered without a zoom; it said {said}"
    if not any(v.region.x0 <= x < v.region.x1 and v.region.y0 <= y < v.region.y1 for v in trace.views):
        return "it zoomed beside the rectangle"
    return None if trace.answer is not None else f"it zoomed, and gave no answer; it said {said}"


def _cost(trace: Trace, small: Drawn, seconds: float) -> str:
    right = "right" if small.colour in (trace.answer or "").lower() else f"answer {_quoted(trace.answer or '')}"
    read = sum(turn.completion.prompt_tokens for turn in trace.turns)
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    tokens = (
        f"{read:,} prompt tokens and {trace.tokens:,} of its own" if read else f"{trace.tokens:,} tokens of its own"
    )
    return f"works: {zooms}, {len(trace.turns)} turns, {tokens}, {seconds:.1f} s, {right}"


def _quoted(text: str) -> str:
    short = " ".join(text.split())
    return repr(short if len(short) <= SHOWN else f"{short[:SHOWN]}…")
