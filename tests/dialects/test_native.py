"""The zoom tool as servers are told of it, and turns taken apart and put together."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.dialects.cof import COF
from cof.dialects.named import dialect_of, names
from cof.dialects.native import split_tool_calls, tools
from cof.dialects.turns import NAMED_SHAPES
from cof.errors import InvalidConfig
from cof.geometry import Box
from cof.tools.zoom import zooms
from cof.vision import views
from tests.properties import cases

NAMED = [name for name in names() if dialect_of(name).shape in NAMED_SHAPES]
CALL = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 2, 3, 4]}}</tool_call>'


@pytest.mark.parametrize("name", NAMED)
def test_what_a_family_writes_has_the_arguments_of_its_tool(name: str) -> None:
    dialect = dialect_of(name)
    first = views.overview((3840, 2160), dialect.view)
    words, calls = split_tool_calls(
        dialect, dialect.write(zooms((Box(960, 540, 1920, 1080),), "sign", "Small."), (first,))
    )
    assert "Small." in words
    ((called, arguments),) = calls
    function = tools(dialect)[0]["function"]
    assert called == function["name"]
    given, schema = json.loads(arguments), function["parameters"]
    assert set(schema["required"]) <= set(given) <= set(schema["properties"])
    kinds = {"array": list, "string": str, "integer": int}
    assert all(isinstance(given[key], kinds[schema["properties"][key]["type"]]) for key in given)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_taken_apart_means_the_same_when_put_together(name: str) -> None:
    dialect = dialect_of(name)
    first = views.overview((3840, 2160), dialect.view)
    text = dialect.write(zooms((Box(960, 540, 1920, 1080), Box(0, 0, 500, 500)), "sign", "Small."), (first,))
    words, calls = split_tool_calls(dialect, text)
    assert len(calls) == 2
    assert dialect.parse(dialect.join("", words, calls), (first,)) == dialect.parse(text, (first,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<answer>B</answer>",
        "<tool_call>",
        "<tool_call>{}</tool_call>",
        "<tool_call>[]</tool_call>",
        '<tool_call>{"name": 1, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "x", "arguments": "y"}</tool_call>',
        '<tool_call>{"name": "x", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "x", "arguments": {}}',
        CALL + "and more",
        CALL + "<tool_call>bad</tool_call>",
        f"<think>perhaps {CALL} </think><answer>B</answer>",
    ],
)
def test_what_cannot_be_taken_apart_stays_text(text: str) -> None:
    assert split_tool_calls(COF, text) == (text, ())


@settings(max_examples=cases(2_000), deadline=None)
@given(
    st.lists(st.sampled_from(["<tool_call>", "</tool_call>", CALL, '{"name": ', "[" * 30, "a", "\n", "{}"])).map(
        "".join
    )
)
def test_no_text_does_harm_and_calls_are_always_json(text: str) -> None:
    words, calls = split_tool_calls(COF, text)
    assert text.startswith(words)
    assert all(isinstance(json.loads(arguments), dict) for _, arguments in calls)


def test_a_deep_call_does_no_harm() -> None:
    deep = "<tool_call>" + "[" * 100_000 + "</tool_call>"
    assert split_tool_calls(COF, deep) == (deep, ())


def test_calls_without_a_name_cannot_be_native() -> None:
    with pytest.raises(InvalidConfig, match='want shape = "tool"'):
        replace(dialect_of("mgpo"), native="tool")


def test_the_fingerprint_is_what_it_was_where_nothing_is_native() -> None:
    assert COF.fingerprint() == "6a1138592b28ce1d"
    assert len({replace(COF, native=way).fingerprint() for way in ("no", "tool", "user")}) == 3
