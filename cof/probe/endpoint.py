"""Small requests to one model at one endpoint, and the texts of its replies apart from their thoughts.

A request that is refused is a fact too, so that failures are values. Whatever JSON comes back, nothing is raised. Omits
what the requests ask (`rows.py`, `grounding.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from PIL import Image

from cof.dialects import turns
from cof.dialects.named import dialect_of
from cof.models.remote.endpoint import CHAT, Endpoint, address, own_key
from cof.models.remote.faults import Fault
from cof.models.remote.reply import completion
from cof.vision.urls import Wire

SECONDS = 120.0  # for a request
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a request is made again
TOKENS = 4096  # most tokens of a reply: room for a model that thinks at length
ALL_THOUGHT = "all tokens went to its thought"

Message = Mapping[str, Any]


class Probe:
    """Small requests to one model at one endpoint. `thinks` is set by a reply that has a thought."""

    def __init__(self, url: str, model: str, key: str | None, seconds: float = SECONDS) -> None:
        self.place, self.model, self.seconds = address(url), model, seconds
        self.endpoint, self.plain, self.thinks = Endpoint(own_key(key), 1), dialect_of("plain"), False

    def ask(self, messages: Sequence[Message], **more: Any) -> str | Fault:
        """The text that the model writes, without its thought, or why there is none."""
        found = self.reply(messages, **more)
        return found if isinstance(found, Fault) else self.words(found)

    def reply(self, messages: Sequence[Message], **more: Any) -> Any:
        """The JSON of a reply, or a Fault. `max_tokens` is renamed once where it is refused by name."""
        body = {"model": self.model, "messages": list(messages), "max_tokens": TOKENS, **more}
        found = self._post(body)
        if isinstance(found, Fault) and "max_tokens" in found.text:
            body["max_completion_tokens"] = body.pop("max_tokens")
            found = self._post(body)
        return found

    def _post(self, body: Message) -> Any:
        """What may pass, such as a rate limit, is tried once more; an endpoint that is not there is not."""
        found = self.endpoint.post(self.place, body, time.monotonic() + self.seconds)
        if isinstance(found, Fault) and found.passing and (found.status or not found.elsewhere):
            time.sleep(min(max(found.after, PAUSE), LONGEST_PAUSE))
            found = self.endpoint.post(self.place, body, time.monotonic() + self.seconds)
        return found

    def words(self, reply: Any) -> str | Fault:
        """The text of a reply after its thought.

        A reply that was cut off before its thought was closed is all thought, also without an opening tag, which the chat
        template may have written.
        """
        try:
            found = completion(reply, self.plain)
        except ValueError as error:
            return Fault(str(error))
        thoughts = [span for span in turns.spans(self.plain, found.text) if span.kind == "thought"]
        cut = found.finish == "length"
        self.thinks |= any(span.text.strip() for span in thoughts) or (cut and not thoughts)
        if not thoughts[-1].closed if thoughts else cut:
            return Fault(ALL_THOUGHT)
        if cut:
            return Fault(f"its reply was cut off; want an endpoint that takes max_tokens {TOKENS}")
        return found.text[turns.end_of(thoughts[-1]) :].strip() if thoughts else found.text.strip()

    def models(self) -> list[Mapping[str, Any]] | Fault:
        """What the endpoint lists of its models: a row of fields each."""
        found = self.endpoint.get(f"{self.place.removesuffix(CHAT)}/models", time.monotonic() + self.seconds)
        if isinstance(found, Fault):
            return found
        rows = found.get("data") if isinstance(found, dict) else found  # together.ai sends the bare list
        if not isinstance(rows, list):
            return Fault("its reply is no list")
        return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def prompt_tokens(reply: Any) -> int:
    """The tokens that a reply counts for its prompt; 0 where it gives none."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if is_count(count) else 0


def is_count(value: Any) -> TypeGuard[int]:
    """Whether a field of an endpoint's JSON is a number of tokens."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def picture(image: Image.Image, wire: Wire) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": wire.url(image)}}


def user(*parts: str | dict[str, Any]) -> dict[str, Any]:
    """A user's message of texts and pictures."""
    if all(isinstance(part, str) for part in parts):
        return {"role": "user", "content": " ".join(map(str, parts))}
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}
