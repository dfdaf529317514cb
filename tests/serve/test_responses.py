"""`/v1/responses`, asked by the official client."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.patience import PATIENCE
from tests.serve.test_api import ANSWER, PLAZA, QUESTION

TEXT = {"type": "input_text", "text": "What is it?"}


def given(text: str = QUESTION) -> list[dict[str, Any]]:
    parts = [{"type": "input_image", "image_url": PLAZA}, {"type": "input_text", "text": text}]
    return [{"role": "user", "content": parts}]


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_the_official_client_gets_the_answer(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="nano", input=given())  # type: ignore[arg-type]
    assert reply.output_text == ANSWER
    assert reply.status == "completed"
    assert [item.type for item in reply.output][-2:] == ["reasoning", "message"]
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    told: dict[str, Any] = reply.cof  # type: ignore[attr-defined]
    assert told["zooms"] >= 1


def test_the_official_client_gets_the_answer_in_pieces(client: openai.OpenAI) -> None:
    """Its own accumulation of the events is the reply that the server sends at the end."""
    with client.responses.stream(model="nano", input=given()) as stream:  # type: ignore[arg-type]
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == ANSWER
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    said = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
    assert len(said) >= 2
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER


def test_an_earlier_reply_may_be_sent_back(client: openai.OpenAI) -> None:
    first = client.responses.create(model="nano", input=given())  # type: ignore[arg-type]
    earlier: list[Any] = [item.model_dump(exclude_none=True) for item in first.output]
    again = client.responses.create(model="nano", input=[*given(), *earlier, {"role": "user", "content": QUESTION}])  # type: ignore[list-item]
    assert again.output_text == ANSWER


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"input": []}, "input is empty"),
        ({"input": given(), "previous_response_id": "resp_1"}, "no conversations are kept"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}, TEXT]}]}, "no files are kept"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input"),
        ({}, "input: it is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(url: str, body: dict[str, Any], fault: str) -> None:
    reply = httpx.post(f"{url}/v1/responses", json=body, timeout=PATIENCE)
    assert reply.status_code == 400
    assert fault in reply.json()["error"]["message"]


def test_an_answer_is_cut_where_asked(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="nano", input=given(), max_output_tokens=16)  # type: ignore[arg-type]
    assert reply.status == "completed"
    assert reply.incomplete_details is None
