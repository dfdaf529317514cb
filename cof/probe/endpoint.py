"""What an endpoint takes and says, each found out by one small request: text, system role, several pictures, log-probabilities,
models, context length, and the largest picture.

A request that is refused is a fact too. Nothing is sent that costs more than a picture of 16 megapixels of one colour.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from cof.dialects.named import dialect_of
from cof.models.endpoint import CHAT, Endpoint, address, own_key
from cof.models.faults import Fault
from cof.models.reply import completion
from cof.vision.urls import Wire

SECONDS = 120.0  # for a request
TOKENS = 1024  # most tokens of a reply: room for a short thought
LARGEST = ((1024, 1024), (2048, 2048), (4096, 4096))  # pictures that are tried, in pixels
LENGTHS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx", "n_ctx_train")
GROWTH = 1.5  # from which the prompt of a picture of four times the pixels counts as longer

Message = Mapping[str, Any]


class Probe:
    """Small requests to one model at one endpoint. `thinks` is set by a reply that has a thought."""

    def __init__(self, url: str, model: str, key: str | None, seconds: float = SECONDS) -> None:
        self.place, self.model, self.seconds = address(url), model, seconds
        self.endpoint, self.plain, self.thinks = Endpoint(own_key(key), 1), dialect_of("plain"), False

    def ask(self, messages: Sequence[Message], **more: Any) -> str | Fault:
        """The text that the model says, without its thought, or why there is none."""
        found = self.reply(messages, **more)
        return found if isinstance(found, Fault) else self.words(found)

    def reply(self, messages: Sequence[Message], **more: Any) -> Any:
        """The JSON of a reply, or a Fault. A field that is refused by name is left out or renamed once."""
        body = {"model": self.model, "messages": list(messages), "max_tokens": TOKENS, **more}
        found = self.endpoint.post(self.place, body, time.monotonic() + self.seconds)
        if isinstance(found, Fault) and "max_tokens" in found.text:
            body["max_completion_tokens"] = body.pop("max_tokens")
            found = self.endpoint.post(self.place, body, time.monotonic() + self.seconds)
        return found

    def words(self, reply: Any) -> str | Fault:
        try:
            text = completion(reply, self.plain).text
        except ValueError as error:
            return Fault(str(error))
        thought, closed, rest = text.rpartition(self.plain.think.close)
        self.thinks |= bool(closed and thought.removeprefix(self.plain.think.open).strip())
        return rest.strip()

    def models(self) -> list[Mapping[str, Any]] | Fault:
        """What the endpoint says of its models."""
        found = self.endpoint.get(f"{self.place.removesuffix(CHAT)}/models", time.monotonic() + self.seconds)
        if isinstance(found, Fault):
            return found
        rows = found.get("data") if isinstance(found, dict) else found
        return (
            [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else Fault("its reply is no list")
        )


def picture(image: Image.Image, wire: Wire) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": wire.url(image)}}


def user(*parts: str | dict[str, Any]) -> dict[str, Any]:
    """A user's message of texts and pictures."""
    if all(isinstance(part, str) for part in parts):
        return {"role": "user", "content": " ".join(map(str, parts))}
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}
