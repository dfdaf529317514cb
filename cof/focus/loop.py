"""The focus loop: show, listen, zoom, until there is an answer or a named stop. The heart of the package.

`run_many` advances any number of questions together, so that a model may batch; `run` is the same for one. A bad box or
a malformed turn is told to the model and costs a turn; at a limit the model is told, and asked for its answer once. A
model that fails is recorded in the trace (`Stop.FAILED`), never raised and never turned into an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from cof.dialects import cof as dialect
from cof.errors import InvalidBox, ModelError
from cof.models.base import Model, Request
from cof.types import Answer, Completion, Limits, Malformed, Question, Sampling, Stop, Trace, Turn, View, ViewSpec, Zoom
from cof.vision import views


@dataclass(frozen=True)
class Setting:
    """What a run is given besides its question. `direct` forbids zooming from the first turn on."""

    spec: ViewSpec = ViewSpec()
    limits: Limits = Limits()
    sampling: Sampling = Sampling()
    direct: bool = False


@dataclass
class _Session:
    """One question on its way: the only mutable thing in the loop."""

    trace: Trace
    image: Image.Image
    setting: Setting
    pixels: dict[View, Image.Image]
    asked: bool = False
    ended: bool = False

    def request(self) -> Request:
        trace = self.trace
        messages = dialect.messages(trace.question, trace.overview, trace.turns, self.setting.direct)
        left = max(1, min(self.setting.sampling.tokens, self.setting.limits.tokens - trace.tokens))
        tokens = self.setting.sampling.tokens if self.asked else left
        return Request(messages, self.pixels, replace(self.setting.sampling, tokens=tokens))


def run(model: Model, question: Question, image: Image.Image, setting: Setting = Setting()) -> Trace:
    """Ask one question of one picture (RGB, upright)."""
    return run_many(model, [(question, image)], setting)[0]


def run_many(
    model: Model,
    asked: Sequence[tuple[Question, Image.Image]],
    setting: Setting = Setting(),
    on_end: Callable[[Trace], None] = lambda _: None,
) -> list[Trace]:
    """Ask many questions; traces come back in order. `on_end` hears of each trace as it ends."""
    sessions = [_open(model, question, image, setting) for question, image in asked]
    while active := [s for s in sessions if not s.ended]:
        for session, (completion, seconds) in zip(active, _complete(model, active), strict=True):
            if isinstance(completion, ModelError):
                session.trace = replace(session.trace, stop=Stop.FAILED, error=str(completion))
                session.ended = True
            else:
                step(session, completion, seconds)
            if session.ended:
                session.pixels.clear()
                on_end(session.trace)
    return [session.trace for session in sessions]


def step(session: _Session, completion: Completion, seconds: float) -> None:
    """Read one assistant turn, and add it to the session's trace with what it brings back."""
    trace, action = session.trace, dialect.parse(completion.text, session.trace.overview)
    shown: tuple[View, ...] = ()
    note = ""
    match action:
        case Answer():
            session.ended = True
        case Zoom() if not session.asked:
            shown, note = _look(session, action)
        case Zoom():
            note = dialect.ANSWER_NOW
        case Malformed(fault):
            note = dialect.complain(fault)
    turn = Turn(completion, action, shown, note, seconds)
    session.trace = replace(trace, turns=(*trace.turns, turn))
    if not session.ended:
        _enforce(session)


def _open(model: Model, question: Question, image: Image.Image, setting: Setting) -> _Session:
    first = views.overview(image.size, setting.spec)
    trace = Trace(
        question.id, question, model.name, dialect.NAME, setting.spec, setting.sampling, setting.limits, first
    )
    return _Session(trace, image, setting, {first: views.render(image, first, first, setting.spec)}, setting.direct)


def _complete(model: Model, active: Sequence[_Session]) -> list[tuple[Completion | ModelError, float]]:
    """One completion a session; where a batch fails, each is tried alone so that one bad request spoils no other."""
    requests, began = [s.request() for s in active], time.monotonic()
    try:
        done = model.complete(requests)
        return [(each, (time.monotonic() - began) / len(active)) for each in done]
    except ModelError as error:
        if len(active) == 1:
            return [(error, time.monotonic() - began)]
        return [_complete(model, [session])[0] for session in active]


def _look(session: _Session, zoom: Zoom) -> tuple[tuple[View, ...], str]:
    """The views of a zoom as far as limits allow, and a note where something was refused."""
    trace, limits, spec = session.trace, session.setting.limits, session.setting.spec
    shown: list[View] = []
    for box in zoom.boxes:
        try:
            view = views.zoom(box, trace.overview, spec)
        except InvalidBox as error:
            return tuple(shown), dialect.complain(str(error))
        if trace.zooms + len(shown) >= limits.zooms or trace.pixels + _pixels(shown) + view.pixels > limits.pixels:
            break
        shown.append(view)
        session.pixels.setdefault(view, views.render(session.image, view, trace.overview, spec))
    return tuple(shown), ""


def _pixels(shown: Sequence[View]) -> int:
    return sum(view.pixels for view in shown)


def _enforce(session: _Session) -> None:
    """At a limit: ask once for the answer; if that was done, end."""
    reached = _limit(session.trace, session.setting.limits)
    if session.asked:
        session.ended = True
        if session.trace.stop is Stop.ANSWER:  # asked from the start, and did not answer
            zoomed = isinstance(session.trace.turns[-1].action, Zoom)
            session.trace = replace(session.trace, stop=Stop.ZOOMS if zoomed else Stop.TURNS)
        return
    if reached is None:
        return
    session.asked = True
    last = session.trace.turns[-1]
    note = f"{last.note} {dialect.ANSWER_NOW}".strip() if dialect.ANSWER_NOW not in last.note else last.note
    turns = (*session.trace.turns[:-1], replace(last, note=note))
    session.trace = replace(session.trace, turns=turns, stop=reached)


def _limit(trace: Trace, limits: Limits) -> Stop | None:
    last = trace.turns[-1]
    refused = isinstance(last.action, Zoom) and len(last.views) < len(last.action.boxes)
    if len(trace.turns) >= limits.turns:
        return Stop.TURNS
    if trace.tokens >= limits.tokens:
        return Stop.TOKENS
    if trace.seconds >= limits.seconds:
        return Stop.SECONDS
    if refused and trace.zooms >= limits.zooms:
        return Stop.ZOOMS
    if refused and not last.note:
        return Stop.PIXELS
    return None
