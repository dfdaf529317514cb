"""Earlier turns and system prompts reach the model and its trace; one picture is taken, several different ones are refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cof.dialects.cof import COF
from cof.models.base import Request
from cof.serve.service import Service
from cof.trace import Trace
from cof.types import Exchange
from cof.view.page import page_without_picture
from tests.patience import PATIENCE
from tests.serve.asking import ASKED, BLUE, QUESTION, RED, content, image, post, refused, user
from tests.serve.test_hostile_model import served

SYSTEM = {"role": "system", "content": "Answer in French."}
ANSWERED = {"role": "assistant", "content": "a cat"}
LATER = user("And what colour?")


def shown(request: Request) -> list[tuple[str, str]]:
    """The messages with `#` for a picture."""
    texts = [(m.role, "".join(part if isinstance(part, str) else "#" for part in m.parts)) for m in request.messages]
    return [(role, text.removeprefix(COF.system).strip()) for role, text in texts]


def said_to_the_model(*messages: dict[str, Any], **fields: Any) -> tuple[list[tuple[str, str]], Trace]:
    kept: list[Request] = []

    def say(request: Request) -> str:
        kept.append(request)
        return "<think></think><answer>black</answer>"

    with served([say]) as url:
        reply = post(url, *messages, **fields)
        assert content(reply) == "black"
        trace = httpx.get(f"{url}/v1/traces/{reply.json()['cof']['trace']}", timeout=PATIENCE).json()
    return shown(kept[0]), Trace.from_json(trace)


def test_the_system_prompt_and_earlier_turns_reach_the_model_and_the_trace() -> None:
    messages, trace = said_to_the_model(SYSTEM, ASKED, ANSWERED, LATER)
    assert messages == [
        ("system", "Answer in French."),
        ("user", f"#{QUESTION}"),
        ("assistant", "<think></think><answer>a cat</answer>"),
        ("user", "And what colour?"),
    ]
    assert trace.question.system == "Answer in French."
    assert trace.question.earlier == (Exchange(QUESTION, "a cat"),)
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace
    page = page_without_picture(trace, "gone")
    assert "Answer in French." in page
    assert "a cat" in page


def test_turns_in_a_row_are_one_and_every_system_prompt_counts() -> None:
    developer = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}
    greeting = {"role": "assistant", "content": "Hello!"}
    messages, _ = said_to_the_model(SYSTEM, greeting, user(image()), user(QUESTION), developer)
    assert messages == [
        ("system", "Answer in French.\n\nBe brief."),
        ("user", "#"),
        ("assistant", "<think></think><answer>Hello!</answer>"),
        ("user", QUESTION),
    ]


def test_what_is_sent_back_with_an_earlier_answer_is_taken() -> None:
    more: dict[str, Any] = {"refusal": None, "annotations": [], "tool_calls": [], "reasoning_content": "Looks like it."}
    sent_back = ANSWERED | more
    messages, _ = said_to_the_model(ASKED, sent_back, LATER)
    assert messages[2] == ("assistant", "<think></think><answer>a cat</answer>")


def test_a_refusal_of_an_earlier_turn_is_what_the_assistant_said() -> None:
    messages, _ = said_to_the_model(ASKED, {"role": "assistant", "content": None, "refusal": "I cannot."}, LATER)
    assert messages[2] == ("assistant", "<think></think><answer>I cannot.</answer>")


def test_instructions_of_the_responses_api_are_a_system_prompt() -> None:
    kept: list[Request] = []

    def say(request: Request) -> str:
        kept.append(request)
        return "<answer>black</answer>"

    parts = [{"type": "input_text", "text": QUESTION}, {"type": "input_image", "image_url": RED}]
    answered = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a cat"}]}
    asked = [{"role": "user", "content": parts}, answered, {"role": "user", "content": "And what colour?"}]
    with served([say]) as url:
        reply = httpx.post(f"{url}/v1/responses", json={"input": asked, "instructions": "Be brief."}, timeout=PATIENCE)
    assert reply.status_code == 200
    assert [text for _, text in shown(kept[0])] == [
        "Be brief.",
        f"#{QUESTION}",
        "<think></think><answer>a cat</answer>",
        "And what colour?",
    ]


def test_a_trace_without_earlier_turns_in_its_file_is_read() -> None:
    _, trace = said_to_the_model(ASKED)
    data = trace.to_json()
    del data["question"]["system"], data["question"]["earlier"]
    assert Trace.from_json(data) == trace


def test_the_same_picture_twice_is_one() -> None:
    again = RED.replace("data:image/png;base64,", "data:image/png;charset=utf-8;base64,")
    messages, _ = said_to_the_model(ASKED, ANSWERED, user("And what colour?", image(), image(again), image(f" {RED} ")))
    assert [text for _, text in messages[1:]] == [
        f"#{QUESTION}",
        "<think></think><answer>a cat</answer>",
        "And what colour?",
    ]


@pytest.mark.parametrize("head", ["data:image/png;charset=utf-8;base64,", 'data:image/png;name="a,b.png";base64,'])
def test_a_data_url_may_have_parameters_and_be_broken_into_lines(head: str) -> None:
    packed = RED.partition(",")[2]
    lines = "\n".join(packed[at : at + 76] for at in range(0, len(packed), 76))
    messages, trace = said_to_the_model(user(QUESTION, image(head + lines)))
    assert messages[1] == ("user", f"#{QUESTION}")
    assert (trace.overview.region.width, trace.overview.region.height) == (300, 200)


@pytest.mark.parametrize(
    ("messages", "count"),
    [
        ([user("Which is red?", image(RED), image(BLUE))], 2),
        ([user("Which is red?", image(RED), image(BLUE), image(RED))], 2),
        ([ASKED, ANSWERED, user("And this?", image(BLUE))], 2),
        ([ASKED, ANSWERED, user("And this?", image(RED))], 1),
    ],
)
def test_different_pictures_are_all_shown_in_their_order(messages: list[dict[str, object]], count: int) -> None:
    _, trace = said_to_the_model(*messages)
    assert [view.picture for view in trace.overviews] == list(range(count))
    assert len(trace.question.images) == count


def test_one_of_several_pictures_that_is_not_fetched_is_named() -> None:
    with served(["<answer>no</answer>"]) as url:
        field, message = refused(post(url, user("Which?", image(RED), image("https://example.com/a.png"))))
    assert field == "messages"
    assert "this server fetches no pictures" in message


def test_several_pictures_together_are_no_larger_than_the_room_for_pictures() -> None:
    with served(["<answer>no</answer>"], Service(pixels=100_000)) as url:
        field, message = refused(post(url, user("Which?", image(RED), image(BLUE))))
    assert field == "messages"
    assert "pixels in all; want at most 100,000" in message


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([ASKED, ANSWERED], "last message is not the user's"),
        ([SYSTEM], "last message is not the user's"),
        ([user(image())], "asks nothing"),
        ([SYSTEM | {"content": [image()]}, ASKED], "a picture in a message of the role system"),
        ([user(QUESTION, image()) | {"refusal": "No."}], "only the assistant refuses"),
        ([user("I", image()) | {"name": "a"}, user("you") | {"name": "b"}], "not distinguished"),
        ([user(QUESTION, {"type": "image_url"})], "its type wants a field image_url"),
        ([user("x" * 2001, image())], "want at most 2000"),
        ([SYSTEM | {"content": "x" * 40_000}, ASKED], "want at most 40000"),
        ([SYSTEM | {"content": "<|im_end|>"}, ASKED], "<|im_end|>"),
        ([user("<|image_pad|>", image()), ANSWERED, LATER], "<|image_pad|>"),
        ([ASKED, ANSWERED | {"content": "<|im_start|>"}, LATER], "<|im_start|>"),
        ([user("What is <|im_end|>?")], "<|im_end|>"),
    ],
    ids=str,
)  # fmt: skip
def test_what_would_have_to_be_dropped_is_refused(messages: list[dict[str, object]], words: str) -> None:
    with served(["<answer>no</answer>"]) as url:
        field, message = refused(post(url, *messages))
    assert words in message
    assert (field or "").startswith("messages")


def test_all_texts_count_towards_the_limit_of_a_server() -> None:
    with served(["<answer>no</answer>"], Service(characters=60)) as url:
        assert post(url, ASKED).status_code == 200
        assert "want at most 60" in refused(post(url, user("x" * 30, image()), ANSWERED, user("y" * 30)))[1]


@pytest.mark.long
def test_a_model_of_single_questions_says_what_was_left_out(url: str) -> None:
    """cof-nano was not trained on them, and answers worse with them."""
    from tests.serve.test_api import ANSWER, PLAZA
    from tests.serve.test_api import QUESTION as PLAZA_QUESTION

    first = user("What color is the diamond on the cyan board?", image(PLAZA))
    reply = post(url, SYSTEM, first, ANSWERED, user(PLAZA_QUESTION), model="nano")
    assert content(reply) == ANSWER
    assert reply.json()["cof"]["notes"] == [
        "The system prompt was left out: nano takes single questions.",
        "Earlier turns were left out: nano takes single questions.",
    ]
