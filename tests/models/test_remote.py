"""A remote model against a real HTTP server on loopback, which says what it is told to say."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from cof.focus.loop import Setting, run, run_many
from cof.models import remote
from cof.models.remote import RemoteModel
from cof.types import Question, Stop

PICTURE = Image.effect_noise((448, 448), 80).convert("RGB")
ZOOM = '<think></think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 200, 200]}}</tool_call>'


class Endpoint(BaseHTTPRequestHandler):
    """Answers `server.replies` in turn, (status, body); the last for ever. Keeps what it was sent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:  # type: ignore[attr-defined]
            self.server.asked.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
            replies = self.server.replies  # type: ignore[attr-defined]
            status, text = replies.pop(0) if len(replies) > 1 else replies[0]
        content = text if isinstance(text, bytes) else json.dumps(chat(text)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def chat(text: str) -> dict[str, object]:
    usage = {"prompt_tokens": 300, "completion_tokens": 7}
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage}


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as found:
        found.lock, found.asked, found.replies = threading.Lock(), [], [(200, "<answer>B</answer>")]
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def model_at(server: ThreadingHTTPServer, **options: object) -> RemoteModel:
    return RemoteModel(f"http://127.0.0.1:{server.server_address[1]}/v1", "some-model", **options)  # type: ignore[arg-type]


def test_a_zoom_and_an_answer(server) -> None:
    server.replies[:] = [(200, ZOOM), (200, "<answer>B</answer>")]
    trace = run(model_at(server), Question("q", "", "What?"), PICTURE)
    assert (trace.answer, trace.zooms, trace.stop, trace.model) == ("B", 1, Stop.ANSWER, "some-model")
    assert trace.turns[0].completion.tokens == 7
    (path, _, first), (_, _, second) = server.asked
    assert path == "/v1/chat/completions"
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    url = first["messages"][1]["content"][0]["image_url"]["url"]
    shown = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    assert shown.size == trace.overview.size


def test_what_may_pass_is_tried_again(server, monkeypatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    server.replies[:] = [(429, b"slow down"), (503, b""), (200, "<answer>B</answer>")]
    assert run(model_at(server), Question("q", "", "What?"), PICTURE).answer == "B"
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"no key", "status 401: no key"),
        (422, b"bad", "status 422"),
        (200, b"hello", "an answer that is not JSON"),
        (200, b"{}", "sent no chat completion"),
    ],
)
def test_what_cannot_pass_fails_at_once_in_one_line(server, status, body, words) -> None:
    server.replies[:] = [(status, body)]
    trace = run(model_at(server), Question("q", "", "What?"), PICTURE)
    assert trace.stop is Stop.FAILED
    assert words in str(trace.error)
    assert "\n" not in str(trace.error)
    assert len(server.asked) == 1


def test_many_at_once_are_not_crossed(server) -> None:
    asked = [(Question(str(n), "", f"What is {n}?"), PICTURE) for n in range(12)]
    traces = run_many(model_at(server, batch=4), asked, Setting())
    assert [trace.id for trace in traces] == [str(n) for n in range(12)]
    assert all(trace.answer == "B" for trace in traces)


def test_the_key_comes_from_the_environment(server, monkeypatch) -> None:
    monkeypatch.setenv(remote.KEY, "secret")
    run(model_at(server), Question("q", "", "What?"), PICTURE)
    assert server.asked[0][1]["Authorization"] == "Bearer secret"


def test_an_endpoint_that_is_not_there(monkeypatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    trace = run(RemoteModel("http://127.0.0.1:9/v1", "m"), Question("q", "", "What?"), PICTURE)
    assert trace.stop is Stop.FAILED
    assert "did not answer" in str(trace.error)


def message(**parts: object) -> bytes:
    return json.dumps({"choices": [{"message": parts, "finish_reason": "tool_calls"}]}).encode()


@pytest.mark.parametrize("given", [{"bbox_2d": [100, 100, 200, 200]}, '{"bbox_2d": [100, 100, 200, 200]}'])
def test_a_turn_that_the_server_took_apart_is_put_together(server: ThreadingHTTPServer, given: object) -> None:
    call = {"type": "function", "function": {"name": "image_zoom_in_tool", "arguments": given}}
    server.replies = [  # type: ignore[attr-defined]
        (200, message(content=None, reasoning_content="It is small.", tool_calls=[call])),
        (200, message(content="<answer>B</answer>", reasoning_content="I see it.")),
    ]
    trace = run(model_at(server), Question("1", "", "Which?"), PICTURE, Setting())
    assert (trace.answer, trace.zooms) == ("B", 1)
    assert [turn.action.thought for turn in trace.turns] == ["It is small.", "I see it."]  # type: ignore[union-attr]


@pytest.mark.parametrize("body", [message(), b'{"choices": [{"message": "hi"}]}', b'{"choices": []}', b"[]"])
def test_what_is_no_completion_fails_the_run_and_nothing_else(server: ThreadingHTTPServer, body: bytes) -> None:
    server.replies = [(200, body), (200, "<answer>B</answer>")]  # type: ignore[attr-defined]
    asked = [(Question(str(n), "", "Which?"), PICTURE) for n in range(2)]
    first, second = run_many(model_at(server, batch=1), asked)
    assert first.stop is Stop.FAILED
    assert "no chat completion" in str(first.error)
    assert second.answer == "B"
