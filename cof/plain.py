"""The values of `types` as plain JSON data, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

from cof.errors import InvalidBox, InvalidConfig, InvalidRun
from cof.types import (
    TRACE_VERSION,
    Action,
    Answer,
    Box,
    Completion,
    Exchange,
    Limits,
    Malformed,
    Question,
    Sampling,
    Stop,
    Trace,
    Transcript,
    Turn,
    View,
    ViewSpec,
    Zoom,
)

MOST_PIXELS = 200_000_000  # of a view in a trace from outside
LONGEST = 10_000_000  # pixels of a side of a picture there


def to_json(value: Any) -> Any:
    """A value of `types` as plain JSON data; actions carry their type's name under `type`."""
    if isinstance(value, Zoom | Answer | Malformed):
        return {"type": type(value).__name__.lower()} | _fields(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    return value


def trace_from_json(data: dict[str, Any]) -> Trace:
    """The inverse of `to_json` for a trace. Raises InvalidRun on another version, KeyError, TypeError or InvalidBox else."""
    if data.get("version") != TRACE_VERSION:
        raise InvalidRun(f"trace of version {data.get('version')}; want version {TRACE_VERSION}, write it anew")
    return Trace(
        **{
            **data,
            "question": question_from_json(data["question"]),
            "spec": ViewSpec(**data["spec"]),
            "sampling": Sampling(**data["sampling"]),
            "limits": Limits(**data["limits"]),
            "overview": _view(data["overview"]),
            "turns": tuple(_turn(t) for t in data["turns"]),
            "stop": Stop(data["stop"]),
        }
    )


def checked_trace(data: Any) -> Trace:
    """`trace_from_json` of data from outside. Raises InvalidRun where it is no trace."""
    try:
        trace = trace_from_json(data)
        _check_texts(trace)
        _check_sizes(trace)
        return trace
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, InvalidBox, InvalidConfig) as error:
        raise InvalidRun(f"this is no trace ({type(error).__name__}: {error}); want what Trace.to_json gave") from None


def question_from_json(data: dict[str, Any]) -> Question:
    """The inverse of `to_json` for a question."""
    texts = {name: tuple(data.get(name, ())) for name in ("choices", "tags", "aliases")}  # aliases: since version 2
    earlier = tuple(Exchange(**each) for each in data.get("earlier", ()))
    return Question(**{**data, **texts, "targets": tuple(Box(**box) for box in data["targets"]), "earlier": earlier})


def _check_texts(trace: Trace) -> None:
    """Raises TypeError where something is no text that others take for one."""
    question, actions = trace.question, [turn.action for turn in trace.turns]
    said = [each for action in actions for each in vars(action).values() if not isinstance(each, tuple)]
    written = [text for turn in trace.turns for text in (turn.completion.text, turn.note)]
    own = (trace.id, trace.model, trace.dialect, trace.mode, question.id, question.image, question.text)
    maybe = (question.answer or "", question.category or "", trace.error or "")
    for text in (*own, *maybe, *question.choices, *question.aliases, *question.tags, *said, *written):
        if not isinstance(text, str):
            raise TypeError(f"{text!r:.40} is no text")


def _check_sizes(trace: Trace) -> None:
    """Raises ValueError where a view is larger than anybody renders."""
    for view in (trace.overview, *trace.views):
        width, height = view.size
        if not (width > 0 and height > 0 and width * height <= MOST_PIXELS):
            raise ValueError(f"a view has {width} x {height} pixels; want 1 to {MOST_PIXELS:,} in all")
        if max(map(abs, view.region.as_tuple())) > LONGEST:
            raise ValueError(f"a view is of {view.region.as_tuple()}; want numbers up to {LONGEST:,}")


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}


def _view(data: dict[str, Any]) -> View:
    return View(Box(**data["region"]), (data["size"][0], data["size"][1]))


def _turn(data: dict[str, Any]) -> Turn:
    return Turn(
        _completion(data["completion"]),
        _action(data["action"]),
        tuple(_view(v) for v in data["views"]),
        data["note"],
        data["seconds"],
        data["given"],
    )


def _completion(data: dict[str, Any]) -> Completion:
    told = data.get("transcript")
    return Completion(
        **data | {"transcript": told and Transcript(**{name: tuple(part) for name, part in told.items()})}
    )


def _action(data: dict[str, Any]) -> Action:
    rest = {k: v for k, v in data.items() if k != "type"}
    match data["type"]:
        case "zoom":
            return Zoom(tuple(Box(**b) for b in rest["boxes"]), rest["label"], rest["thought"])
        case "answer":
            return Answer(**rest)
        case _:
            return Malformed(**rest)
