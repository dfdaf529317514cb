"""Errors within a reply, and what a refusal says of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cof.models.remote.faults import within, words_of


@pytest.mark.parametrize(
    ("reply", "status", "text"),
    [
        ({"error": {"message": "Rate limit exceeded", "code": 429}}, 429, "Rate limit exceeded"),
        ({"error": {"message": "busy", "code": "429"}}, 429, "busy"),
        ({"error": {"message": "busy", "code": "rate_limit_exceeded"}}, 429, "busy"),
        ({"error": {"message": "busy", "code": None, "type": "overloaded_error"}}, 503, "busy"),
        ({"error": {"message": "over", "status": "RESOURCE_EXHAUSTED"}}, 429, "over"),
        ({"error": {"message": "over", "type": "server_error"}}, 500, "over"),
        ({"error": {"message": "who?", "code": "invalid_api_key"}}, 401, "who?"),
        ({"error": {"message": "what?", "code": "model_not_found"}}, 404, "what?"),
        ({"error": {"message": "no", "code": 1213}}, 400, "no"),
        ({"error": {"message": "no", "code": True}}, 400, "no"),
        ({"error": "it broke"}, 400, "it broke"),
        ({"error": {"reason": "odd"}}, 400, '{"reason": "odd"}'),
        ({"error": {"message": "no"}, "choices": []}, 400, "no"),
        ({"choices": [{"error": {"message": "upstream", "code": 502}, "message": {"content": "ha"}}]}, 502, "upstream"),
        ({"choices": [{"finish_reason": "error", "message": {"content": "ha"}}]}, 502, "the turn broke off"),
        ({"object": "error", "message": "too long", "code": 40303}, 400, "too long"),
        (
            {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "x is rate-limited"}}},
            429,
            "Provider returned error: x is rate-limited",
        ),
    ],
)
def test_an_error_within_a_reply(reply: Any, status: int, text: str) -> None:
    assert within(reply) == (status, text)
    assert within(json.loads(json.dumps(reply))) == (status, text)


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": [{"message": {"content": "error"}}]},
        {"error": None, "choices": [{"message": {"content": "a"}, "error": None}]},
        {"error": {}, "choices": [{"message": {"content": "a"}}]},
        {"object": "chat.completion", "choices": []},
        {"choices": ["error"]},
        {"choices": None},
        [],
        "error",
        None,
    ],
)
def test_no_error_within_a_reply(reply: Any) -> None:
    assert within(reply) is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"plain", "plain"),
        (b'{"error": {"message": "a", "param": "seed"}}', "a (seed)"),
        (b'{"error": {"message": "a", "param": null}}', "a"),
        (b'{"error": {"message": "a", "metadata": {"provider_name": "b"}}}', "a"),
        (b'{"message": "a"}', "a"),
        (b'{"detail": "a"}', "a"),
        (b'[{"error": {"message": "a"}}]', "a"),
        (b'{"detail": [{"msg": "a", "loc": ["body", "seed"]}]}', "a (body.seed)"),
        (b'{"error": 5}', '{"error": 5}'),
        (b"[]", "[]"),
        (b"\xff", "\ufffd"),
    ],
)
def test_what_a_refusal_says(content: bytes, text: str) -> None:
    assert words_of(content) == text
