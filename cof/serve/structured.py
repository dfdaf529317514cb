"""Structured output: the answer of a model as the JSON that a client wants.

A schema with one property that can take the answer is filled here, by rules (`schema.py`, `filled`). One that needs several
answers is written into the question, and the JSON in the model's answer is read (`read`). Both are validated. No address in a
schema is fetched. Omits how JSON schema is validated, which jsonschema-rs does.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from cof.dialects import relaxed_json
from cof.scoring.numbers import values
from cof.scoring.options import chosen
from cof.scoring.words import unmarked, words_of
from cof.serve.schema import NO, YES, Fields, Fixed, SchemaPlan, Slot, ThoughtSlot, referred

HELP = "want another question, a simpler schema, or an answer in text"
TRUTH = {YES: True, NO: False}
MOST_NODES = 5_000  # parts of a schema; each is validated once or more for an answer
# keywords that change the meaning of a reference, which `referred` would follow wrongly
REBASING = frozenset({"$id", "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"})
DEEPEST = 24  # values within values
JSON_OBJECT = Fields((("answer", Slot("string", "answer")),))  # for an answer in words where any JSON object will do
QUOTED = 80  # characters of an answer in an error
FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL | re.IGNORECASE)


class Unfit(Exception):
    """An answer that cannot be put into the schema; the text is one sentence."""


def problem_of(schema: Mapping[str, Any]) -> str:
    """What is wrong with a schema of a client, as a sentence; "" where nothing is."""
    try:
        parts = list(islice(_followed(schema, schema), MOST_NODES + 1))
        if not all(parts):
            return "it refers to something that is not in it; want references such as #/$defs/NAME"
        if len(parts) > MOST_NODES:
            return f"it refers to itself, or has more than {MOST_NODES:,} parts with its references; want a smaller one"
        _validator(schema)
    except (ValueError, TypeError, RecursionError) as error:
        return f"it is no JSON schema that can be used ({_first_line(error)}); want one that refers only to itself"
    return ""


def filled(schema: Mapping[str, Any] | None, plan: SchemaPlan, answer: str, thoughts: Sequence[str]) -> str:
    """The JSON text in which an answer fills the plan, valid by the `schema` where there is one. Raises Unfit."""
    return _checked(schema, _value(plan, answer, thoughts), answer)


def read(schema: Mapping[str, Any] | None, answer: str) -> str:
    """The JSON text of an answer that is JSON itself. Raises Unfit."""
    fenced = FENCE.fullmatch(answer)
    try:
        found = relaxed_json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unfit(f"the answer {_quoted(answer)} is no JSON object; {HELP}")
    return _checked(schema, found, answer)


def _value(plan: SchemaPlan, answer: str, thoughts: Sequence[str]) -> Any:
    match plan:
        case Fields(parts):
            return {name: _value(each, answer, thoughts) for name, each in parts}
        case Fixed(value):
            return value
        case ThoughtSlot(several):
            return list(thoughts) if several else "\n".join(thoughts)
        case Slot():
            return _taken(plan, answer)


def _taken(slot: Slot, answer: str) -> Any:
    """The answer as a value of its slot. Raises Unfit."""
    match slot.kind:
        case "string":
            return answer
        case "number" | "integer":
            return _number(slot, answer)
        case "boolean":
            words = words_of(unmarked(answer))
            if words in (("true",), ("false",)):
                return words == ("true",)
            found = chosen((YES, NO), answer)
            if found is not None:
                return TRUTH[(YES, NO)[found[0]]]
        case "enum":
            if (found := chosen(slot.choices, answer)) is not None:
                return slot.options[found[0]]
    raise Unfit(f"the answer {_quoted(answer)} is none of {', '.join(slot.choices)}{_wanted_by(slot)}; {HELP}")


def _number(slot: Slot, answer: str) -> int | float:
    found = set(values(words_of(unmarked(answer))))
    value = found.pop() if len(found) == 1 else None
    if value is None or (slot.kind == "integer" and value != value.to_integral_value()):
        what = "whole number" if slot.kind == "integer" else "number"
        raise Unfit(f"the answer {_quoted(answer)} is not one {what}{_wanted_by(slot)}; {HELP}")
    return int(value) if value == value.to_integral_value() else float(value)  # every digit, as of a serial number


def _checked(schema: Mapping[str, Any] | None, value: Any, answer: str) -> str:
    """The value as JSON text, once it is valid. Raises Unfit."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode(errors="replace").decode()
        if max(_depths(value)) > DEEPEST:
            raise RecursionError
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Unfit(f"the answer {_quoted(answer)} cannot be written as JSON; {HELP}") from None
    fault = next(_validator(schema).iter_errors(value), None) if schema is not None else None
    if fault is not None:
        place = ".".join(map(str, fault.instance_path)) or "the whole"
        raise Unfit(f"the answer {_quoted(answer)} does not fit {place}: {_first_line(fault)}; {HELP}")
    return text


def _followed(node: Any, root: Mapping[str, Any]) -> Iterator[bool]:
    """The parts of a schema with its references followed: each true, or false for a reference that leads nowhere.

    Endless where the schema refers to itself: a validator could take as long.
    """
    ahead = deque([node])
    while ahead:
        node = ahead.popleft()
        if isinstance(node, Mapping):
            if REBASING & node.keys():
                yield False
            if isinstance(place := node.get("$ref"), str):
                found = referred(place, root)
                yield found is not None
                ahead.append(found)
        ahead += node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
        yield True


def _validator(schema: Mapping[str, Any]) -> Any:
    """Raises ValueError where the schema is not valid, or refers to what is not in it."""
    return jsonschema_rs.validator_for(dict(schema), offline=True)


def _depths(value: Any, depth: int = 0) -> Iterator[int]:
    yield depth
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _depths(each, depth + 1)


def _wanted_by(slot: Slot) -> str:
    return f", which {_quoted(slot.name)} wants" if slot.name else ""


def _quoted(text: str) -> str:
    return ascii(text) if len(text) <= QUOTED else ascii(text[:QUOTED]) + "..."


def _first_line(error: Any) -> str:
    lines = str(getattr(error, "message", error)).splitlines() or [""]
    return lines[0] if len(lines[0]) <= 2 * QUOTED else lines[0][: 2 * QUOTED] + "..."
