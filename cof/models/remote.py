"""A model behind any OpenAI-compatible chat endpoint. Calls are plain assistant text, crops come back in user turns.

Earlier messages are byte for byte the same from turn to turn, so that the server's prefix cache hits. Keys come from the
environment only. Omits streaming, native tool calls and a turn that must begin with given text.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

import httpx
from PIL import Image

from cof.dialects.dialect import Dialect
from cof.errors import ModelError
from cof.models.base import Conversation, Request, Usage
from cof.types import Completion, View

KEY = "OPENAI_API_KEY"  # environment variable
RETRIES = 4
PAUSE = 0.5  # seconds before the first retry; doubled each time
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # statuses that may pass


class RemoteModel:
    """Continues conversations at `url` (up to and without `/chat/completions`), `batch` of them at a time."""

    def __init__(self, url: str, model: str, batch: int = 16, seconds: float = 120.0, key: str | None = None) -> None:
        self.name, self.batch = model, batch
        key = key if key is not None else os.environ.get(KEY, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=seconds)
        self.usage, self._lock = Usage(), Lock()

    @property
    def fingerprint(self) -> str:
        """Where the model is: what lies there cannot be seen from here."""
        return f"{self._client.base_url}{self.name}"

    def converse(self, conversations: Iterable[Conversation]) -> None:
        with ThreadPoolExecutor(self.batch) as pool:
            running: set[Future[None]] = set()
            for conversation in conversations:
                running.add(pool.submit(self._talk, conversation))
                if len(running) >= self.batch:
                    running = _settled(running)
            while running:
                running = _settled(running)

    def _talk(self, conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            began = time.monotonic()
            try:
                heard: Completion | ModelError = self._complete(request)
            except ModelError as error:
                heard = error
            seconds = time.monotonic() - began
            if isinstance(heard, Completion):
                with self._lock:
                    self.usage.add(Usage(heard.prompt_tokens, heard.tokens, len(request.pixels), seconds))
            conversation.hear(heard, seconds)

    def _complete(self, request: Request) -> Completion:
        if request.prefix:
            raise ModelError(
                f"{self.name} is remote and cannot be made to begin a turn with given text; use another arm"
            )
        sampling = request.sampling
        body = {
            "model": self.name,
            "messages": list(_messages(request)),
            "max_tokens": sampling.tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        reply = self._post(body)
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            text = _text(choice["message"], request.dialect)
            cut = choice.get("finish_reason") == "length"
            tokens, prompt = int(usage.get("completion_tokens", 0)), int(usage.get("prompt_tokens", 0))
            return Completion(text, tokens, prompt, 0, "length" if cut else "stop")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise ModelError(f"{self.name} sent no chat completion; want an OpenAI-compatible endpoint") from None

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        """The endpoint's answer, tried again after what may pass."""
        fault = ""
        for pause in (*(PAUSE * 2**n for n in range(RETRIES)), None):
            try:
                reply = self._client.post("chat/completions", json=body)
                if reply.is_success:
                    found: dict[str, Any] = reply.json()
                    return found
                fault = f"status {reply.status_code}: {' '.join(reply.text.split())[:200]}"
                if reply.status_code not in RETRIED:
                    break
            except ValueError:
                fault = "an answer that is not JSON"
                break
            except httpx.HTTPError as error:
                fault = f"{type(error).__name__}: {error}"
            if pause is not None:
                time.sleep(pause)
        raise ModelError(f"{self.name} at {self._client.base_url} did not answer ({fault})")


def _text(message: Mapping[str, Any], dialect: Dialect) -> str:
    """What the model said. Some servers take a turn apart into its thought, its calls and the rest."""
    if (
        not any(message.get(part) for part in ("content", "tool_calls", "reasoning_content"))
        and "content" not in message
    ):
        raise KeyError("content")
    calls = [(str(call["function"]["name"]), _arguments(call)) for call in message.get("tool_calls") or ()]
    return dialect.spoken(str(message.get("reasoning_content") or ""), str(message.get("content") or ""), calls)


def _arguments(call: Mapping[str, Any]) -> str:
    given = call["function"]["arguments"]
    return given if isinstance(given, str) else json.dumps(given)


def _settled(running: set[Future[None]]) -> set[Future[None]]:
    """Those still running after at least one ended; what went wrong in one is raised."""
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return rest


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    for message in request.messages:
        parts = [_part(part, request) for part in message.parts]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        yield {"role": message.role, "content": "".join(texts) if len(texts) == len(parts) else parts}


def _part(part: str | View, request: Request) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": _data_url(request.pixels[part])}}


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
