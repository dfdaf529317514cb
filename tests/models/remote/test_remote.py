"""A remote model against a real HTTP server on loopback: turns, tries, deadlines, and what is no answer."""

from __future__ import annotations

import base64
import gc
import io
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image

from cof.errors import InputError
from cof.loop.policies.known import policy_named
from cof.loop.run import run, run_many
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.remote.model import RemoteModel
from cof.types import Question, Stop
from cof.vision.views import Picture
from tests.models.remote.endpoints import (
    ANSWER,
    PICTURE,
    QUESTION,
    ZOOM,
    Reply,
    by_turn,
    called,
    chat,
    in_turn,
    listening,
    model_at,
)

LONGER = 3600  # seconds: more than any test has


def test_a_zoom_and_an_answer() -> None:
    with listening(by_turn(ZOOM, ANSWER)) as server:
        model = model_at(server)
        trace = run(model, QUESTION, PICTURE)
    assert (trace.answer, trace.zooms, trace.stop, trace.model) == ("B", 1, Stop.ANSWER, "some-model")
    assert trace.turns[0].completion.tokens == 7
    assert (model.usage.prefilled, model.usage.decoded, model.usage.images) == (600, 14, 1 + 2)
    first, second = (asked.body for asked in server.asked)
    assert server.asked[0].path == "/v1/chat/completions"
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    url = first["messages"][1]["content"][0]["image_url"]["url"]
    shown = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    assert shown.size == trace.overview.size


def test_what_was_sent_is_sent_again_byte_for_byte() -> None:
    with listening(by_turn(ZOOM, "neither call nor answer", ZOOM.replace("200", "300"), ANSWER)) as server:
        run(model_at(server), QUESTION, PICTURE, Setting())
    raws = [asked.raw for asked in server.asked]
    assert len(raws) == 4
    for earlier, later in pairwise(raws):
        messages = earlier[: earlier.index(b'],"max_tokens"')]
        assert later.startswith(messages)


@pytest.mark.parametrize("tokens", [1e999, -5, "many", [1]])
def test_a_count_that_is_none_ends_that_conversation_alone(tokens: Any) -> None:
    odd = json.dumps(chat(content=ANSWER) | {"usage": {"completion_tokens": tokens}}).encode()
    with listening(in_turn(Reply(odd), Reply())) as server:
        first, second = run_many(model_at(server, batch=1), [(QUESTION, PICTURE)] * 2)
    assert first.stop is Stop.FAILED
    assert second.answer == "B"


def test_a_model_that_nobody_closes_leaves_no_connection_open() -> None:
    with listening(by_turn(ANSWER)) as server:
        model = model_at(server)
        assert run(model, QUESTION, PICTURE).answer == "B"
        client = model._endpoint._client
        assert not client.is_closed
        del model
        gc.collect()
        assert client.is_closed


def test_half_a_character_in_a_question_is_sent() -> None:
    with listening(by_turn(ANSWER)) as server:
        assert run(model_at(server), replace(QUESTION, text="What \ud800?"), PICTURE).answer == "B"


def test_what_may_pass_is_tried_again() -> None:
    with listening(in_turn(Reply(b"slow down", 429), Reply(b"", 503), Reply(status=0), Reply())) as server:
        assert run(model_at(server), QUESTION, PICTURE).answer == "B"
    assert len(server.asked) == 4


def test_tries_come_to_an_end_with_longer_and_longer_pauses() -> None:
    with listening(in_turn(Reply(b"broken", 500))) as server:
        began = time.monotonic()
        trace = run(model_at(server, pause=0.02), QUESTION, PICTURE)
    assert "status 500: broken" in str(trace.error)
    assert len(server.asked) == 5
    assert time.monotonic() - began >= 0.02 * (1 + 2 + 4 + 8)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"no key", 401), "status 401: no key"),
        (Reply(b"bad", 422), "status 422"),
        (Reply(b"moved", 308), "status 308"),
        (Reply(b"hello"), "an answer that is not JSON"),
        (Reply(b"{}"), "sent no chat completion"),
        (
            Reply(b'{"detail": [{"msg": "far too long", "loc": 5, "input": "echo"}]}', 422),
            "status 422: far too long (5)",
        ),
        (Reply(b'[{"error": {"message": "over the limit"}}]', 400), "status 400: over the limit"),
        (Reply(b'{"error": null, "detail": "gone"}', 410), "status 410"),
    ],
)
def test_what_cannot_pass_fails_at_once_in_one_line(reply: Reply, words: str) -> None:
    with listening(in_turn(reply)) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
    assert trace.stop is Stop.FAILED
    assert words in str(trace.error)
    assert "\n" not in str(trace.error)
    assert "echo" not in str(trace.error)
    assert len(server.asked) == 1


def test_many_at_once_are_not_crossed_and_no_more_than_asked_for() -> None:
    running, most, lock, two = 0, 0, threading.Lock(), threading.Event()

    def say(body: dict[str, Any]) -> Reply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if running > 1:
            two.set()
        two.wait(60)  # until a second one came: however slow the machine is
        with lock:
            running -= 1
        return Reply(f"<answer>{body['messages'][1]['content'][-1]['text']}</answer>")

    asked = [(Question(str(n), ("",), f"What is {n}?"), PICTURE) for n in range(12)]
    with listening(say) as server:
        traces = run_many(model_at(server, batch=4), asked)
    assert [trace.id for trace in traces] == [str(n) for n in range(12)]
    assert [trace.answer for trace in traces] == [question.text for question, _ in asked]
    assert 1 < most <= 4


def test_an_endpoint_that_is_not_there() -> None:
    trace = run(RemoteModel("http://127.0.0.1:9/v1", "m", pause=0.001), QUESTION, PICTURE)
    assert trace.stop is Stop.FAILED
    assert "did not answer (ConnectError" in str(trace.error)


# how long is waited


def test_retry_after_in_seconds_is_waited_for() -> None:
    with listening(in_turn(Reply(b"", 429, {"Retry-After": "0.3"}), Reply())) as server:
        began = time.monotonic()
        assert run(model_at(server), QUESTION, PICTURE).answer == "B"
    assert time.monotonic() - began >= 0.3


def test_retry_after_as_a_date_is_waited_for() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # dates have whole seconds
    with listening(in_turn(Reply(b"", 503, {"Retry-After": soon}), Reply())) as server:
        began = time.monotonic()
        assert run(model_at(server), QUESTION, PICTURE).answer == "B"
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("header", ["soon", "-5", "nan", "inf", "", "Wed, 99 Nope 2020"])
def test_a_retry_after_that_means_nothing_is_not_waited_for(header: str) -> None:
    with listening(in_turn(Reply(b"", 429, {"Retry-After": header}), Reply())) as server:
        assert run(model_at(server, seconds=LONGER), QUESTION, PICTURE).answer == "B"


def test_who_says_when_to_come_back_is_asked_as_often_as_time_allows() -> None:
    busy = [Reply(b"", 429, {"Retry-After": "0.01"})] * 9
    with listening(in_turn(*busy, Reply())) as server:
        assert run(model_at(server), QUESTION, PICTURE).answer == "B"


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    with listening(in_turn(Reply(b"full", 429, {"Retry-After": str(2 * LONGER)}))) as server:
        trace = run(model_at(server, seconds=LONGER), QUESTION, PICTURE)
    assert "status 429: full" in str(trace.error)


def test_a_turn_has_its_seconds_and_is_not_asked_for_twice() -> None:
    over = threading.Event()

    def say(_: dict[str, Any]) -> Reply:
        over.wait()
        return Reply()

    with listening(say) as server:
        trace = run(model_at(server, seconds=1), QUESTION, PICTURE)
        over.set()
        assert "no whole answer in time" in str(trace.error)
        assert len(server.asked) <= 1


def test_nobody_waits_for_a_conversation_that_is_gone() -> None:
    soon = {"Retry-After": str(LONGER)}
    with listening(in_turn(Reply(b"", 429, soon))) as server:
        session = Session("some-model", QUESTION, (Picture(PICTURE),))
        server.say = lambda _: session.cancel() or Reply(b"", 429, soon)  # type: ignore[func-returns-value]
        model_at(server, seconds=2 * LONGER).converse([session])
    assert session.cancelled


# what a server makes of a turn


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_turn_that_the_server_took_apart_is_put_together(name: str) -> None:
    replies = [
        called([100, 100, 200, 200], **{name: "It is small."}),
        Reply(json.dumps(chat(content=ANSWER, **{name: "I see it."})).encode()),
    ]
    with listening(in_turn(*replies)) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
    assert (trace.answer, trace.zooms) == ("B", 1)
    assert [turn.thought for turn in trace.turns] == ["It is small.", "I see it."]


def test_arguments_may_come_as_an_object() -> None:
    call = {"function": {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 200, 200]}}}
    with listening(in_turn(Reply(json.dumps(chat(tool_calls=[call])).encode()), Reply())) as server:
        assert run(model_at(server), QUESTION, PICTURE).zooms == 1


@pytest.mark.parametrize(
    "body", [b'{"choices": [{"message": {}}]}', b'{"choices": [{"message": "hi"}]}', b'{"choices": []}', b"[]"]
)
def test_what_is_no_completion_fails_the_run_and_nothing_else(body: bytes) -> None:
    asked = [(replace(QUESTION, id=str(n)), PICTURE) for n in range(2)]
    with listening(in_turn(Reply(body), Reply())) as server:
        first, second = run_many(model_at(server, batch=1), asked)
    assert first.stop is Stop.FAILED
    assert "no chat completion" in str(first.error)
    assert second.answer == "B"


def test_a_turn_cannot_be_begun_for_a_remote_model() -> None:
    with listening(by_turn(ANSWER)) as server:
        trace = run(model_at(server), QUESTION, PICTURE, Setting(policy=policy_named("always")))
    assert "cannot be made to begin a turn" in str(trace.error)


# where the model is


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://h/v1?key=s3cret",
        "http://me:s3cret@h/v1",
        "http://h:port/v1",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InputError, match="want") as caught:
        RemoteModel(url, "m")
    assert "s3cret" not in str(caught.value)


def test_a_model_needs_an_address() -> None:
    with pytest.raises(InputError, match="want at least one endpoint"):
        RemoteModel([], "m")


def test_the_fingerprint_is_where_the_model_is() -> None:
    assert RemoteModel("http://h:1/v1/", "m").info.fingerprint == "http://h:1/v1/m"
    assert (
        RemoteModel(["http://b/v1", "http://a/v1", "http://b/v1/"], "m").info.fingerprint
        == "http://a/v1/,http://b/v1/m"
    )
