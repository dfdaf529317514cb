"""Failures of an endpoint end in a line that names what helps: sizes, names, keys, and errors within a reply."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from PIL import Image

from cof.errors import InputError, ModelError
from cof.loop.run import run, run_many
from cof.loop.setting import Setting
from cof.models.remote.endpoint import models_at
from cof.types import Question, Stop
from cof.vision.urls import Wire
from cof.vision.views import PAPER
from tests.models.remote.endpoints import (
    ANSWER,
    PICTURE,
    QUESTION,
    ZOOM,
    Reply,
    by_turn,
    chat,
    in_turn,
    listening,
    model_at,
    models,
)

RATE = b'{"error": {"message": "Rate limit exceeded", "code": 429}}'
NO_MODEL = b'{"error": {"message": "The model `some-model` does not exist.", "code": 404}}'


def refused(status: int, words: str | bytes) -> Reply:
    return Reply(words if isinstance(words, bytes) else json.dumps({"error": {"message": words}}).encode(), status)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            refused(413, b"<h1>413 Request Entity Too Large</h1>"),
            ["status 413", "--wire jpeg:85", "--budget N", "--crop-budget N"],
        ),
        (
            refused(400, "This model's maximum context length is 4096 tokens."),
            ["--budget N", "--crop-budget N", "--max-model-len"],
        ),
        (refused(500, "the request exceeds the available context size"), ["--budget N", "--max-model-len"]),
        (refused(400, "image exceeds 5 MB maximum"), ["--wire jpeg:85"]),
        (refused(401, "who are you?"), ["status 401", "--key-file", "$OPENAI_API_KEY", "--upstream-key-file"]),
        (refused(404, b'{"detail": "Not Found"}'), ["does the URL end in /v1?"]),
        (Reply(b"<html>a page</html>"), ["not JSON", "does the URL end in /v1?"]),
        (Reply(b'data: {"choices": []}\n\ndata: [DONE]\n\n'), ["a stream of events, which was not asked for"]),
        (Reply(b"\n", headers={"Content-Type": "text/event-stream; charset=utf-8"}), ["a stream of events"]),
        (Reply(b'{"error": {"message": "no such voice"}}'), ["status 200, with an error in the reply: no such voice"]),
        (Reply(b'{"error": {"message": "maximum context length"}}'), ["--budget N"]),
        (Reply(b'{"choices": [{"text": "B"}]}'), ["some-model sent no chat completion: it is a text completion"]),
        (Reply(b'{"choices": []}'), ["choices is empty"]),
    ],
)
def test_a_failure_names_what_helps_and_is_not_tried_again(reply: Reply, words: list[str]) -> None:
    with listening(in_turn(reply)) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
        assert len(server.asked) == 1
    assert trace.stop is Stop.FAILED
    assert trace.answer is None
    assert "\n" not in str(trace.error)
    assert [each for each in words if each not in str(trace.error)] == []


@pytest.mark.parametrize(
    "passing",
    [
        Reply(RATE),
        Reply(b'{"error": {"message": "busy", "code": "rate_limit_exceeded"}}'),
        Reply(b'{"choices": [{"error": {"message": "gone", "code": 502}, "message": {"content": "It"}}]}'),
        Reply(json.dumps(chat("error", content="It is")).encode()),
    ],
)
def test_an_error_within_a_reply_that_may_pass_is_tried_again(passing: Reply) -> None:
    with listening(in_turn(passing, passing, Reply())) as server:
        assert run(model_at(server), QUESTION, PICTURE).answer == "B"
        assert len(server.asked) == 3
    with listening(in_turn(passing)) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
        assert len(server.asked) == 5
    assert trace.stop is Stop.FAILED


def test_what_is_refused_within_a_reply_is_learnt_as_well() -> None:
    said = Reply(b'{"error": {"message": "Unknown parameter: seed", "code": 400}}')
    with listening(lambda body: said if "seed" in body else by_turn(ZOOM, ANSWER)(body)) as server:
        model = model_at(server)
        assert run(model, QUESTION, PICTURE).answer == "B"
    assert model.known.lacks == {"seed"}


def test_a_context_that_is_full_at_a_later_turn_fails_that_conversation_alone() -> None:
    def say(body: dict[str, Any]) -> Reply:
        if len(body["messages"]) > 2 and "first" in json.dumps(body["messages"][1]):
            return refused(400, "This model's maximum context length is 4096 tokens. 'max_tokens' is too large: 512")
        return by_turn(ZOOM, ANSWER)(body)

    with listening(say) as server:
        model = model_at(server, batch=1)
        first, second = run_many(
            model, [(Question(id, ("",), f"What is {id}?"), PICTURE) for id in ("first", "second")]
        )
    assert (first.stop, first.zooms, second.answer) == (Stop.FAILED, 1, "B")
    assert "--crop-budget N" in str(first.error)
    assert not model.known.lacks  # the words name max_tokens, and mean the context


def test_nobody_listens() -> None:
    with listening(by_turn()) as server:
        url = server.url
    trace = run(model_at(server), QUESTION, PICTURE)
    assert f"some-model at {url}/ did not answer (ConnectError: " in str(trace.error)
    assert "is a server running there?" in str(trace.error)


def test_a_large_body_that_is_hung_up_on_is_named() -> None:
    picture = Image.effect_noise((2100, 2100), 80).convert("RGB")
    with listening(in_turn(Reply(status=0))) as server:
        large = run(model_at(server, wire=Wire("jpeg", 100)), QUESTION, picture, Setting(spec=PAPER))
        small = run(model_at(server), QUESTION, PICTURE)
    assert "MB: want --wire jpeg:85" in str(large.error)
    assert "MB" not in str(small.error)


# which models there are


def test_an_unknown_model_lists_those_that_there_are_and_asks_for_them_once() -> None:
    with listening(in_turn(refused(404, NO_MODEL))) as server:
        server.listing = models(*(f"m{n}" for n in range(12)))
        found = run_many(model_at(server, key="secret"), [(QUESTION, PICTURE)] * 3)
        assert [(each.path, each.headers["Authorization"]) for each in server.listed][:1] == [
            ("/v1/models", "Bearer secret")
        ]
        assert len(server.listed) == 2  # whether it is a server of cof, and then which models there are
    for trace in found:
        assert "does not exist.; want the name of one of its models as --model: m0, m1, " in str(trace.error)
        assert "m9 and 2 more)" in str(trace.error)


@pytest.mark.parametrize("listing", [Reply(b"no", 500), Reply(b"{}"), Reply(status=0), Reply(b"[[")])
def test_an_unknown_model_where_none_are_listed(listing: Reply) -> None:
    with listening(in_turn(refused(404, NO_MODEL))) as server:
        server.listing = listing
        trace = run(model_at(server), QUESTION, PICTURE)
    assert str(trace.error).endswith("; want the name of one of its models as --model)")


@pytest.mark.parametrize(
    ("listing", "names"),
    [
        (models("a", "b"), ["a", "b"]),
        (models(), []),
        (Reply(b'[{"id": "a"}, {"id": "b"}]'), ["a", "b"]),  # together.ai
        (Reply(b'{"models": [{"name": "x"}], "data": [{"id": "/models/a.gguf"}]}'), ["/models/a.gguf"]),  # llama.cpp
        (Reply(b'{"data": [{"id": null}, 5, {"id": "a"}]}'), ["a"]),
    ],
)
def test_the_models_of_an_endpoint(listing: Reply, names: list[str]) -> None:
    with listening(by_turn()) as server:
        server.listing = listing
        assert models_at(server.url + "/", "secret") == names
    assert server.listed[0].headers["Authorization"] == "Bearer secret"
    assert not server.asked


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (Reply(b"who?", 401), "--key-file"),
        (Reply(b'{"detail": "Not Found"}', 404), "does the URL end in /v1?"),
        (Reply(b"<html>"), "not JSON"),
        (Reply(b'{"object": "list"}'), "its reply is no list"),
        (Reply(b'{"error": {"message": "no\\nkey"}}'), "no key"),
        (Reply(status=0), "RemoteProtocolError"),
    ],
)
def test_an_endpoint_that_lists_none_says_why_in_one_line(listing: Reply, words: str) -> None:
    with listening(by_turn()) as server:
        server.listing = listing
        with pytest.raises(ModelError) as caught:
            models_at(server.url, "")
    assert f"{server.url} lists no models (" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_are_asked_for_with_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-environment")
    with listening(by_turn()) as server:
        server.listing = models("a")
        models_at(server.url)
    assert server.listed[0].headers["Authorization"] == "Bearer of-the-environment"
    with pytest.raises(InputError, match="is no endpoint"):
        models_at("127.0.0.1:8000")


# the forms of a reply, through the loop


@pytest.mark.parametrize(
    "message",
    [
        {"content": ANSWER, "reasoning_content": "Hm."},
        {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": ANSWER}]},
        {"content": f"<think>Hm.</think>{ANSWER}", "reasoning_content": "Hm."},
        {"content": ANSWER, "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
    ],
)
def test_an_answer_and_its_thought_are_told_apart(message: dict[str, Any]) -> None:
    with listening(in_turn(Reply(json.dumps(chat(**message) | {"usage": None}).encode()))) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
    assert (trace.answer, trace.turns[0].thought) == ("B", "Hm.")
    assert trace.tokens == 0


def test_a_turn_that_is_cut_off_is_recorded_as_such() -> None:
    cut = Reply(json.dumps(chat("length", content="", reasoning="It may be")).encode())
    with listening(in_turn(cut, Reply())) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
    assert [turn.completion.finish for turn in trace.turns] == ["length", "stop"]
    assert trace.turns[0].completion.text == "<think>It may be"
    assert trace.answer == "B"


@pytest.mark.parametrize(
    ("wire", "forms"),
    [(Wire(), ["jpeg", "png", "png"]), (Wire("png"), ["png"] * 3), (Wire("jpeg", 60), ["jpeg"] * 3)],
)
def test_pictures_are_sent_in_the_form_asked_for_and_the_same_at_every_turn(wire: Wire, forms: list[str]) -> None:
    large = Image.linear_gradient("L").convert("RGB").resize((1792, 1792))
    with listening(by_turn(ZOOM, ZOOM.replace("200", "300"), ANSWER)) as server:
        run(model_at(server, wire=wire), QUESTION, large, Setting(spec=PAPER))
    sent = [_urls(asked.body) for asked in server.asked]
    assert [re.split("[/;]", url)[1] for url in sent[2]] == forms
    assert sent[2][:2] == sent[1]
    assert sent[1][:1] == sent[0]


def _urls(body: dict[str, Any]) -> list[str]:
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
