"""JSON as models write it: what is read, what is refused, and that JSON itself is read as it is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.dialects.relaxed_json import DEEPEST, loads
from tests.properties import cases

READ: list[tuple[str, Any]] = [
    ("{'a': 'b'}", {"a": "b"}),
    ('{"a": "b",}', {"a": "b"}),
    ("[1, 2,]", [1, 2]),
    ("{a: b c, d: 1}", {"a": "b c", "d": 1}),
    ("{'a': 'it's'}", {"a": "it's"}),
    ('{"a": "the "big" one", "b": 1}', {"a": "the big one".replace("big", '"big"'), "b": 1}),
    ("{a: True, b: None, c: false}", {"a": True, "b": None, "c": False}),
    ("{a: <|\"|>x, 'y' {2}<|\"|>}", {"a": "x, 'y' {2}"}),
    ("{'a': 1}}", {"a": 1}),
    ("{'a': -1.5e2, b: .5, c: +3}", {"a": -150.0, "b": 0.5, "c": 3}),
    ("{'a': 'x\\ny\\u00e9\\q'}", {"a": "x\ny\u00e9q"}),
    ('{"a": "x\ny"}', {"a": "x\ny"}),
    ("{'a': {}, 'b': []}", {"a": {}, "b": []}),
    ("word", "word"),
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_what_can_mean_one_thing_only_is_read(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1, 2", "{'a': 1", "{'a'}", "{'a': }", "{,}", "[,]", "[1 , , 2]", "{'a': 1 'b': 2}", "{} {}", "{'a': 'b",
        "{'a': 1} and so on", "[1}", "{'a': [1}", "}", ":", "{1: 2}{", "{[1]: 2}", "a" + "[" * 100,
    ],
)  # fmt: skip
def test_what_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("text", ["{'a': {'b': [1]}", "{'a': {'b': [1]", "{'a': {'b': [1],", '{"a": [1]'])
def test_last_braces_may_lack_where_the_text_is_known_to_end(text: str) -> None:
    assert loads(text, whole=False)
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("text", ["{'a': [1", "{'a': 'b", "{'a':", "{'a'"])
def test_but_not_a_bracket_or_a_quotation_mark(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text, whole=False)


def test_depth_is_bounded() -> None:
    assert loads("{a:" * 3 + "1" + "}" * 3) == {"a": {"a": {"a": 1}}}
    for deep in ("{a:" * (DEEPEST + 2), "[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"."):
            loads(deep)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=cases(500), deadline=None)
@given(VALUES)
def test_json_itself_is_read_as_it_is(value: Any) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False)) == value


PIECES = (*"{}[],:'\"\\ aN1.-\n", '<|"|>', "true", "NaN", "1e999")


@settings(max_examples=cases(1_000), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_any_other_text_is_a_value_or_an_error(text: str) -> None:
    for whole in (True, False):
        with contextlib.suppress(ValueError):
            loads(text, whole)
