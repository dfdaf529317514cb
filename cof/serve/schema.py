"""How one answer fills a JSON schema: which property takes it, which take the thoughts, and which are known without a model.

Owns schemas as pydantic and OpenAI's strict mode write them: references within the schema, `anyOf` with null, and enums.
Omits the answer itself (`structured.py`). A schema that is more involved than that has no plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

THOUGHTS = frozenset({"reasoning", "thought", "thoughts", "thinking", "explanation", "rationale", "steps"})
ANSWERS = frozenset({"answer", "final_answer", "response", "result", "value"})  # decides between optional properties
YES, NO = "yes", "no"
DEEPEST = 24  # references within references
NESTED = 2  # objects within each other
SCALARS = ("string", "number", "integer", "boolean")

Kind = Literal["string", "number", "integer", "boolean", "enum"]


@dataclass(frozen=True)
class Slot:
    """The place of the answer: the property `name`, which `about` describes. `options` are the values of an enum."""

    kind: Kind
    name: str = ""
    options: tuple[Any, ...] = ()
    about: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The answers that it can take; empty where they cannot be listed."""
        return (YES, NO) if self.kind == "boolean" else tuple(map(_spelt, self.options))


@dataclass(frozen=True)
class ThoughtSlot:
    """The place of the model's thoughts: one text, or a list of texts where it takes `several`."""

    several: bool = False


@dataclass(frozen=True)
class Fixed:
    """A value that is known without the model."""

    value: Any


@dataclass(frozen=True)
class Fields:
    """An object, by its properties in the order of the schema."""

    parts: tuple[tuple[str, SchemaPlan], ...]


SchemaPlan = Slot | ThoughtSlot | Fixed | Fields


def plan_of(schema: Mapping[str, Any]) -> SchemaPlan | None:
    """How one answer fills the schema; None where the schema wants several answers, or no property takes one."""
    return _plan("", schema, schema, 0)


def slot_in(plan: SchemaPlan) -> Slot | None:
    """The place of the answer in a plan; None where it has none."""
    if isinstance(plan, Fields):
        return next((found for _, each in plan.parts if (found := slot_in(each)) is not None), None)
    return plan if isinstance(plan, Slot) else None


def _plan(name: str, node: Any, root: Mapping[str, Any], depth: int) -> SchemaPlan | None:
    """The plan of a required value; None where it is too involved."""
    found, _ = _resolved(node, root)
    if found is None:
        return None
    if "const" in found or len(found.get("enum", ())) == 1:
        return Fixed(found["const"] if "const" in found else found["enum"][0])
    if found.get("type", "object") == "object" and "properties" in found:
        return _object(found, root, depth) if depth < NESTED else None
    return _slot(name, found)


def _object(node: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Fields | None:
    """The plan of an object of which exactly one property takes the answer.

    The others are thoughts, constants, or optional. An optional one is left out; where it is required, it has its default
    or null.
    """
    required, parts = node.get("required", ()), dict[str, SchemaPlan | None]()  # None: left out
    if not {*required} <= node["properties"].keys():
        return None
    must, may, thoughts = list[str](), list[str](), list[str]()
    for name, raw in node["properties"].items():
        found, nullable = _resolved(raw, root)
        if found is not None and name.casefold() in THOUGHTS and (thought := _thoughts(found, root)) is not None:
            parts[name] = thought
            thoughts.append(name)
            continue
        plan = _plan(name, raw, root, depth + 1)
        optional = name not in required or nullable or (found is not None and "default" in found)
        if plan is None and not optional:
            return None
        default = Fixed((found or {}).get("default")) if name in required else None
        parts[name] = default if optional else plan
        if plan is not None and slot_in(plan) is not None:
            (may if optional else must).append(name)
    taker = _taker(must, may, thoughts)
    plan = None if taker is None else _plan(taker, node["properties"][taker], root, depth + 1)
    if taker is None or plan is None:
        return None
    parts[taker] = plan
    return Fields(tuple((name, part) for name, part in parts.items() if part is not None))


def _taker(must: Sequence[str], may: Sequence[str], thoughts: Sequence[str]) -> str | None:
    """The property that takes the answer; None where that is not clear."""
    named = [name for name in may if name.casefold() in ANSWERS]
    candidates = must or (named if len(named) == 1 else may) or thoughts
    return candidates[0] if len(candidates) == 1 else None


def _slot(name: str, node: Mapping[str, Any]) -> Slot | None:
    about = str(node.get("description", ""))
    if "enum" in node:
        options = tuple(node["enum"])
        told_apart = {_spelt(each).strip() for each in options if isinstance(each, str | int | float)} - {""}
        return Slot("enum", name, options, about) if options and len(told_apart) == len(options) else None
    kind = node.get("type", "string" if not node.keys() & {"anyOf", "oneOf", "allOf", "properties"} else None)
    return Slot(kind, name, (), about) if kind in SCALARS else None


def _thoughts(node: Mapping[str, Any], root: Mapping[str, Any]) -> ThoughtSlot | None:
    if node.get("type") == "array":
        items, _ = _resolved(node.get("items", {}), root)
        return ThoughtSlot(several=True) if items is not None and items.get("type") == "string" else None
    return ThoughtSlot() if node.get("type") == "string" and "enum" not in node else None


def _resolved(node: Any, root: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """A schema without references and null, and whether it takes null; None where it is too involved."""
    nullable = False
    for _ in range(DEEPEST):
        if not isinstance(node, Mapping):
            return ({}, nullable) if node is True else (None, nullable)
        rest = dict(node)
        if "$ref" in rest:
            node = referred(rest.pop("$ref"), root)
            node = {**node, **rest} if isinstance(node, Mapping) else node
            continue
        if len(rest.get("allOf", ())) == 1:
            (only,) = rest.pop("allOf")
            node = {**only, **rest} if isinstance(only, Mapping) else only
            continue
        union = next((key for key in ("anyOf", "oneOf") if key in rest), None)
        if union is None:
            return _without_null(rest, nullable)
        options = [each for each in rest.pop(union) if each != {"type": "null"}]
        nullable |= len(options) < len(node[union])
        if len(options) != 1:
            return _constants(options, rest), nullable
        node = {**rest, **options[0]} if isinstance(options[0], Mapping) else options[0]
    return None, nullable


def _without_null(node: dict[str, Any], nullable: bool) -> tuple[dict[str, Any] | None, bool]:
    if isinstance(kinds := node.get("type"), list):
        rest = [kind for kind in kinds if kind != "null"]
        nullable |= len(rest) < len(kinds)
        if len(rest) != 1:
            return None, nullable
        node = {**node, "type": rest[0]}
    if isinstance(options := node.get("enum"), list) and None in options:
        node, nullable = {**node, "enum": [each for each in options if each is not None]}, True
    return node, nullable


def _constants(options: Sequence[Any], rest: dict[str, Any]) -> dict[str, Any] | None:
    """Several constants as the enum that they are."""
    if options and all(isinstance(each, Mapping) and ("const" in each or "enum" in each) for each in options):
        return {**rest, "enum": [v for each in options for v in (each.get("enum") or [each.get("const")])]}
    return None


def referred(place: Any, root: Mapping[str, Any]) -> Any:
    """What a reference such as "#/$defs/Colour" names; None where it is not there."""
    node: Any = root
    for part in str(place).removeprefix("#").split("/")[1:]:
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node if str(place).startswith("#") else None


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
