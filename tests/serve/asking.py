"""What the tests of requests ask a real server on loopback with a scripted model."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.patience import PATIENCE
from tests.serve.test_hostile import as_url, picture

RED, BLUE = as_url(picture((300, 200))), as_url(picture((300, 201)))
QUESTION = "What is it?"


def image(url: str = RED, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def user(*parts: Any) -> dict[str, Any]:
    """A user message of texts and parts."""
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}


ASKED = user(QUESTION, image())


def post(url: str, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
    body = {"messages": list(messages) or [ASKED], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE)


def content(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return str(reply.json()["choices"][0]["message"]["content"])


def refused(reply: httpx.Response) -> tuple[str | None, str]:
    """The field and the sentence of a refusal with status 400."""
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert len(error["message"].splitlines()) == 1
    return error["param"], error["message"]


def events(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    return [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
