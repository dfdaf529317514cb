"""A zoom round trip through the focus loop itself, with the dialects that may fit an endpoint, the likeliest first.

Says which dialect worked, how to call it, and what it cost. Omits prices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for, dialect_of
from cof.loop.run import run
from cof.loop.setting import TURN_TOKENS, setting_of
from cof.models.base import SERVED
from cof.models.remote.model import RemoteModel
from cof.probe.frames import Frame
from cof.probe.pictures import SMALL, ProbePicture, draw
from cof.probe.rows import CheckRow, quoted
from cof.trace import Trace
from cof.types import Limits, Malformed, Question, Sampling

SIZE = (3136, 2240)
LIMITS = Limits(turns=4, zooms=2)
QUESTION = Question("check", ("",), "What colour is the small rectangle? Look closer at it before you answer.")
NEAR = 1.03  # factor within which a measured limit and one of a dialect's are the same
GENERIC = {  # the dialect of ours that asks any model for boxes in a frame
    ("thousand", "xy"): "plain",
    ("thousand", "yx"): "gemini",
    ("pixel", "xy"): "plain-pixel",
    ("unit", "xy"): "plain-unit",
}


@dataclass(frozen=True)
class Chosen:
    """A dialect to try, why, and how the user gets it: by its name, or as a file or an option with it."""

    dialect: Dialect
    why: str
    how: str


def trip_rows(
    model: RemoteModel, name: str, frame: Frame | None, given: Dialect | None, rng: random.Random
) -> Iterator[CheckRow]:
    """The dialect with which a zoom round trip worked, or else what came of each."""
    small, failed = draw(SIZE, "blue", rng, SMALL), list[str]()
    candidates = candidates_for(name, frame, given)
    for chosen in candidates:
        setting = setting_of(model, LIMITS, Sampling(tokens=TURN_TOKENS), dialect=chosen.dialect)
        began = time.monotonic()
        trace = run(model, QUESTION, small.image, setting)
        if (fault := _fault(trace, small)) is None:
            yield CheckRow("dialect", f"{chosen.how}, {chosen.why}", True)
            yield CheckRow("zoom", _cost(trace, small, time.monotonic() - began), True)
            return
        failed.append(f"{chosen.dialect.name}: {fault}")
    tried = [chosen.how for chosen in candidates]
    none = f"{tried[0]} did not work" if len(tried) == 1 else f"none of {', '.join(tried)} worked"
    yield CheckRow("dialect", none, False)
    yield CheckRow("zoom", "; ".join(failed), False)


def served_rows(model: RemoteModel, rng: random.Random) -> Iterator[CheckRow]:
    """Whether a server of cof answers. It is asked as `cof ask` asks it, and zooms by itself."""
    small, began = draw(SIZE, "blue", rng, SMALL), time.monotonic()
    once = replace(LIMITS, turns=1)
    setting = setting_of(model, once, Sampling(tokens=TURN_TOKENS), dialect=dialect_of(SERVED))
    trace = run(model, QUESTION, small.image, setting)
    yield CheckRow("dialect", f"{SERVED}, as the endpoint is a server of cof, which zooms by itself", True)
    if trace.answer is None:
        yield CheckRow("zoom", f"the server gave no answer{f': {trace.error}' if trace.error else ''}", False)
    else:
        seconds = f"{time.monotonic() - began:.1f} s"
        yield CheckRow("zoom", f"left to the server: {seconds}, answer {quoted(trace.answer)}", True)


def candidates_for(model: str, frame: Frame | None, given: Dialect | None = None) -> list[Chosen]:
    """Dialects to try with a model of this name, the likeliest first."""
    if given is not None:
        return [Chosen(given, "as given", given.name)]
    family = dialect_for(model)
    named = [dialect_of(family)] if family else []
    by_name = [Chosen(each, "by the model's name", each.name) for each in named]
    if frame is None or not frame.found:
        plain = dialect_of("plain")
        return _different([*by_name, Chosen(plain, "for any model", plain.name)])
    generic = GENERIC.get((frame.unit, frame.order))
    fitting = [_within(dialect_of(generic), "by the frame of its boxes", frame)] if generic else []
    if named and (named[0].unit, named[0].order) == (frame.unit, frame.order):
        return _different([_within(named[0], "by the model's name", frame), *fitting])
    return _different([*fitting, *by_name])


def _different(found: list[Chosen]) -> list[Chosen]:
    """Each dialect once, where a model's name and the frame of its boxes give the same."""
    return [each for n, each in enumerate(found) if each.dialect not in [other.dialect for other in found[:n]]]


def _within(dialect: Dialect, why: str, frame: Frame) -> Chosen:
    """The dialect with pictures that the server does not shrink."""
    view, most = dialect.view, frame.limit
    if most is None or frame.unit != "pixel":
        return Chosen(dialect, why, dialect.name)
    if frame.by == "side":
        if view.max_side is not None and view.max_side <= NEAR * most:
            return Chosen(dialect, why, dialect.name)
        how = f'want --dialect FILE.toml with like = "{dialect.name}" and, under [view], max_side = {most}'
        return Chosen(replace(dialect, view=replace(view, max_side=most)), why, how)
    if max(view.max_pixels, view.zoom_max_pixels) <= most:
        return Chosen(dialect, why, dialect.name)
    tokens = most // view.factor**2
    least, pixels = min(view.min_pixels, most), tokens * view.factor**2
    smaller = replace(view, min_pixels=least, max_pixels=pixels, zoom_max_pixels=min(view.zoom_max_pixels, pixels))
    return Chosen(replace(dialect, view=smaller), why, f"{dialect.name} with --budget {tokens}")


def _fault(trace: Trace, small: ProbePicture) -> str | None:
    """Why the round trip did not work; None where a crop of the rectangle was shown and an answer followed."""
    x, y = small.box.center
    said = quoted(trace.turns[-1].completion.text) if trace.turns else ""
    if trace.error is not None:
        return trace.error
    if not trace.zooms:
        unread = any(isinstance(turn.action, Malformed) for turn in trace.turns)
        return f"no call could be read; it said {said}" if unread else f"it answered without a zoom; it said {said}"
    if not any(v.region.x0 <= x < v.region.x1 and v.region.y0 <= y < v.region.y1 for v in trace.views):
        return "it zoomed beside the rectangle"
    return None if trace.answer is not None else f"it zoomed, and gave no answer; it said {said}"


def _cost(trace: Trace, small: ProbePicture, seconds: float) -> str:
    right = "right" if small.colour in (trace.answer or "").lower() else f"answer {quoted(trace.answer or '')}"
    read = sum(turn.completion.prompt_tokens for turn in trace.turns)
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    tokens = (
        f"{read:,} prompt tokens and {trace.tokens:,} of its own" if read else f"{trace.tokens:,} tokens of its own"
    )
    return f"works: {zooms}, {len(trace.turns)} turns, {tokens}, {seconds:.1f} s, {right}"
