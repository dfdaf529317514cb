"""A model whose words are hostile: what it says stays words, wherever the server shows it. And what arrives too slowly."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from cof.errors import ModelError
from cof.models.base import Request
from cof.models.scripted import Line, ScriptedModel
from cof.serve.api import make_app
from cof.serve.service import Service
from tests.patience import PATIENCE
from tests.serve.test_hostile import HEAD, as_url, picture

MARKUP = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">'
BOXES = (
    "[NaN, 0, 10, 10]",
    "[0, 0, Infinity, 10]",
    "[1e400, 0, 1, 1]",
    f"[0, 0, 1{'0' * 400}, 1]",
    "[10, 10, 5, 5]",
    "null",
)
ASKED = {
    "role": "user",
    "content": [
        {"type": "image_url", "image_url": {"url": as_url(picture((300, 200)))}},
        {"type": "text", "text": "What is it?"},
    ],
}


@contextmanager
def served(lines: Sequence[Line], service: Service = Service()) -> Iterator[str]:
    """A real server on loopback whose model says these lines."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(ScriptedModel(lines), service), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def call(box: str, label: str = "it") -> str:
    arguments = '{"bbox_2d": ' + box + ', "label": ' + json.dumps(label) + "}"
    return f'<think>{MARKUP}</think><tool_call>{{"name": "image_zoom_in_tool", "arguments": {arguments}}}</tool_call>'


def test_what_cannot_be_read_is_a_line_for_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    with served(["neither call nor answer \x1b[31m"]) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, timeout=PATIENCE).json()
    assert reply["choices"][0]["finish_reason"] == "length"
    (line,) = (record.getMessage() for record in caplog.records if record.name == "cof.serve.server")
    assert reply["cof"]["trace"] in line
    assert "want the model's own --dialect" in line
    assert line.isprintable()


def test_a_model_that_fails_is_a_line_for_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Request) -> str:
        raise ModelError("the endpoint at 10.0.0.7 is on fire")

    with served([fail]) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, timeout=PATIENCE)
    assert reply.status_code == 502
    (line,) = (record.getMessage() for record in caplog.records if record.name == "cof.serve.server")
    assert "10.0.0.7 is on fire" in line
    assert "10.0.0.7" not in reply.text


def test_markup_stays_words() -> None:
    lines = [call("[10, 10, 100, 100]", MARKUP), f"<think>{MARKUP}</think><answer>{MARKUP}</answer>"]
    with served(lines) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, timeout=PATIENCE)
        page = httpx.get(f"{url}/traces/{reply.json()['cof']['trace']}", timeout=PATIENCE)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["choices"][0]["message"]["content"] == MARKUP
    assert "<script>document" not in page.text
    assert "&lt;script&gt;document" in page.text


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box[:20])
def test_a_box_that_is_none_is_answered(box: str) -> None:
    with served([call(box), "<think></think><answer>A</answer>"]) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, timeout=PATIENCE).json()
        trace = httpx.get(f"{url}/v1/traces/{reply['cof']['trace']}", timeout=PATIENCE)
    assert reply["choices"][0]["message"]["content"] == "A"
    assert reply["cof"]["zooms"] == 0
    assert trace.status_code == 200


def test_what_arrives_too_slowly_is_told_so() -> None:
    with served(["<answer>A</answer>"], Service(body_seconds=0.3)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 20) as slow:
            slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")


def test_few_traces_are_kept_and_their_files_have_a_limit() -> None:
    file = len(picture((300, 200)))
    with served(["<answer>A</answer>"] * 4, Service(max_traces=3, max_trace_bytes=2 * file)) as url:
        names = [
            httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, timeout=PATIENCE).json()["cof"][
                "trace"
            ]
            for _ in range(4)
        ]
        assert [httpx.get(f"{url}/v1/traces/{name}", timeout=PATIENCE).status_code for name in names] == [
            404,
            404,
            200,
            200,
        ]
