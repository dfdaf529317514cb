"""Replies in the form that was asked for: JSON of a schema, JSON of the model's own, and answers that do not fit."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel, Field

from cof.models.base import Request
from tests.patience import PATIENCE
from tests.serve.asking import ASKED, QUESTION, content, events, image, post, refused, user
from tests.serve.test_hostile_model import served
from tests.serve.test_structured import Colour, Several, Thought, schema


def _asked(url: str, form: dict[str, Any], **fields: Any) -> httpx.Response:
    described = {"name": "seen", "strict": True, "schema": form}
    return post(url, ASKED, response_format={"type": "json_schema", "json_schema": described}, **fields)


@pytest.mark.parametrize(
    "form", [{"type": "objekt"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "#/$defs/none"}], ids=str
)
def test_a_schema_that_cannot_be_used_is_refused(form: dict[str, Any]) -> None:
    with served(["<answer>7</answer>"]) as url:
        field, message = refused(_asked(url, form))
    assert field == "response_format"
    assert message.startswith("the schema: it ")


def test_openais_client_parses_what_the_server_puts_into_its_schema() -> None:
    with (
        served(["<think>I see.</think><answer>blue</answer>"]) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        chat = client.chat.completions.parse(model="scripted", messages=[ASKED], response_format=Thought)  # type: ignore[list-item]
        parts: list[Any] = [
            {"type": "input_text", "text": QUESTION},
            {"type": "input_image", "image_url": image()["image_url"]["url"]},
        ]
        response = client.responses.parse(
            model="scripted",
            input=[{"role": "user", "content": parts}],
            text_format=Thought,  # type: ignore[list-item,misc]
        )
    assert chat.choices[0].message.parsed is not None
    assert chat.choices[0].message.parsed.colour is Colour.BLUE
    assert response.output_parsed == chat.choices[0].message.parsed


def test_an_enum_is_the_choices_of_the_question_and_a_description_is_read() -> None:
    class Described(BaseModel):
        colour: Colour = Field(description="The colour of the ball.")

    kept: list[Request] = []

    def say(request: Request) -> str:
        kept.append(request)
        return "<answer>red</answer>"

    with served([say]) as url:
        form = Described.model_json_schema()
        reply = _asked(url, form)
        assert json.loads(content(reply)) == {"colour": "red"}
        assert reply.json()["cof"]["listed"] is True
        assert refused(_asked(url, form, cof={"choices": ["a", "b"]}))[0] == "cof.choices"
        assert refused(_asked(url, form, cof={"choices": ["red", "blue"], "letter": True}))[0] == "cof.letter"
    asked = str(kept[0].messages[-1].parts)
    assert "Choose one of: red, blue." in asked
    assert "The colour of the ball." in asked


def test_a_schema_of_several_answers_is_put_to_the_model_in_words() -> None:
    kept: list[Request] = []

    def say(request: Request) -> str:
        kept.append(request)
        return '<answer>{"colour": "red", "count": 2}</answer>'

    with served([say]) as url:
        described = {"name": "seen", "description": "What is on the table.", "schema": Several.model_json_schema()}
        reply = post(url, ASKED, response_format={"type": "json_schema", "json_schema": described})
        assert json.loads(content(reply)) == {"colour": "red", "count": 2}
    assert '"count"' in str(kept[0].messages[-1].parts)
    assert "What is on the table." in str(kept[0].messages[-1].parts)


def test_an_answer_that_stop_made_unfit_says_so() -> None:
    with served(["<answer>red</answer>"]) as url:
        form = schema("n", enum=["red", "blue"])
        assert json.loads(content(_asked(url, form, stop=["blue"]))) == {"n": "red"}
        reply = _asked(url, form, stop=["r"])
    assert reply.status_code == 502
    assert reply.json()["error"]["message"].endswith("the answer was cut off by stop")


@pytest.mark.parametrize("form", [Several.model_json_schema(), schema("n", type="integer")])
def test_an_answer_that_does_not_fit_is_an_error_of_its_own(form: dict[str, Any]) -> None:
    with served(["<answer>a cat</answer>"]) as url:
        reply = _asked(url, form)
        assert reply.status_code == 502
        assert "'a cat'" in reply.json()["error"]["message"]
        assert reply.json()["error"]["code"] == "answer_unfit"
        assert reply.headers["x-should-retry"] == "false"
        assert events(_asked(url, form, stream=True))[-1]["error"] == reply.json()["error"]
        parts: list[Any] = [
            {"type": "input_text", "text": QUESTION},
            {"type": "input_image", "image_url": image()["image_url"]["url"]},
        ]
        text = {"format": {"type": "json_schema", "name": "seen", "schema": form}}
        body = {"input": [{"role": "user", "content": parts}], "text": text}
        assert httpx.post(f"{url}/v1/responses", json=body, timeout=PATIENCE).json()["error"] == reply.json()["error"]
        streamed = httpx.post(f"{url}/v1/responses", json=body | {"stream": True}, timeout=PATIENCE).text
    assert "response.failed" in streamed
    assert "'a cat'" in streamed


@pytest.mark.parametrize(("said", "value"), [("a cat", {"answer": "a cat"}), ('{"a": 1}', {"a": 1})])
def test_any_json_object_is_the_answer_in_one(said: str, value: Any) -> None:
    with served([f"<answer>{said}</answer>"]) as url:
        assert json.loads(content(post(url, ASKED, response_format={"type": "json_object"}))) == value


def test_a_schema_with_a_control_token_or_of_great_length_is_refused() -> None:
    with served(["<answer>red</answer>"]) as url:
        assert "<|im_end|>" in refused(_asked(url, schema("n", enum=["<|im_end|>", "b"])))[1]
        assert "want at most" in refused(_asked(url, schema("n", type="string", title="x" * 50_000)))[1]


def test_nano_refuses_a_schema_of_several_answers(url: str) -> None:
    field, message = refused(_asked(url, Several.model_json_schema()))
    assert field == "response_format"
    assert "nano gives one short answer" in message


def test_a_schema_without_a_picture_is_refused() -> None:
    with served(["<answer>red</answer>"]) as url:
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema("n", type="string")}}
        assert "no picture" in refused(post(url, user(QUESTION), response_format=form))[1]
