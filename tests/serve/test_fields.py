"""What a client sends beside its messages: used, neutral, or refused by its name."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cof.serve.fields import WithoutEffect
from cof.serve.request import ChatMessage, ChatRequest
from cof.serve.responses import ResponsesRequest
from cof.serve.service import Service
from cof.types import Limits
from tests.patience import PATIENCE
from tests.serve.asking import ASKED, BLUE, QUESTION, content, events, image, post, refused, user
from tests.serve.test_hostile_model import call, served

DOCS = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


def part(kind: str, **fields: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": kind, **fields}]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(["<think>I see.</think><answer>red, then blue</answer>"]) as url:
        yield url


@pytest.mark.parametrize(
    "fields",
    [
        {"logprobs": False, "top_logprobs": 0}, {"n": 1}, {"logit_bias": {}}, {"frequency_penalty": 0.0, "presence_penalty": 0},
        {"tools": []}, {"tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "none"}, {"response_format": {"type": "text"}},
        {"modalities": ["text"]}, {"user": "me", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
        {"safety_identifier": "x", "prompt_cache_key": "y", "parallel_tool_calls": True}, {"reasoning_effort": "medium"},
        {"model": ""}, {"model": None}, {"model": "scripted"}, {"logprobs": None, "tools": None, "anything": None},
    ],
    ids=str,
)  # fmt: skip
def test_fields_that_change_nothing_are_taken(url: str, fields: dict[str, Any]) -> None:
    assert content(post(url, **fields)) == "red, then blue"


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"logprobs": True}, "logprobs", "no log-probabilities"),
        ({"top_logprobs": 3}, "top_logprobs", "no log-probabilities"),
        ({"n": 2}, "n", "a request gets one answer"),
        ({"n": True}, "n", "a request gets one answer"),
        ({"tools": [TOOL]}, "tools", "calls no tools"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tools", "calls no tools"),
        ({"tool_choice": "required"}, "tool_choice", "calls no tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "look"}}}, "tool_choice", "calls no tools"),
        ({"functions": [{"name": "look"}]}, "functions", "calls no tools"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "leave it out"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "leave it out"),
        ({"modalities": ["text", "audio"]}, "modalities", "answers are text"),
        ({"reasoning_effort": "high"}, "reasoning_effort", "cof.limits"),
        ({"store": True}, "store", "no conversations are kept"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "want 1 to 4"),
        ({"stop": ""}, "stop", "none of them empty"),
        ({"guided_json": {}}, "guided_json", "no such field"),
        ({"Foo": 1}, "Foo", "no such field"),
        ({"a\nb": 1}, "'a\\nb'", "no such field"),
        ({"x" * 500: 1}, "x" * 60, "no such field"),
        ({"seed": -1, "cof": {"limits": {"turns": 0}}}, "cof.limits.turns", "greater than or equal to 1"),
        ({"cof": {"limits": {"zoom": 1}}}, "cof.limits.zoom", "no such field"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "for a stream"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "want both"),
    ],
    ids=str,
)  # fmt: skip
def test_other_fields_are_refused_by_their_name(url: str, fields: dict[str, Any], name: str, words: str) -> None:
    field, message = refused(post(url, **fields))
    assert field == name
    assert words in message
    assert message.startswith(name)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ({"role": "tool", "content": "5", "tool_call_id": "x"}, "messages[0].role"),
        ({"role": "assistant", "content": "", "tool_calls": [{"id": "x"}]}, "messages[0].tool_calls"),
        ({"role": "assistant", "content": "", "audio": {"id": "x"}}, "messages[0].audio"),
        ({"role": "user", "content": "Hi", "mood": "glad"}, "messages[0].mood"),
        (user({"type": "text", "text": "Hi", "colour": "red"}), "messages[0].content[0].colour"),
        (user(image(BLUE, fidelity="high")), "messages[0].content[0].image_url.fidelity"),
        (user(image(BLUE, detail="finest")), "messages[0].content[0].image_url.detail"),
        (user({"type": "input_audio", "input_audio": {}}), "messages[0].content[0].type"),
        (user({"type": "text"}), "messages[0].content[0]"),
        (user(image(BLUE) | {"text": "What is it?"}), "messages[0].content[0]"),
        (user({"type": "text", "text": "Hi"} | {"image_url": {"url": BLUE}}), "messages[0].content[0]"),
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_messages_are_refused_by_their_place(url: str, message: dict[str, Any], name: str) -> None:
    assert refused(post(url, message, ASKED))[0] == name


def test_another_model_is_not_found_and_the_right_one_named(url: str) -> None:
    reply = post(url, model="gpt-4o")
    assert reply.status_code == 404
    assert "'scripted'" in reply.json()["error"]["message"]
    assert (reply.json()["error"]["param"], reply.json()["error"]["code"]) == ("model", "model_not_found")


@pytest.mark.parametrize(
    ("stop", "answer"), [(",", "red"), ([" then", ","], "red"), (["blue"], "red, then "), ("green", "red, then blue")]
)
def test_the_answer_ends_before_the_first_stop_sequence(url: str, stop: Any, answer: str) -> None:
    reply = post(url, stop=stop)
    assert content(reply) == answer
    assert reply.json()["choices"][0]["finish_reason"] == "stop"
    assert "".join(_deltas(post(url, stop=stop, stream=True))) == answer


def _deltas(reply: httpx.Response) -> list[str]:
    return [choice["delta"].get("content", "") for event in events(reply) for choice in event["choices"]]


def test_usage_comes_in_a_last_piece_where_it_is_asked_for(url: str) -> None:
    *pieces, last = events(post(url, stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"] > 0
    assert all(piece["usage"] is None for piece in pieces)
    assert pieces[-1]["choices"][0]["finish_reason"] == "stop"
    assert pieces[-1]["cof"]["trace"]


def test_usage_is_in_no_piece_where_it_is_not_asked_for(url: str) -> None:
    pieces = events(post(url, stream=True))
    assert not any("usage" in piece for piece in pieces)
    assert pieces[-1]["cof"]["stop"] == "answer"


def test_a_limit_on_tokens_that_cannot_be_counted_is_said(url: str) -> None:
    reply = post(url, max_tokens=1)
    assert content(reply) == "red, then blue"
    assert any("max_tokens was not applied" in note for note in reply.json()["cof"]["notes"])
    assert post(url).json()["cof"]["notes"] == []


def test_sampling_and_policy_are_those_of_the_request(url: str) -> None:
    reply = post(url, temperature=0.5, top_p=0.9, seed=7, cof={"policy": "direct"})
    trace = httpx.get(f"{url}/v1/traces/{reply.json()['cof']['trace']}", timeout=PATIENCE).json()
    found = {name: trace["sampling"][name] for name in ("temperature", "top_p", "seed")}
    assert found == {"temperature": 0.5, "top_p": 0.9, "seed": 7}
    assert trace["policy"] == "direct"


def test_the_lower_of_detail_and_budget_binds_and_one_picture_at_high_is_not_low(url: str) -> None:
    def tokens(*images: dict[str, Any], **fields: Any) -> int:
        return int(post(url, user(QUESTION, *images), **fields).json()["cof"]["visual_tokens"])

    low, high = image(_large(), detail="low"), image(_large(), detail="high")
    assert tokens(low, cof={"budget": 1000}) <= 512 * 512 // 28**2
    assert tokens(low, cof={"budget": 64}) <= 64
    assert tokens(low, high) > 1000


def test_a_low_detail_is_a_small_overview(url: str) -> None:
    large = image(_large(), detail="low")
    assert post(url, user(QUESTION, image(_large()))).json()["cof"]["visual_tokens"] > 1000
    assert post(url, user(QUESTION, large)).json()["cof"]["visual_tokens"] <= 512 * 512 // 28**2


def _large() -> str:
    from tests.serve.test_hostile import as_url, picture

    return as_url(picture((2000, 1500)))


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_alone_gets_a_sentence_that_asks_for_a_picture(stream: bool) -> None:
    def never(_: object) -> str:
        raise AssertionError("no model is to be run")

    with served([never]) as url:
        reply = post(url, user("hello"), stream=stream)
        said = "".join(_deltas(reply)) if stream else content(reply)
        assert said.startswith("Hello!")
        whole = events(reply)[-1] if stream else reply.json()
        assert whole["cof"]["trace"] is None
        asked = {"input": "hello", "stream": stream}
        assert "Please send" in httpx.post(f"{url}/v1/responses", json=asked, timeout=PATIENCE).text
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        assert "no picture" in refused(post(url, user("hello"), response_format=form))[1]


def test_a_body_of_another_type_is_told_which_header_to_set(url: str) -> None:
    reply = httpx.post(
        f"{url}/v1/chat/completions", content=b"{}", headers={"Content-Type": "text/plain"}, timeout=PATIENCE
    )
    assert reply.status_code == 415
    assert "Content-Type: application/json" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"conversation": "c"}, "conversation"),
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"seeds": 1}, "seeds"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "reasoning", "mood": "glad"}]}, "input[0].mood"),
        ({"input": [{}]}, "input[0].role"),
        ({"input": [part("input_text", text="What?", image_url=BLUE)]}, "input[0].content[0]"),
        ({"input": [part("input_text", text="What?", refusal="No.")]}, "input[0].content[0]"),
        ({"input": [part("input_image", text="What?", image_url=BLUE)]}, "input[0].content[0]"),
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_the_responses_api_are_refused_by_their_name(url: str, fields: dict[str, Any], name: str) -> None:
    asked = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    field, message = refused(httpx.post(f"{url}/v1/responses", json={"input": asked, **fields}, timeout=PATIENCE))
    assert field == name, message
    if name == "input[0].type":
        assert "'message'" in message


def test_limits_of_a_request_stay_within_those_of_the_server_also_where_these_are_zero() -> None:
    zoom = call("[10, 10, 100, 100]")
    for most, asked, shown in ((0, 3, 0), (2, 0, 0), (2, 3, 1)):
        with served([zoom, "<answer>red</answer>"], Service(limits=Limits(zooms=most))) as url:
            reply = post(url, cof={"limits": {"zooms": asked}})
            assert content(reply) == "red"
            assert reply.json()["cof"]["zooms"] == shown


def test_a_compressed_body_is_told_that_it_is_not_read(url: str) -> None:
    body, head = gzip.compress(b"{}"), {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    reply = httpx.post(f"{url}/v1/chat/completions", content=body, headers=head, timeout=PATIENCE)
    assert reply.status_code == 415
    assert "want a body that is not compressed" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"type": "input_text", "text": QUESTION, "image_url": BLUE}, "text"),
        ({"type": "input_image", "image_url": BLUE, "text": QUESTION}, "image_url"),
        ({"type": "input_text"}, "text"),
        ({"type": "refusal", "text": "no"}, "refusal"),
    ],
    ids=str,
)  # fmt: skip
def test_a_part_of_the_responses_api_has_the_field_of_its_type_alone(
    url: str, part: dict[str, Any], wanted: str
) -> None:
    body = {"input": [{"role": "user", "content": [part]}]}
    _, message = refused(httpx.post(f"{url}/v1/responses", json=body, timeout=PATIENCE))
    assert f"wants a field {wanted}, and no other" in message


def test_faults_are_named_by_the_fields_of_the_api_that_was_asked(url: str) -> None:
    def asked(**fields: Any) -> str | None:
        parts = [{"type": "input_text", "text": QUESTION}, {"type": "input_image", "image_url": BLUE}]
        body = {"input": [{"role": "user", "content": parts}], **fields}
        return refused(httpx.post(f"{url}/v1/responses", json=body, timeout=PATIENCE))[0]

    form = {"type": "json_schema", "name": "n", "schema": {"$ref": "#/$defs/none"}}
    assert asked(text={"format": form}) == "text.format"
    assert asked(cof={"choices": ["a"]}) == "cof.choices"
    assert asked(instructions="<|im_end|>") == "input"


def test_every_field_that_is_taken_is_in_the_docs() -> None:
    taken = {*WithoutEffect.model_fields, *ChatRequest.model_fields, *ResponsesRequest.model_fields}
    missing = [name for name in sorted(taken | {*ChatMessage.model_fields}) if f"`{name}`" not in DOCS]
    assert missing == []
