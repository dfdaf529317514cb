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
ANSWERS = frozenset({"answer", "final_answer", "response", "result", "value"})  # of several optional ones, the answer's
YES, NO = "yes", "no"
DEEPEST = 24  # references within references
NESTED = 2  # objects within each other
SCALARS = ("string", "number", "integer", "boolean")

Kind = Literal["string", "number", "integer", "boolean", "enum"]


@dataclass(frozen=True)
class Slot:
    """The place of the answer; `options` are the values of an enum."""

    kind: Kind
    name: str = ""
    options: tuple[Any, ...] = ()
    about: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The answers that it can take, where they can be listed."""
        return (YES, NO) if self.kind == "boolean" else tuple(map(_spelt, self.options))


@dataclass(frozen=True)
class Thoughts:
    """The place of the model's thoughts: one text, or a list of texts."""

    several: bool = False


@dataclass(frozen=True)
class Fixed:
    """A value that is known without the model."""

    value: Any


@dataclass(frozen=True)
class Fields:
    """An object, by its properties in the order of the schema."""

    parts: tuple[tuple[str, Part], ...]


Part = Slot | Thoughts | Fixed | Fields


def plan_of(schema: Mapping[str, Any]) -> Part | None:
    """How one answer fills the schema; None where it takes several answers, or none."""
    return _plan("", schema, schema, 0)


def slot_in(part: Part) -> Slot | None:
    """The place of the answer in a plan."""
    if isinstance(part, Fields):
        return next((found for _, each in part.parts if (found := slot_in(each)) is not None), None)
    return part if isinstance(part, Slot) else None


def _plan(name: str, node: Any, root: Mapping[str, Any], depth: int) -> Part | None:
    """The plan of a value that must be there."""
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

    The others are thoughts, constants, or may be left out: they are null, or have their default, where they must be there.
    """
    needed, parts = node.get("required", ()), dict[str, Part]()
    if not {*needed} <= node["properties"].keys():
        return None
    must, may, thoughts = list[str](), list[str](), list[str]()
    for name, raw in node["properties"].items():
        found, nullable = _resolved(raw, root)
        if found is not None and name.casefold() in THOUGHTS and (where := _thoughts(found, root)) is not None:
            parts[name] = where
            thoughts.append(name)
            continue
        plan = _plan(name, raw, root, depth + 1)
        given = found is not None and "default" in found
        if name in needed and not (nullable or given):
            if plan is None:
                return None
            parts[name] = plan
            must += [name] * (slot_in(plan) is not None)
        else:
            parts[name] = Fixed((found or {}).get("default")) if name in needed else Fixed(...)
            may += [name] * (plan is not None and slot_in(plan) is not None)
    named = [name for name in may if name.casefold() in ANSWERS]
    taking = must or (named if len(named) == 1 else may) or thoughts
    if len(taking) != 1:
        return None
    (name,) = taking
    plan = _plan(name, node["properties"][name], root, depth + 1)
    if plan is None:
        return None
    parts[name] = plan
    return Fields(tuple((each, part) for each, part in parts.items() if part != Fixed(...)))


def _slot(name: str, node: Mapping[str, Any]) -> Slot | None:
    about = str(node.get("description", ""))
    if "enum" in node:
        options = tuple(node["enum"])
        told_apart = {_spelt(each).strip() for each in options if isinstance(each, str | int | float)} - {""}
        return Slot("enum", name, options, about) if options and len(told_apart) == len(options) else None
    kind = node.get("type", "string" if not node.keys() & {"anyOf", "oneOf", "allOf", "properties"} else None)
    return Slot(kind, name, (), about) if kind in SCALARS else None


def _thoughts(node: Mapping[str, Any], root: Mapping[str, Any]) -> Thoughts | None:
    if node.get("type") == "array":
        items, _ = _resolved(node.get("items", {}), root)
        return Thoughts(several=True) if items is not None and items.get("type") == "string" else None
    return Thoughts() if node.get("type") == "string" and "enum" not in node else None


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
