"""The focus loop: show, read the model's turn, run its tool calls, until there is an answer or a named stop.

A `Session` is one question on its way, which a model continues (`run.py`). What is wrong with a box or a malformed
turn goes back to the model, and costs a turn; at a limit the model is asked for its answer once. A model that fails is recorded
in the trace (`Stop.FAILED`), never raised and never turned into an answer.
"""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL import Image

from cof.errors import CofError, InputError, InvalidBox, ModelError
from cof.geometry import Box, Shown
from cof.loop.advance import accepts, advance
from cof.loop.setting import Setting
from cof.models.base import Request
from cof.tools.base import InvalidCall, State, numbered
from cof.tools.known import tool_named
from cof.trace import Observation, Trace, Turn
from cof.types import ZOOM, Action, Answer, Call, Completion, Limits, Malformed, Question, Stop
from cof.vision import limits as within
from cof.vision.views import Picture, Rendered

NO_VIEW = Shown(Box(0, 0, 1, 1), (1, 1))  # the overview of what could not be asked at all: asking again is no use
CUT = " …"  # text after a turn that was cut off: it changes an answer that is still open


class Stage(enum.Enum):
    """Where a session is. Only this module changes it."""

    LOOKING = "looking"  # the model may call tools
    ANSWERING = "answering"  # the model was asked for its answer; calls are not followed any more
    ENDED = "ended"
    CANCELLED = "cancelled"  # its answer is not wanted any more


class Session:
    """One question on its way, as the conversation that a model continues: the only mutable object in the loop.

    `trace`: what happened so far. `on_end` is called with it once, when the session has ended; not for one that was cancelled.
    `pixels`: the views that the model may be shown, each rendered when it is first asked for.
    `prefix`: the text with which the next turn begins. `refused`: an answer that the policy did not accept, at most one.
    """

    def __init__(
        self,
        model: str,
        question: Question,
        pictures: Sequence[Picture],
        setting: Setting = Setting(),
        on_end: Callable[[Trace], None] = lambda _: None,
    ) -> None:
        if len(pictures) > 1 and not setting.dialect.names_pictures:
            want = "want another dialect, or one picture"
            raise InputError(
                f"the dialect {setting.dialect.name} cannot name one of several pictures in a call; {want}"
            )
        policy = setting.policy
        first = within.overviews([picture.size for picture in pictures], setting.spec, setting.limits)
        self.trace = Trace(
            question.id,
            question,
            model,
            setting.dialect.name,
            setting.spec,
            setting.sampling,
            setting.limits,
            first,
            policy=policy.name,
            may_call=policy.offers_tools,
        )
        self.setting, self.pictures, self.on_end = setting, tuple(pictures), on_end
        self._stage, self._changing = Stage.LOOKING, threading.Lock()
        self.pixels = Rendered(self._rendered)
        self.prefix = ""
        self.refused: Turn | None = None  # an answer that the policy did not accept
        advance(self)

    @property
    def ended(self) -> bool:
        return self._stage is Stage.ENDED

    @property
    def cancelled(self) -> bool:
        return self._stage is Stage.CANCELLED

    @property
    def looking(self) -> bool:
        """Whether calls are followed."""
        return self._stage is Stage.LOOKING

    def cancel(self) -> None:
        """Drop the session where it has not ended: the model stops at its next token. Any thread may call it."""
        self.enter(Stage.CANCELLED)

    def enter(self, stage: Stage) -> None:
        """Go on to a stage; a session that has ended, or was cancelled, stays where it is."""
        with self._changing:
            if self._stage not in (Stage.ENDED, Stage.CANCELLED):
                self._stage = stage

    def order_answer(self) -> None:
        """Ask for the answer after the last turn. Where there is none, the question has asked for it."""
        self.enter(Stage.ANSWERING)
        if not self.trace.turns:
            return
        *before, last = self.trace.turns
        order = self.setting.dialect.answer_now
        note = f"{last.note} {order}".strip() if order not in last.note else last.note
        self.trace = replace(self.trace, turns=(*before, replace(last, note=note)))

    def mark_outside(self, outside: bool | None) -> None:
        """Note in the trace whether the picture is outside what the model was trained on."""
        self.trace = replace(self.trace, outside=outside)

    @property
    def accepts(self) -> bool:
        """Whether an answer ends the session. One is refused at most: a model that cannot name a box may answer then."""
        return not self.looking or self.refused is not None or accepts(self)

    def request(self) -> Request | None:
        if self.ended or self.cancelled:
            return None
        trace, sampling = self.trace, self.setting.sampling
        self.pixels.add(*trace.overviews, *trace.views)
        messages = self.setting.dialect.conversation(trace)
        spent = trace.tokens + (self.refused.completion.tokens if self.refused and self.prefix else 0)
        left = max(1, min(sampling.tokens, self.setting.limits.tokens - spent))
        tokens = left if self.looking else sampling.tokens
        wanted = replace(sampling, tokens=tokens)
        return Request(messages, self.pixels, wanted, self.prefix, self.setting.transcript, self.setting.dialect)

    def receive(self, completion: Completion | ModelError, seconds: float) -> None:
        if self.cancelled:
            return
        if isinstance(completion, ModelError):
            self._fail(completion)
        else:
            try:
                step(self, completion, seconds)
            except InputError as error:  # of the policy: it ends this session alone
                self._fail(error)
        if self.ended:
            self.pixels.clear()
            self.on_end(self.trace)

    def _fail(self, error: CofError) -> None:
        self.trace = replace(self.trace, stop=Stop.FAILED, error=str(error))
        self.enter(Stage.ENDED)

    def _rendered(self, view: Shown) -> Image.Image:
        first = self.trace.overviews[view.picture]
        return self.pictures[view.picture].show(view, first, self.setting.spec)


def step(session: Session, completion: Completion, seconds: float) -> None:
    """Parse one assistant turn, run its calls, and add it to the session's trace. An answer that the policy refuses is not
    added."""
    trace, dialect = session.trace, session.setting.dialect
    action = _read(session, completion)
    observations: tuple[Observation, ...] = ()
    note = ""
    match action:
        case Answer() if not session.accepts:
            session.prefix = session.setting.zoom_opening or dialect.begin_call()
            session.refused = Turn(completion, action, seconds=seconds)
            return
        case Answer():
            session.enter(Stage.ENDED)
        case Malformed(fault):
            note = dialect.complain(fault)
        case calls if session.looking:
            observations, note = _observe(session, calls)
        case _:
            note = dialect.answer_now
    if session.prefix and session.refused:  # what the refused answer cost counts
        completion = replace(completion, tokens=completion.tokens + session.refused.completion.tokens)
        seconds += session.refused.seconds
    session.prefix = ""
    session.trace = replace(trace, turns=(*trace.turns, Turn(completion, action, observations, note, seconds)))
    if not session.ended:
        _enforce(session)
        advance(session)


def _read(session: Session, completion: Completion) -> Action:
    """The action of a turn. An answer that was cut off at the token limit is malformed."""
    trace, parse = session.trace, session.setting.dialect.parse
    shown = (*trace.overviews, *trace.views)
    action = parse(completion.text, shown)
    if completion.finish != "length" or isinstance(action, tuple):
        return action
    if isinstance(action, Answer) and parse(completion.text + CUT, shown) == action:
        return action  # its closing tag came before the limit
    fault = f"the turn was cut off at its limit of {completion.tokens or trace.sampling.tokens} tokens; be brief"
    return Malformed(fault, completion.text)


def _observe(session: Session, calls: Sequence[Call]) -> tuple[tuple[Observation, ...], str]:
    """What the tools give back as far as limits allow, and a note where a call cannot be followed."""
    trace, found = session.trace, list[Observation]()
    used = Counter(trace.tools)
    for call in calls:
        if used[call.tool] >= trace.limits.of(call.tool):
            break
        shown = tuple(view for each in found for view in each.shown)
        try:
            observation = tool_named(call.tool).run(call, State(trace, shown), trace.limits)
        except (InvalidBox, InvalidCall) as error:
            return tuple(found), session.setting.dialect.complain(str(error))
        if observation is None:
            break
        used[call.tool] += 1
        found.append(numbered(observation, call.tool, trace, shown))
    return tuple(found), ""


def _enforce(session: Session) -> None:
    """At a limit: ask once for the answer; if that was done, end."""
    reached = _limit(session.trace, session.setting.limits)
    if not session.looking:
        session.enter(Stage.ENDED)
        if session.trace.stop is Stop.ANSWER:  # asked from the start, and did not answer
            zoomed = bool(session.trace.turns[-1].calls)
            session.trace = replace(session.trace, stop=Stop.ZOOMS if zoomed else Stop.TURNS)
        return
    if reached is None:
        return
    session.trace = replace(session.trace, stop=reached)
    session.order_answer()


def _limit(trace: Trace, limits: Limits) -> Stop | None:
    last = trace.turns[-1]
    refused = last.refused[:1]
    if len(trace.model_turns) >= limits.turns:
        return Stop.TURNS
    if trace.tokens >= limits.tokens:
        return Stop.TOKENS
    if trace.seconds >= limits.seconds:
        return Stop.SECONDS
    if refused and trace.tools.get(refused[0].tool, 0) >= limits.of(refused[0].tool):
        return Stop.ZOOMS if refused[0].tool == ZOOM else Stop.CALLS
    if refused and not last.note:
        return Stop.PIXELS
    return None
