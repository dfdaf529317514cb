"""Structured output: answers put into a JSON schema, schemas that are refused, and answers that do not fit."""

from __future__ import annotations

import enum
import json
from typing import Any, Literal

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from cof.serve.schema import plan_of, slot_in
from cof.serve.structured import Unfit, filled, problem_of, read


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    value: int


class Thought(BaseModel):
    reasoning: str
    steps: list[str]
    colour: Colour
    unsure: str | None
    note: str = "none"


class Nested(BaseModel):
    result: Inner
    kind: Literal["count"]


class Several(BaseModel):
    colour: str
    count: int


def schema(name: str, **node: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: node}, "required": [name], "additionalProperties": False}


def put(form: dict[str, Any], answer: str, thoughts: tuple[str, ...] = ("I see.", "It is.")) -> Any:
    plan = plan_of(form)
    assert plan is not None
    return json.loads(filled(form, plan, answer, thoughts))


@pytest.mark.parametrize(
    ("node", "answer", "value"),
    [
        ({"type": "string"}, "a cat", "a cat"),
        ({"type": "integer"}, "There are seven birds.", 7),
        ({"type": "integer"}, "1,200", 1200),
        ({"type": "number"}, "It costs $3.50", 3.5),
        ({"type": "number"}, "minus 4", -4),
        ({"type": "integer"}, "12345678901234567891", 12345678901234567891),
        ({"type": "boolean"}, "Yes, it is.", True),
        ({"type": "boolean"}, "No", False),
        ({"type": "boolean"}, "false", False),
        ({"enum": ["red", "blue"]}, "It is blue.", "blue"),
        ({"type": "integer", "enum": [1, 2]}, "2", 2),
        ({"anyOf": [{"const": "red"}, {"const": "blue"}]}, "(A)", "red"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "3", 3),
        ({"type": ["string", "null"]}, "a cat", "a cat"),
        ({}, "a cat", "a cat"),
        ({"allOf": [{"type": "integer"}]}, "5", 5),
    ],
    ids=str,
)  # fmt: skip
def test_one_property_takes_the_answer(node: dict[str, Any], answer: str, value: Any) -> None:
    assert put(schema("n", **node), answer) == {"n": value}


def test_thoughts_constants_and_null_take_the_rest() -> None:
    assert put(Thought.model_json_schema(), "blue") == {
        "reasoning": "I see.\nIt is.",
        "steps": ["I see.", "It is."],
        "colour": "blue",
        "unsure": None,
    }
    assert put(Nested.model_json_schema(), "about 12") == {"result": {"value": 12}, "kind": "count"}


def test_of_optional_properties_the_one_that_is_named_as_an_answer_is_it() -> None:
    both = {"type": "object", "properties": {"note": {"type": "string"}, "answer": {"type": "string"}}}
    assert put(both, "a cat") == {"answer": "a cat"}
    assert plan_of({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}) is None
    only = {"type": "object", "properties": {"explanation": {"type": "string"}}, "required": ["explanation"]}
    assert put(only, "a cat") == {"explanation": "a cat"}


@pytest.mark.parametrize(
    "form",
    [
        Several.model_json_schema(),
        schema("n", type="array", items={"type": "string"}),
        schema("n", anyOf=[{"type": "string"}, {"type": "integer"}]),
        schema("n", **{"$ref": "#/properties/n"}),
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        schema("n", enum=["red", "red "]),
        schema("n", enum=["", "red"]),
        schema("n", enum=["1", 1]),
        schema("n", enum=[None]),
        schema("n", enum=[]),
        schema("n", enum=[{"a": 1}, "red"]),
    ],
    ids=str,
)
def test_a_schema_that_wants_more_has_no_plan(form: dict[str, Any]) -> None:
    assert plan_of(form) is None


@pytest.mark.parametrize(
    ("node", "answer", "words"),
    [
        ({"type": "integer"}, "a cat", "'a cat' is not one whole number, which 'n' wants"),
        ({"type": "integer"}, "2.5", "whole number"),
        ({"type": "integer"}, "2 or 3", "whole number"),
        ({"type": "boolean"}, "perhaps", "none of yes, no"),
        ({"enum": ["red", "blue"]}, "green", "none of red, blue"),
        ({"type": "string", "maxLength": 3}, "a cat", "does not fit n"),
        ({"type": "integer", "minimum": 5}, "3", "does not fit n"),
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 60 + "b", "does not fit n"),
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_told_by_its_property(node: dict[str, Any], answer: str, words: str) -> None:
    with pytest.raises(Unfit, match="want another question") as fault:
        put(schema("n", **node), answer)
    assert words in str(fault.value)
    assert str(fault.value).isprintable()


@pytest.mark.parametrize(
    "form",
    [
        {"type": "objekt"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/none"},
        {"type": "string", "pattern": "("},
        {"$schema": "http://127.0.0.1:9/meta"},
        {"$id": "http://127.0.0.1:9/own", "type": "object"},
        {"$anchor": "own", "type": "object"},
        {"$dynamicAnchor": "own", "type": "object"},
        {"properties": {"a": {"$dynamicRef": "#own"}}},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "properties": {"a": {"$recursiveRef": "#"}}},
        {"additionalProperties": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}},
        {
            "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)} | {"a30": {}},
            "$ref": "#/$defs/a0",
        },
    ],
    ids=str,
)
def test_what_is_no_schema_or_lies_elsewhere_is_refused(form: dict[str, Any]) -> None:
    assert problem_of(form).startswith("it ")


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["a", "b"]}, {"const": 1}, True, {}, {"type": "null"}]),
    lambda each: st.one_of(
        st.builds(lambda a, b: {"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]}, each, each),
        st.lists(each, max_size=3).map(lambda options: {"anyOf": options}),
        st.sampled_from([{"$ref": "#"}, {"$ref": "#/properties/a"}, {"$ref": 5}, {"allOf": [{"$ref": "#"}]}, {"enum": []}]),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(form=SCHEMAS.filter(lambda form: isinstance(form, dict)), answer=st.text(max_size=20))
def test_what_is_put_into_any_schema_is_valid_by_it(form: dict[str, Any], answer: str) -> None:
    if problem_of(form) or (plan := plan_of(form)) is None:
        return
    try:
        text = filled(form, plan, answer, ("a",))
    except Unfit:
        return
    assert jsonschema_rs.is_valid(form, json.loads(text))


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"colour": "red", "count": 2}', {"colour": "red", "count": 2}),
        ("```json\n{\"colour\": \"red\", \"count\": 2}\n```", {"colour": "red", "count": 2}),
        ("```JSON\n{\"colour\": \"red\", \"count\": 2}\n```", {"colour": "red", "count": 2}),
        ("{'colour': 'red', 'count': 2,}", {"colour": "red", "count": 2}),
    ],
)  # fmt: skip
def test_json_of_the_model_itself_is_read_and_validated(said: str, value: Any) -> None:
    assert json.loads(read(Several.model_json_schema(), said)) == value


@pytest.mark.parametrize(
    "said", ["red", "[1]", '{"colour": "red"}', '{"colour": "red", "count": 1e999}', '{"a":' * 99 + "1" + "}" * 99]
)
def test_json_that_does_not_fit_is_refused(said: str) -> None:
    with pytest.raises(Unfit):
        read(Several.model_json_schema(), said)


def test_values_within_values_have_a_limit_and_a_long_answer_is_cut_in_its_error() -> None:
    def deep(n: int) -> str:
        return '{"a":' * n + "1" + "}" * n

    assert read(None, deep(24))
    with pytest.raises(Unfit):
        read(None, deep(25))
    for form in (schema("n", type="integer"), schema("n", type="string", maxLength=9)):
        with pytest.raises(Unfit) as fault:
            put(form, "long " * 10_000)
        assert len(str(fault.value)) < 500


def test_the_place_of_the_answer_has_a_name_and_its_choices() -> None:
    plan = plan_of(Thought.model_json_schema())
    assert plan is not None
    slot = slot_in(plan)
    assert slot is not None
    assert (slot.name, slot.choices) == ("colour", ("red", "blue"))
