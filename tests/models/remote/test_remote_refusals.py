"""What an endpoint refuses is left out, and the refusal is paid for once in the life of the model."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from cof.loop.run import run, run_many
from cof.types import Question, Stop
from tests.models.remote.endpoints import ANSWER, PICTURE, QUESTION, ZOOM, Reply, by_turn, listening, model_at, refusing

PYDANTIC = b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "%s"], "msg": "Extra inputs are not permitted"}]}'


def has(field: str) -> Any:
    return lambda body: field in body


def system(body: dict[str, Any]) -> bool:
    return bool(body["messages"][0]["role"] == "system")


def pictures(body: dict[str, Any]) -> int:
    return json.dumps(body["messages"]).count('"image_url": {')


REFUSED_FIELDS = [
    ("seed", "Unsupported parameter: 'seed' is not supported with this model.", 400),
    ("seed", PYDANTIC % b"seed", 422),
    ("top_p", 'Invalid JSON payload received. Unknown name "top_p": Cannot find field.', 400),
    ("temperature", "Only the default value of temperature is supported.", 400),
    ("seed", b'{"detail": "Unexpected fields in the request: {\'seed\'}"}', 422),
    ("max_tokens", "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", 400),
]


@pytest.mark.parametrize(("field", "words", "status"), REFUSED_FIELDS)
def test_a_field_that_is_refused_is_left_out_from_then_on(field: str, words: str | bytes, status: int) -> None:
    with listening(refusing(has(field), words, by_turn(ZOOM, ANSWER), status)) as server:
        model = model_at(server)
        assert [run(model, QUESTION, PICTURE).answer for _ in range(2)] == ["B", "B"]
    assert [field in asked.body for asked in server.asked] == [True, False, False, False, False]
    assert model.known.lacks == {field}


def test_the_most_tokens_are_still_said_by_their_newer_name() -> None:
    with listening(refusing(has("max_tokens"), "max_tokens is not supported", by_turn(ANSWER))) as server:
        run(model_at(server), QUESTION, PICTURE)
    assert server.asked[-1].body["max_completion_tokens"] == server.asked[0].body["max_tokens"]


def test_several_fields_are_learnt_one_after_the_other() -> None:
    inner = refusing(has("seed"), "unknown field seed", by_turn(ANSWER))
    with listening(refusing(has("top_p"), "unknown field top_p", inner)) as server:
        model = model_at(server)
        assert run(model, QUESTION, PICTURE).answer == "B"
    assert model.known.lacks == {"seed", "top_p"}
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("System role not supported", 400),
        ("System role not supported", 500),
        ("Only user and assistant roles are supported!", 400),
        ("Conversation roles must alternate user/assistant/user/assistant/...", 400),
        ("Developer instruction is not enabled for this model", 400),
    ],
)
def test_a_system_role_that_is_refused_is_folded_into_the_first_user_turn(words: str, status: int) -> None:
    with listening(refusing(system, words, by_turn(ZOOM, ANSWER), status)) as server:
        model = model_at(server, seconds=10)
        assert [run(model, QUESTION, PICTURE).answer for _ in range(2)] == ["B", "B"]
    bodies = [asked.body["messages"] for asked in server.asked]
    assert [system({"messages": messages}) for messages in bodies] == [True, False, False, False, False]
    refused, folded, second = bodies[:3]
    assert folded[0]["role"] == "user"
    assert folded[0]["content"][0]["text"] == refused[0]["content"]
    assert folded[0]["content"][2:] == refused[1]["content"]
    assert second[: len(folded)] == folded


SEVERAL = [
    "At most 1 image(s) may be provided in one request.",
    "You set image=1 (or defaulted to 1) in `--limit-mm-per-prompt`, but passed 2 image items in the same prompt.",
    "This model supports up to 1 image",
    "Multiple images are not supported",
    "Too many images in the request",
]


@pytest.mark.parametrize("words", SEVERAL)
def test_several_pictures_that_are_refused_are_told_and_not_tried_again(words: str) -> None:
    with listening(refusing(lambda body: pictures(body) > 1, words, by_turn(ZOOM, ANSWER))) as server:
        model = model_at(server)
        first, second = (run(model, QUESTION, PICTURE) for _ in range(2))
    assert first.stop is second.stop is Stop.FAILED
    assert "does not take 2 pictures in one request" in str(first.error)
    assert "--limit zooms=0" in str(first.error)
    assert "it refused 2 before" in str(second.error)
    assert len(server.asked) == 2 + 1


def test_as_many_pictures_as_are_taken_are_sent() -> None:
    zooms = [ZOOM.replace("200, 200", f"200, {n}00") for n in (2, 3, 4)]
    with listening(refusing(lambda body: pictures(body) > 3, "At most 3 images", by_turn(*zooms, ANSWER))) as server:
        trace = run(model_at(server), QUESTION, PICTURE)
    assert trace.zooms == 3
    assert "does not take 4 pictures" in str(trace.error)
    assert "--limit zooms=2" in str(trace.error)


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. Your prompt with its images has 5000.",
        "cannot identify image file",
        "image is too large; only images of up to 5 MB are taken",
    ],
)
def test_other_words_about_pictures_teach_nothing(words: str) -> None:
    with listening(refusing(lambda body: pictures(body) > 1, words, by_turn(ZOOM, ANSWER))) as server:
        model = model_at(server)
        trace = run(model, QUESTION, PICTURE)
    assert words[:40] in str(trace.error)
    assert model.known.pictures is None


def test_what_does_not_help_is_not_remembered() -> None:
    """The words name a field, yet the request is refused without it too."""
    with listening(
        refusing(lambda _: True, "seed and system message are fine, but you may not ask", by_turn())
    ) as server:
        model = model_at(server)
        assert "you may not ask" in str(run(model, QUESTION, PICTURE).error)
    assert not model.known.lacks
    assert len(server.asked) == 3


def test_conversations_that_run_together_all_get_through() -> None:
    gate = threading.Barrier(4, timeout=120)

    def at_once(_: dict[str, Any]) -> Reply:
        gate.wait()
        return Reply(b"unknown field: seed", 400)

    def say(body: dict[str, Any]) -> Reply:
        return at_once(body) if "seed" in body else by_turn(ZOOM, ANSWER)(body)

    asked = [(Question(str(n), ("",), "What?"), PICTURE) for n in range(12)]
    with listening(say) as server:
        traces = run_many(model_at(server, batch=4), asked)
    assert [trace.answer for trace in traces] == ["B"] * 12
    assert sum("seed" in asked.body for asked in server.asked) == 4  # the four that were under way, and nobody after
