"""The values of `types` as plain JSON data, and back."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

from cof.errors import InvalidBox, InvalidConfig, InvalidRun
from cof.geometry import Box, Rotate, Shown, ViewSpec
from cof.trace import TRACE_VERSION, Observation, Trace, Turn
from cof.types import (
    ZOOM,
    Action,
    Answer,
    Call,
    Completion,
    Exchange,
    Limits,
    Malformed,
    Question,
    Sampling,
    Stop,
    Transcript,
)

MOST_PIXELS = 200_000_000  # of a view in a trace from outside
POLICY_OF_MODE = {"focus": "own"}  # what has another name since version 2
LONGEST = 10_000_000  # pixels of a side of a picture there


def to_json(value: Any) -> Any:
    """A value of `types` as plain JSON data; the action of a turn carries its type's name under `type`."""
    if isinstance(value, Turn):
        return _fields(value) | {"action": _action_to_json(value.action)}
    if isinstance(value, dict):
        return {name: to_json(each) for name, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    return value


def _action_to_json(action: Action) -> dict[str, Any]:
    if isinstance(action, tuple):
        return {"type": "calls", "calls": to_json(action)}
    return {"type": type(action).__name__.lower()} | _fields(action)


def trace_from_json(data: dict[str, Any]) -> Trace:
    """The inverse of `to_json` for a trace, also of one of version 2.

    Raises InvalidRun on another version, KeyError, TypeError or InvalidBox where it is no trace.
    """
    version = data.get("version")
    if version not in (2, TRACE_VERSION):
        raise InvalidRun(f"trace of version {version}; want version {TRACE_VERSION} or 2, write it anew")
    given = _of_version_2(data) if version == 2 else data
    turns, shown = list[Turn](), len(given["overviews"])
    for turn in data["turns"]:
        turns.append(_turn_2(turn, shown) if version == 2 else _turn(turn))
        shown += len(turns[-1].views)
    return Trace(
        **{
            **given,
            "question": question_from_json(data["question"]),
            "spec": ViewSpec(**data["spec"]),
            "sampling": Sampling(**data["sampling"]),
            "limits": Limits(**data["limits"]),
            "overviews": tuple(_shown(view) for view in given["overviews"]),
            "turns": tuple(turns),
            "stop": Stop(data["stop"]),
            "version": TRACE_VERSION,
        }
    )


def checked_trace(data: Any) -> Trace:
    """`trace_from_json` of data from outside. Raises InvalidRun where it is no trace."""
    try:
        trace = trace_from_json(data)
        _check_texts(trace)
        _check_numbers(trace)
        _check_sizes(trace)
        return trace
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, InvalidBox, InvalidConfig) as error:
        raise InvalidRun(f"this is no trace ({type(error).__name__}: {error}); want what Trace.to_json gave") from None


def question_from_json(data: dict[str, Any]) -> Question:
    """The inverse of `to_json` for a question, also of one of version 2."""
    images = {"images": tuple(data["images"] if "images" in data else [data["image"]])}
    given = {name: value for name, value in data.items() if name != "image"} | images
    texts = {name: tuple(data.get(name, ())) for name in ("choices", "tags", "aliases")}  # aliases: since version 2
    earlier = tuple(Exchange(**each) for each in data.get("earlier", ()))
    return Question(**{**given, **texts, "targets": tuple(Box(**box) for box in data["targets"]), "earlier": earlier})


def _check_texts(trace: Trace) -> None:
    """Raises TypeError where something is no text that others take for one."""
    question, actions = trace.question, [turn.action for turn in trace.turns]
    parts = [part for action in actions for part in (action if isinstance(action, tuple) else (action,))]
    said = [each for part in parts for name, each in vars(part).items() if name != "arguments"]
    written_by_tools = [each.words for turn in trace.turns for each in turn.observations]
    written = [text for turn in trace.turns for text in (turn.completion.text, turn.note)]
    own = (trace.id, trace.model, trace.dialect, trace.policy, question.id, *question.images, question.text)
    maybe = (question.answer or "", question.category or "", trace.error or "")
    for text in (
        *own,
        *maybe,
        *question.choices,
        *question.aliases,
        *question.tags,
        *said,
        *written,
        *written_by_tools,
    ):
        if not isinstance(text, str):
            raise TypeError(f"{text!r:.40} is no text")


def _check_numbers(trace: Trace) -> None:
    """Raises TypeError or ValueError where something is no number, or no truth value, that others count on."""
    for turn in trace.turns:
        said = turn.completion
        for number in (said.tokens, said.prompt_tokens, said.visual_tokens, turn.seconds):
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise TypeError(f"{number!r:.40} is no number")
    for flag in (trace.may_call, *(turn.given for turn in trace.turns)):
        if not isinstance(flag, bool):
            raise TypeError(f"{flag!r:.40} is neither true nor false")
    if type(trace.spec.factor) is not int or trace.spec.factor < 1:
        raise ValueError(f"its factor is {trace.spec.factor!r:.40}; want a whole number of pixels")


def _check_sizes(trace: Trace) -> None:
    """Raises ValueError where a view is larger than anybody renders."""
    if not trace.overviews:
        raise ValueError("it has no overview")
    if any(view.picture not in range(len(trace.overviews)) for view in (*trace.overviews, *trace.views)):
        raise ValueError(f"a view is of none of its {len(trace.overviews)} pictures")
    for view in (*trace.overviews, *trace.views):
        width, height = view.size
        if not (width > 0 and height > 0 and width * height <= MOST_PIXELS):
            raise ValueError(f"a view has {width} x {height} pixels; want 1 to {MOST_PIXELS:,} in all")
        if max(map(abs, view.region.as_tuple())) > LONGEST:
            raise ValueError(f"a view is of {view.region.as_tuple()}; want numbers up to {LONGEST:,}")


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}


def _shown(data: dict[str, Any]) -> Shown:
    edits = tuple(Rotate(**edit) for edit in data.get("edits", ()))
    size = (data["size"][0], data["size"][1])
    return Shown(Box(**data["region"]), size, edits, data.get("id", 0), data.get("made_by", ""))


def _turn(data: dict[str, Any]) -> Turn:
    return Turn(
        _completion(data["completion"]),
        _action(data["action"]),
        tuple(Observation(tuple(map(_shown, each["shown"])), each["words"]) for each in data["observations"]),
        data["note"],
        data["seconds"],
        data["given"],
    )


def _of_version_2(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a trace of version 2 by today's names: it had one overview, and a policy was a mode."""
    given = {name: value for name, value in data.items() if name not in ("overview", "mode")}
    policy = POLICY_OF_MODE.get(data.get("mode", "focus"), data.get("mode"))
    return given | {"overviews": [data["overview"]], "policy": policy, "may_call": policy != "direct"}


def _turn_2(data: dict[str, Any], shown: int) -> Turn:
    """A turn of version 2, whose one tool was the zoom; `shown` is the id of the first view in it."""
    views = (replace(_shown(view), id=shown + n, made_by=ZOOM) for n, view in enumerate(data["views"]))
    return Turn(
        _completion(data["completion"]),
        _action_2(data["action"]),
        tuple(Observation((view,)) for view in views),
        data["note"],
        data["seconds"],
        data["given"],
    )


def _action_2(data: dict[str, Any]) -> Action:
    if data["type"] != "zoom":
        return _action(data)
    boxes = enumerate(data["boxes"])
    return tuple(Call(ZOOM, {"box": Box(**box)}, data["label"], "" if n else data["thought"]) for n, box in boxes)


def _completion(data: dict[str, Any]) -> Completion:
    told = data.get("transcript")
    return Completion(
        **data | {"transcript": told and Transcript(**{name: tuple(part) for name, part in told.items()})}
    )


def _action(data: dict[str, Any]) -> Action:
    rest = {k: v for k, v in data.items() if k != "type"}
    match data["type"]:
        case "calls":
            return tuple(_call(each) for each in rest["calls"]) or Malformed("there is no call", "")
        case "answer":
            return Answer(**rest)
        case _:
            return Malformed(**rest)


def _call(data: dict[str, Any]) -> Call:
    arguments = dict(data["arguments"])
    if "box" in arguments:
        arguments["box"] = Box(**arguments["box"])
    return Call(data["tool"], arguments, data["label"], data["thought"])
