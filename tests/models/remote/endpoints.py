"""Real HTTP endpoints on loopback that say what a test tells them to, and keep what they were sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from cof.models.remote.model import RemoteModel
from cof.types import Question

PICTURE = Image.effect_noise((448, 448), 80).convert("RGB")
QUESTION = Question("q", ("",), "What?")
ZOOM = '<think></think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 200, 200]}}</tool_call>'
ANSWER = "<answer>B</answer>"


@dataclass(frozen=True)
class Reply:
    """`text` is what the model says, or the body as it stands where it is bytes. Status 0: hang up without a word."""

    text: str | bytes = ANSWER
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.text if isinstance(self.text, bytes) else json.dumps(chat(content=self.text)).encode()


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


Say = Callable[[dict[str, Any]], Reply]


class Endpoint(ThreadingHTTPServer):
    """Replies to a request's body as `say` does, and to one for its models with `listing`. Handlers end with the server."""

    daemon_threads = True

    def __init__(self, say: Say, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.say, self.asked, self.lock = say, list[Asked](), threading.Lock()
        self.listing, self.listed = Reply(b'{"detail": "Not Found"}', 404), list[Asked]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        asked = Asked(self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(asked)
        self._reply(self.server.say(asked.body))

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.listed.append(Asked(self.path, dict(self.headers), b""))
        self._reply(self.server.listing)

    def _reply(self, reply: Reply) -> None:
        if reply.status == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(say: Say, port: int = 0) -> Iterator[Endpoint]:
    with Endpoint(say, port) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def in_turn(*replies: Reply) -> Say:
    """One reply a request, the last for ever."""
    left, lock = list(replies), threading.Lock()

    def say(_: dict[str, Any]) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return say


def by_turn(*texts: str) -> Say:
    """What the conversation's n-th assistant turn is, whoever else asks; the last for ever."""

    def say(body: dict[str, Any]) -> Reply:
        spoken = sum(message["role"] == "assistant" for message in body["messages"])
        return Reply(texts[min(spoken, len(texts) - 1)])

    return say


def refusing(when: Callable[[dict[str, Any]], bool], words: str | bytes, then: Say, status: int = 400) -> Say:
    """Refuses what `when` says with an error in OpenAI's form, or as it stands where it is bytes; replies as `then` else."""
    said = words if isinstance(words, bytes) else json.dumps({"error": {"message": words, "param": None}}).encode()
    return lambda body: Reply(said, status) if when(body) else then(body)


def models(*names: str) -> Reply:
    """A list of models, as OpenAI and vLLM have it."""
    rows = [{"id": name, "object": "model", "created": 1, "owned_by": "someone"} for name in names]
    return Reply(json.dumps({"object": "list", "data": rows}).encode())


def chat(finish: str = "stop", **message: object) -> dict[str, object]:
    usage = {"prompt_tokens": 300, "completion_tokens": 7}
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}], "usage": usage}


def called(*boxes: list[int], **more: object) -> Reply:
    """A turn of native calls."""
    calls = [
        {"type": "function", "function": {"name": "image_zoom_in_tool", "arguments": json.dumps({"bbox_2d": box})}}
        for box in boxes
    ]
    return Reply(json.dumps(chat("tool_calls", **{"content": None, "tool_calls": calls, **more})).encode())


def model_at(*endpoints: Endpoint, **options: Any) -> RemoteModel:
    """A model that waits no longer than tests like."""
    return RemoteModel([each.url for each in endpoints], "some-model", **{"pause": 0.001, "key": "", **options})
