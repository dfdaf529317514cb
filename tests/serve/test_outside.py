"""What the server says of pictures outside the model's world, and of answers outside the choices, before the answer."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from playwright.sync_api import Page, expect

from cof.data.outside import OUTSIDE
from cof.view.page import UNLISTED
from tests.browsers import CHROMIUM
from tests.patience import PATIENCE
from tests.photographs import photograph
from tests.serve.test_api import EXAMPLES, PLAZA, QUESTION, asked, data_url
from tests.serve.test_hostile_model import ASKED, call, served

PHOTOGRAPH = data_url(photograph().read_bytes())


def said(url: str, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE).json()
    return found


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_a_photograph_is_outside_nanos_world(url: str) -> None:
    reply = said(url, messages=asked(url=PHOTOGRAPH))
    assert reply["cof"]["outside"] is True
    assert reply["choices"][0]["message"]["reasoning_content"].startswith(OUTSIDE)
    name = reply["cof"]["trace"]
    assert httpx.get(f"{url}/v1/traces/{name}", timeout=PATIENCE).json()["outside"] is True
    assert OUTSIDE in httpx.get(f"{url}/traces/{name}", timeout=PATIENCE).text


def test_a_drawn_scene_is_inside(url: str) -> None:
    reply = said(url, messages=asked(), cof={"policy": "direct"})
    assert (reply["cof"]["outside"], reply["cof"]["listed"]) == (False, None)
    assert reply["cof"]["notes"] == ["The system prompt was left out: nano takes single questions."]
    assert OUTSIDE not in reply["choices"][0]["message"]["reasoning_content"]
    assert OUTSIDE not in httpx.get(f"{url}/traces/{reply['cof']['trace']}", timeout=PATIENCE).text


@pytest.mark.parametrize(("picture", "outside"), [(PHOTOGRAPH, True), (PLAZA, False)])
def test_a_stream_says_so_before_the_answer(client: openai.OpenAI, picture: str, outside: bool) -> None:
    stream = client.chat.completions.create(model="nano", messages=asked(url=picture), stream=True)
    pieces = [piece.model_dump() for piece in stream]
    deltas = [piece["choices"][0]["delta"] for piece in pieces]
    (first, *later) = [delta["reasoning_content"] for delta in deltas if delta.get("reasoning_content")]
    assert first.startswith(OUTSIDE) == outside
    assert not any(OUTSIDE in thought for thought in later)
    assert pieces[0]["cof"]["outside"] is pieces[-1]["cof"]["outside"] is outside
    assert not deltas[0].get("content")


@pytest.mark.parametrize(("picture", "outside"), [(PHOTOGRAPH, True), (PLAZA, False)])
def test_the_responses_api_says_so_too(client: openai.OpenAI, picture: str, outside: bool) -> None:
    parts = [{"type": "input_image", "image_url": picture}, {"type": "input_text", "text": QUESTION}]
    with client.responses.stream(model="nano", input=[{"role": "user", "content": parts}]) as stream:  # type: ignore[list-item,misc]
        events = list(stream)
        final = stream.get_final_response().model_dump()
    assert final["cof"]["outside"] is outside
    assert final["output"][0]["content"][0]["text"].startswith(OUTSIDE) == outside
    steps = [event.model_dump().get("cof") for event in events if event.type == "response.output_item.done"]
    assert [step["outside"] for step in steps if step] == [outside] * (len(steps) - 1)


@pytest.mark.parametrize(
    ("answer", "listed"), [("red", True), ("(B) blue", True), ("green", False), ("red or blue", False)]
)
def test_an_answer_outside_the_choices_is_flagged(answer: str, listed: bool) -> None:
    with served([f"<answer>{answer}</answer>"]) as url:
        reply = said(url, messages=[ASKED], cof={"choices": ["red", "blue"]})
    assert (reply["cof"]["listed"], reply["cof"]["outside"]) == (listed, None)  # a scripted model claims no world


def test_without_choices_or_an_answer_nothing_is_flagged() -> None:
    with served(["<answer>green</answer>"]) as url:
        assert said(url, messages=[ASKED])["cof"]["listed"] is None
    with served([call("[0, 0, 50, 50]")]) as url:
        reply = said(url, messages=[ASKED], cof={"choices": ["red", "blue"], "limits": {"zooms": 0}})
        assert reply["cof"]["listed"] is None


def ask(page: Page, url: str, picture: str, choices: str = "") -> None:
    page.goto(url)
    page.get_by_label("Picture", exact=True).set_input_files(picture)
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_label("Choices").fill(choices)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("status")).to_contain_text("visual tokens", timeout=240_000)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_warns_above_the_steps_and_forgets_it_with_the_next_picture(page: Page, url: str) -> None:
    ask(page, url, str(photograph()))
    expect(page.get_by_text(OUTSIDE)).to_be_visible()
    above, steps = page.get_by_text(OUTSIDE).bounding_box(), page.locator("#steps").bounding_box()
    assert above is not None
    assert steps is not None
    assert above["y"] < steps["y"]
    page.get_by_label("Picture", exact=True).set_input_files(EXAMPLES / "plaza.jpg")
    expect(page.get_by_text(OUTSIDE)).to_be_hidden()
    expect(page.get_by_text("knows drawn needle scenes only")).to_be_visible()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_says_what_was_not_shown_and_what_is_not_listed(page: Page) -> None:
    with served([call("[0, 0, 50, 50]", "roof"), "<answer>green</answer>"]) as url:
        page.goto(url)
        page.route(
            "**/v1/chat/completions",
            lambda route: route.continue_(
                post_data={**route.request.post_data_json, "cof": {"limits": {"zooms": 0}, "choices": ["red", "blue"]}}
            ),
        )
        ask(page, url, str(photograph()), "red\nblue")
        expect(page.get_by_role("heading", name="1. Asked to look closer at “roof”: not shown")).to_be_visible()
        expect(page.get_by_text("this was not shown")).to_be_visible()
        expect(page.get_by_text(UNLISTED)).to_be_visible()
        expect(page.get_by_text(OUTSIDE)).to_be_hidden()
        expect(page.get_by_text("knows drawn needle scenes only")).to_have_count(0)
