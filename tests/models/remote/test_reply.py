"""Turns as servers and gateways send them, read without a server."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.models.remote.faults import within
from cof.models.remote.reply import OF_ANOTHER_FORM, completion
from cof.types import Completion

ZOOM = {"bbox_2d": [1, 2, 3, 4]}


def reply(finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}], "usage": usage}


def text(**message: Any) -> str:
    return completion(reply(**message), COF).text


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "Hm."},  # vLLM, SGLang, DeepSeek
        {"reasoning": "Hm."},  # OpenRouter, Ollama
        {"thinking": "Hm."},
        {"reasoning_details": [{"type": "reasoning.text", "text": "H"}, {"type": "reasoning.text", "text": "m."}]},
        {
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "Hm."},
                {"type": "reasoning.encrypted", "data": "x"},
            ]
        },
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},  # the same twice
        {"reasoning_content": "Hm.", "reasoning": "Hm."},
        {"reasoning_content": None, "reasoning": "Hm."},
        {"reasoning_content": "", "reasoning": {"content": "Hm."}},
    ],
)
def test_a_thought_in_a_field_of_its_own(thought: dict[str, Any]) -> None:
    assert text(content="<answer>B</answer>", **thought) == "<think>Hm.</think><answer>B</answer>"


@pytest.mark.parametrize(
    ("thought", "content", "read"),
    [
        ("Hm.", "<think>Hm.</think>B", "<think>Hm.</think>B"),  # a proxy that sends the thought twice
        ("Hm.", "\n<think>\nHm.\n</think>\n\nB", "\n<think>\nHm.\n</think>\n\nB"),
        ("Hm.", "Hm.\n</think>\n\nB", "Hm.\n</think>\n\nB"),  # the template wrote the opening tag
        ("Hm.", "<think>\n\n</think>\n\nB", "<think>Hm.</think>\n\nB"),  # Qwen3's empty thought
        ("Hm.", "</think>B", "<think>Hm.</think>B"),
        ("Hm.", "B", "<think>Hm.</think>B"),
        ("", "<think>Hm.</think>B", "<think>Hm.</think>B"),
        ("", "Hm.\n</think>\n\nB", "Hm.\n</think>\n\nB"),
        (" \n", "B", "B"),
    ],
)
def test_a_thought_is_not_written_twice(thought: str, content: str, read: str) -> None:
    assert text(reasoning_content=thought, content=content) == read


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "output_text", "text": "a"}], "a"),
        (["a", {"text": "b"}], "ab"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "a"}],
            "<think>Hm.</think>a",
        ),
        (
            [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "a"}],
            "<think>Hm.</think>a",
        ),
        ([{"type": "reasoning", "summary": [{"text": "Hm."}]}, {"type": "text", "text": "a"}], "<think>Hm.</think>a"),
        ([{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "refusal", "refusal": "No."}], "No."),
        ([], ""),
        (None, ""),
        ("half \ud800", "half ?"),
    ],
)
def test_content_in_parts(content: Any, read: str) -> None:
    assert text(content=content) == read


def test_a_refusal_is_what_the_model_says() -> None:
    assert text(content=None, refusal="I cannot.") == "I cannot."
    assert text(refusal="I cannot.") == "I cannot."
    assert text(content="B", refusal=None) == "B"


def test_calls_and_thoughts_without_content() -> None:
    call = {"function": {"name": "image_zoom_in_tool", "arguments": ZOOM}}
    written = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 2, 3, 4]}}</tool_call>'
    assert text(content=None, tool_calls=[call]) == written
    assert text(content=None, tool_calls=[call], reasoning="Hm.") == f"<think>Hm.</think>{written}"
    assert text(content=None, tool_calls=[], reasoning="Hm.") == "<think>Hm.</think>"
    assert text(reasoning="Hm.") == "<think>Hm.</think>"


@pytest.mark.parametrize("finish", ["length", "LENGTH", "MAX_TOKENS", "model_length", "model_context_window_exceeded"])
def test_a_turn_that_was_cut_off(finish: str) -> None:
    assert completion(reply(finish, content="It is B"), COF) == Completion("It is B", finish="length")


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "eos_token", None, "end_turn", 5, {"type": "x"}])
def test_a_turn_that_ended(finish: Any) -> None:
    assert completion(reply(finish, content="It is B"), COF).finish == "stop"


def test_a_turn_that_was_all_thought_is_not_closed() -> None:
    usage = {"completion_tokens": 512, "completion_tokens_details": {"reasoning_tokens": 512}}
    contents: list[Any] = ["", None, "\n", []]
    for content in contents:
        shown = completion(reply("length", usage, content=content, reasoning="It may be"), COF)
        hidden = completion(reply("length", usage, content=content), COF)
        assert (shown.text, shown.finish) == ("<think>It may be", "length")
        assert hidden.text == "<think>(512 tokens of thought that the endpoint does not show)"
    half = completion(reply("length", usage, content="<answer>", reasoning="It is B."), COF)
    assert half.text == "<think>It is B.</think><answer>"
    bare = completion(reply("length", usage, content=""), replace(COF, thoughts=()))
    assert bare.text == "<think>(512 tokens of thought that the endpoint does not show)"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, (0, 0)),
        ({}, (0, 0)),
        ({"completion_tokens": 7}, (7, 0)),
        ({"completion_tokens": None, "prompt_tokens": 9}, (0, 9)),
        ({"completion_tokens": 7.0, "prompt_tokens": 9.0}, (7, 9)),
        ("none", (0, 0)),
        ([], (0, 0)),
    ],
)
def test_counts_that_a_server_does_not_give_are_0(usage: Any, counts: tuple[int, int]) -> None:
    found = completion(reply("stop", usage, content="B"), COF)
    assert (found.tokens, found.prompt_tokens) == counts


@pytest.mark.parametrize("count", [-1, 1e999, float("nan"), "7", [7], 1e300])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    for name in ("completion_tokens", "prompt_tokens"):
        with pytest.raises(ValueError, match=f"{name} is .*; want a number of tokens"):
            completion(reply("stop", {name: count}, content="B"), COF)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"choices": []}, "choices is empty"),
        ({"choices": [{"text": "B"}]}, "it is a text completion; want an endpoint for chats"),
        (reply("content_filter", content=""), "its filter stopped the turn"),
        (reply("SAFETY", content="It is"), "its filter stopped the turn"),
        ({}, OF_ANOTHER_FORM),
        ([], OF_ANOTHER_FORM),
        ("B", OF_ANOTHER_FORM),
        (None, OF_ANOTHER_FORM),
        ({"choices": None}, OF_ANOTHER_FORM),
        ({"choices": [None]}, OF_ANOTHER_FORM),
        ({"choices": [{"message": None}]}, OF_ANOTHER_FORM),
        ({"choices": [{"message": {}}]}, OF_ANOTHER_FORM),
        ({"choices": [{"delta": {"content": "B"}}]}, OF_ANOTHER_FORM),
        (reply(content=5), OF_ANOTHER_FORM),
        (reply(content=[{"type": "tool_use", "name": "x"}]), OF_ANOTHER_FORM),
        (reply(content=[None]), OF_ANOTHER_FORM),
        (reply(content=None, tool_calls=[{"function": {"name": "x"}}]), OF_ANOTHER_FORM),
        (reply(content=None, tool_calls=5), OF_ANOTHER_FORM),
    ],
)
def test_what_is_no_turn_says_what_it_is(odd: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        completion(odd, COF)


def test_a_family_that_does_not_think_in_tags_keeps_the_thought_out() -> None:
    assert not dialect_of("mgpo").thoughts
    assert completion(reply(content="B", reasoning="Hm."), dialect_of("mgpo")).text == "B"


KEYS = ["type", "text", "thinking", "content", "function", "name", "arguments", "reasoning", "refusal", "tool_calls"]
WORDS = ["", "B", "<think>", "</think>", "\ud800", "length"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
)


@given(message=st.dictionaries(st.sampled_from(KEYS), JSON), finish=JSON, usage=JSON)
def test_no_reply_breaks_the_reader(message: dict[str, Any], finish: Any, usage: Any) -> None:
    odd = {"choices": [{"message": message, "finish_reason": finish, "error": finish}], "usage": usage}
    within(odd)
    found = Completion("")
    with suppress(ValueError):
        found = completion(odd, COF)
    found.text.encode()  # there is no half character
    assert found.tokens >= 0
