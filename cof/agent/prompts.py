"""What a model is asked that plays a part in a search, and how its reply is read: one JSON object, evaluated never.

Boxes in replies are pixels of the picture that was shown. The sentences are this project's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cof.dialects.base import Message
from cof.errors import InvalidBox
from cof.geometry import Box, Shown

JSON_ONLY = "Reply with one JSON object and nothing else."


class Unreadable(Exception):
    """A reply that is not what was asked for; the text is what it lacks, for the model to mend."""


def plan(first: Shown, question: str, options: tuple[str, ...], so_far: str, advice: str) -> tuple[Message, ...]:
    """Asks the planner for the next step."""
    system = (
        "You search a large picture for the answer to a question, one step at a time. You see the whole picture small. "
        'Steps: {"step": "look", "thing": "…", "in": null} finds a thing in the whole picture, or in place N with "in": N; '
        '{"step": "ask", "text": "…", "at": N} has the text of a question answered from place N, or from the whole picture '
        'with "at": null; {"step": "move", "at": N, "instruction": "…"} narrows, enlarges or shifts the box of place N; '
        f'{{"step": "answer", "answer": "…", "at": N}} ends the search with what was seen in place N. {JSON_ONLY}'
    )
    told = [f"Question: {question}", *([f"Options: {', '.join(options)}"] if options else [])]
    told += [f"So far:\n{so_far}" if so_far else "Nothing was done so far."]
    told += [f"The answer before was refused: {advice}"] if advice else []
    return (Message("system", (system,)), Message("user", (first, "\n".join(told))))


def history(places: Sequence[str], steps: Sequence[tuple[dict[str, Any], str]]) -> str:
    """What was done so far: the places by number, and each step as a reply has it, with what came of it."""
    return "\n".join(
        [
            *(f"Place {n}: {thing}" for n, thing in enumerate(places)),
            *(f"{json.dumps(step, ensure_ascii=False)}: {seen}" for step, seen in steps),
        ]
    )


def locate(view: Shown, thing: str) -> tuple[Message, ...]:
    """Asks the locator for the box of `thing` in `view`."""
    system = (
        'You point at things. Give the tightest box in pixels of this picture, {"bbox_2d": [x1, y1, x2, y2]}, or '
        f'{{"bbox_2d": null}} if the thing is not there. {JSON_ONLY}'
    )
    return (Message("system", (system,)), Message("user", (view, f"Where is: {thing}? The picture has {_size(view)}.")))


def read(view: Shown, question: str, options: tuple[str, ...]) -> tuple[Message, ...]:
    """Asks the reader for the answer by `view` alone."""
    system = (
        'You read pictures. Answer from this picture alone: {"answer": "…"} in a word or two, or {"answer": null} if it '
        f"cannot be seen here. {JSON_ONLY}"
    )
    asked = f"{question}\nOptions: {', '.join(options)}" if options else question
    return (Message("system", (system,)), Message("user", (view, asked)))


def adjust(view: Shown, box: Box, instruction: str) -> tuple[Message, ...]:
    """Asks the adjuster for the box, drawn in `view`, after `instruction`; the box is in source pixels."""
    system = (
        f'You mend boxes. Give the changed box in pixels of this picture: {{"bbox_2d": [x1, y1, x2, y2]}}. {JSON_ONLY}'
    )
    shown = [round(v) for v in view.from_source(box).as_tuple()]
    told = f"The box is {shown}, the picture has {_size(view)}. Do this: {instruction}."
    return (Message("system", (system,)), Message("user", (view, told)))


def check(view: Shown, thing: str) -> tuple[Message, ...]:
    """Asks the checker whether `thing` is whole in `view`."""
    system = f'You check what a picture shows: {{"seen": true}} or {{"seen": false}}. {JSON_ONLY}'
    return (Message("system", (system,)), Message("user", (view, f"Does it show, whole: {thing}?")))


def advise(question: str, truth: str, answer: str, fault: str, so_far: str) -> tuple[Message, ...]:
    """Asks the adviser what to try after an answer was refused for `fault`."""
    system = (
        "Someone searches a picture, and was wrong. You know the true answer; do not tell it. Say in one sentence what to "
        f'try next, such as another thing or place, or a larger box: {{"advice": "…"}}. {JSON_ONLY}'
    )
    told = {"question": question, "true_answer": truth, "given_answer": answer, "fault": fault, "steps": so_far}
    return (Message("system", (system,)), Message("user", (json.dumps(told, ensure_ascii=False),)))


def summarise(first: Shown, views: tuple[Shown, ...], things: tuple[str, ...], question: str) -> tuple[Message, ...]:
    """Asks the summariser for a thought before each zoom and one before the answer."""
    system = (
        "You write the thoughts of someone who answers a question about the first picture by looking closer, picture by "
        "picture. A thought of one or two sentences for each closer look, said before it: why it is needed and where it goes; "
        f'and one before the answer. Never say what only a later picture shows. {{"thoughts": [{len(things) + 1} texts]}}. '
        f"{JSON_ONLY}"
    )
    told = f"Question: {question}\nCloser looks, in order: {', '.join(things) or 'none'}."
    return (Message("system", (system,)), Message("user", (first, *views, told)))


def name(view: Shown) -> tuple[Message, ...]:
    """Asks the reader what is in `view`."""
    system = f'You name what a picture shows, in a few words, with every number on it: {{"name": "…"}}. {JSON_ONLY}'
    return (Message("system", (system,)), Message("user", (view, "What is it?")))


def think(first: Shown, question: str, options: tuple[str, ...]) -> tuple[Message, ...]:
    """Asks the thinker for a chain of thought from the overview to the answer."""
    system = (
        'You answer a question about a picture, thinking step by step: {"steps": [{"thought": "…", "thing": "…"}, …], '
        '"conclusion": "…", "answer": "…"}. "thing" is the object or number in the picture that the thought rests on, or "". '
        f"A thought never says what can only be seen closer. {JSON_ONLY}"
    )
    asked = f"{question}\nOptions: {', '.join(options)}" if options else question
    return (Message("system", (system,)), Message("user", (first, asked)))


def complain(fault: str) -> Message:
    """The message that asks again after a reply that could not be read."""
    return Message("user", (f"That cannot be read: {fault}. {JSON_ONLY}",))


def json_object(text: str) -> dict[str, Any]:
    """The last JSON object in a reply. Raises Unreadable."""
    decoder, found, at = json.JSONDecoder(parse_constant=_no_constant), None, text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            found, at = value, text.find("{", end)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
    if not isinstance(found, dict):
        raise Unreadable("there is no JSON object in it")
    return found


def text_in(reply: dict[str, Any], key: str) -> str:
    """The text of a reply under `key`, not empty. Raises Unreadable."""
    value = reply.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(f'"{key}" is {_shown(value)}, want a text')
    return value.strip()


def box_in(reply: dict[str, Any], view: Shown) -> Box | None:
    """The box of a reply in source pixels. Raises Unreadable."""
    value = reply.get("bbox_2d", ())
    if value is None:
        return None
    numbers = isinstance(value, list) and [v for v in value if type(v) in (int, float) and abs(v) < 1e9]
    if not numbers or len(value) != len(numbers) or len(numbers) != 4:
        raise Unreadable(f'"bbox_2d" is {_shown(value)}, want four numbers')
    try:
        return view.to_source(Box(*map(float, numbers)))
    except InvalidBox as error:
        raise Unreadable(str(error)) from None


def flag_in(reply: dict[str, Any], key: str) -> bool:
    """The true or false of a reply under `key`. Raises Unreadable."""
    value = reply.get(key)
    if not isinstance(value, bool):
        raise Unreadable(f'"{key}" is {_shown(value)}, want true or false')
    return value


def place_in(reply: dict[str, Any], key: str) -> int | None:
    """The number of a place in a reply under `key`; None for the overview. Raises Unreadable."""
    value = reply.get(key)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise Unreadable(f'"{key}" is {_shown(value)}, want the number of a place, or null')
    return value


def pairs_in(reply: dict[str, Any], key: str, names: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The list of objects in a reply under `key`, each as its texts under `names`. Raises Unreadable."""
    value = reply.get(key)
    found = [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else [{}]
    pairs = [(each.get(names[0]), each.get(names[1]) or "") for each in found]
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise Unreadable(f'"{key}" is {_shown(value)}, want a list of objects with texts "{names[0]}" and "{names[1]}"')
    return tuple((str(text), str(thing)) for text, thing in pairs)


def texts_in(reply: dict[str, Any], key: str, count: int) -> tuple[str, ...]:
    """The `count` texts of a reply under `key`. Raises Unreadable."""
    value = reply.get(key)
    if not isinstance(value, list) or len(value) != count or not all(isinstance(v, str) for v in value):
        raise Unreadable(f'"{key}" is {_shown(value)}, want {count} texts')
    return tuple(value)


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)[:60]


def _size(view: Shown) -> str:
    return f"{view.size[0]} x {view.size[1]} pixels"
