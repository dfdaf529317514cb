"""Runs questions through a model: one or many sessions, and their traces in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cof.loop.session import NO_VIEW, Session
from cof.loop.setting import Setting, setting_of
from cof.models.base import Model
from cof.trace import Trace
from cof.types import Question, Stop
from cof.vision.load import load
from cof.vision.views import Picture

Asked = Any  # a picture, as `load` takes it, or a list of several


def run(model: Model, question: Question, asked: Asked, setting: Setting | None = None) -> Trace:
    """Ask one question of a picture (any that `load` takes), or of a list of several.

    Without a `setting` the model's own is taken (`setting_of`).
    """
    return run_many(model, [(question, asked)], setting)[0]


def run_many(
    model: Model,
    asked: Iterable[tuple[Question, Asked]],
    setting: Setting | None = None,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> list[Trace]:
    """Ask many questions, taken as the model has room; traces come back in order. `on_end` is called with each as it ends."""
    ended: dict[int, Trace] = {}
    chosen = setting_of(model) if setting is None else setting

    def end(place: int, trace: Trace) -> None:
        ended[place] = trace
        on_end(trace)

    model.converse(
        Session(model.info.name, question, pictures_of(given), chosen, partial(end, place))
        for place, (question, given) in enumerate(asked)
    )
    return [ended[place] for place in sorted(ended)]


def pictures_of(asked: Asked) -> tuple[Picture, ...]:
    """One picture or a list of several, loaded. Raises InvalidImage."""
    return tuple(Picture(load(each)) for each in (asked if isinstance(asked, list | tuple) else [asked]))


def not_asked(model: str, question: Question, setting: Setting, error: str) -> Trace:
    """The trace of a question that could not be asked, as its picture cannot be read: failed, without a view."""
    dialect, spec, sampling = setting.dialect.name, setting.spec, setting.sampling
    return Trace(
        question.id,
        question,
        model,
        dialect,
        spec,
        sampling,
        setting.limits,
        (NO_VIEW,),
        stop=Stop.FAILED,
        error=error,
        policy=setting.policy.name,
        may_call=setting.policy.offers_tools,
    )
