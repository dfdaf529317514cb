"""The server on loopback, with the embedded model, asked by the official client."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from cof.loop.setting import setting_of
from cof.models.remote.model import RemoteModel
from cof.needle.samples import jpeg_of, samples
from cof.types import Limits
from tests.patience import PATIENCE
from tests.serve.conftest import start

JSON = {"Content-Type": "application/json"}
EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTION = (EXAMPLES / "plaza.txt").read_text().strip()
ANSWER = (EXAMPLES / "plaza.answer").read_text().strip()


def data_url(file: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(file).decode()


PLAZA = data_url((EXAMPLES / "plaza.jpg").read_bytes())


def asked(text: str = QUESTION, url: str = PLAZA) -> Any:
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_the_official_client_gets_the_answer(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="nano", messages=asked(), max_tokens=64)
    assert reply.choices[0].message.content == ANSWER
    assert reply.choices[0].finish_reason == "stop"
    assert "looks at" in reply.choices[0].message.reasoning_content  # type: ignore[attr-defined]
    assert reply.usage is not None
    assert reply.usage.completion_tokens > 5
    told: dict[str, Any] = reply.cof  # type: ignore[attr-defined]
    assert told["zooms"] >= 1
    assert told["stop"] == "answer"
    assert all(0 <= v <= 3840 for box in told["boxes"] for v in box)


def test_the_official_client_gets_the_answer_in_pieces(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="nano", messages=asked(), stream=True)
    pieces = list(stream)
    deltas = [piece.choices[0].delta for piece in pieces]
    assert "".join(delta.content or "" for delta in deltas) == ANSWER
    thoughts = [thought for delta in deltas if (thought := getattr(delta, "reasoning_content", None))]
    assert len(thoughts) >= 2
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert len({piece.id for piece in pieces}) == 1


def test_curl_gets_the_answer(url: str, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"messages": asked()}))
    command = ["curl", "-sS", f"{url}/v1/chat/completions", "-H", "Content-Type: application/json"]
    done = subprocess.run([*command, "-d", f"@{tmp_path / 'body.json'}"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == ANSWER


def test_cof_ask_asks_the_server(url: str) -> None:
    """Whatever the model's name: the server is known by its list of models, and looks closer by itself."""
    options = ["--url", f"{url}/v1", "--json"]
    command = [sys.executable, "-m", "cof", "ask", str(EXAMPLES / "plaza.jpg"), QUESTION, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == ANSWER
    assert "the dialect is served, as the endpoint is a server of cof" in done.stderr


def test_a_model_that_does_not_speak_the_dialect_is_told(url: str) -> None:
    command = [sys.executable, "-m", "cof", "ask", str(EXAMPLES / "plaza.jpg"), QUESTION, "--url", f"{url}/v1"]
    done = subprocess.run(
        [*command, "--dialect", "cof", "--limit", "turns=1"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert "turns was a call or an answer in the dialect 'cof'; the last was '" in done.stderr


def test_a_server_of_cof_is_asked_for_answers_also_by_a_familys_name(url: str) -> None:
    for name, dialect in (("nano", "served"), ("qwen3-vl", "qwen3-vl")):  # it has no model of the second name
        model = RemoteModel(f"{url}/v1", name)
        setting = setting_of(model)
        assert (setting.dialect.name, setting.limits.zooms) == (dialect, 0 if dialect == "served" else Limits().zooms)
        model._endpoint.close()


def test_traces_are_kept_and_shown(url: str) -> None:
    reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": asked()}, timeout=PATIENCE).json()
    name = reply["cof"]["trace"]
    trace = httpx.get(f"{url}/v1/traces/{name}", timeout=PATIENCE).json()
    assert trace["id"] == name
    assert trace["question"]["text"] == QUESTION
    page = httpx.get(f"{url}/traces/{name}", timeout=PATIENCE)
    assert page.headers["content-type"].startswith("text/html")
    assert "<img" in page.text
    assert httpx.get(f"{url}/v1/traces/none", timeout=PATIENCE).status_code == 404
    assert 'cof_questions_total{stop="answer"}' in httpx.get(f"{url}/metrics", timeout=PATIENCE).text
    assert httpx.get(f"{url}/v1/models", timeout=PATIENCE).json()["data"][0]["id"] == "nano"


def test_extensions(url: str) -> None:
    def ask(**cof: Any) -> dict[str, Any]:
        found: dict[str, Any] = httpx.post(
            f"{url}/v1/chat/completions", json={"messages": asked(), "cof": cof}, timeout=PATIENCE
        ).json()
        return found

    others = [letter for letter in "BCD" if letter != ANSWER]
    assert ask(choices=[*others, ANSWER], letter=True)["choices"][0]["message"]["content"] == "ABCD"[len(others)]
    assert ask(policy="direct")["cof"]["zooms"] == 0
    assert ask(limits={"zooms": 0})["cof"]["zooms"] == 0
    assert ask(limits={"turns": 1})["cof"]["stop"] in ("turns", "answer")


def test_a_body_that_is_too_large_is_refused(url: str) -> None:
    reply = httpx.post(f"{url}/v1/chat/completions", content=b"x" * (33 * 2**20), headers=JSON, timeout=PATIENCE)
    assert reply.status_code == 413


@pytest.mark.long
def test_many_clients_get_their_own_answers(client: openai.OpenAI) -> None:
    """Each the answer that the model gives to the question alone."""
    pictures = [(sample.question.text, data_url(jpeg_of(sample))) for sample in samples("validation", 11, 8, 896)]

    def ask(of: tuple[str, str]) -> str:
        reply = client.chat.completions.create(model="nano", messages=asked(*of))
        return str(reply.choices[0].message.content)

    alone = [ask(of) for of in pictures]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, pictures * 3))
    assert together == alone * 3
    assert len(set(alone)) > 2


def test_the_model_is_found_by_its_name_alone(client: openai.OpenAI) -> None:
    assert client.models.retrieve("nano").id == "nano"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.models.retrieve("some/other")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_stops_costing(url: str, client: openai.OpenAI, stream: bool) -> None:
    def metric(*names: str) -> float:
        text = httpx.get(f"{url}/metrics", timeout=PATIENCE).text
        return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(names))

    def running() -> float:
        return metric("cof_running ", "cof_waiting ")

    def hang_up() -> None:
        body = {"messages": asked(), "stream": stream}
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{url}/v1/chat/completions", json=body, timeout=0.05)

    before = metric('cof_questions_total{stop="gone"}')

    people = [threading.Thread(target=hang_up) for _ in range(24)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    end = time.monotonic() + PATIENCE
    while running() and time.monotonic() < end:
        time.sleep(0.1)
    assert running() == 0
    assert metric('cof_questions_total{stop="gone"}') > before
    assert client.chat.completions.create(model="nano", messages=asked()).choices[0].message.content == "K"


@pytest.mark.long
def test_too_many_are_told_to_try_again_and_strangers_to_show_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    server, url = start("--waiting", "1", "--concurrency", "1", "--key-file", str(key))
    try:
        assert httpx.get(f"{url}/v1/models", timeout=PATIENCE).status_code == 401
        assert (
            httpx.get(f"{url}/v1/models", headers={"Authorization": "Bearer wrong"}, timeout=PATIENCE).status_code
            == 401
        )
        headers = {"Authorization": "Bearer secret"}

        def ask(_: int) -> httpx.Response:
            return httpx.post(
                f"{url}/v1/chat/completions", json={"messages": asked()}, headers=headers, timeout=PATIENCE
            )

        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(ask, range(8)))
        assert {reply.status_code for reply in replies} == {200, 429}
        assert all(reply.headers["Retry-After"] == "1" for reply in replies if reply.status_code == 429)
    finally:
        server.kill()
        server.wait()


@pytest.mark.long
def test_who_may_not_wait_may_still_be_asked() -> None:
    server, url = start("--waiting", "0", "--concurrency", "2")
    try:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": asked()}, timeout=PATIENCE)
        assert reply.status_code == 200
    finally:
        server.kill()
        server.wait()


def test_an_answer_that_a_limit_came_before_is_told_so(client: openai.OpenAI) -> None:
    extra = {"cof": {"limits": {"zooms": 0}}}
    reply = client.chat.completions.create(model="nano", messages=asked(), extra_body=extra)
    assert reply.choices[0].message.content == ""
    assert reply.choices[0].finish_reason == "length"
    assert "is not shown" in reply.choices[0].message.reasoning_content  # type: ignore[attr-defined]


def test_a_port_in_use_is_one_line(url: str) -> None:
    command = [sys.executable, "-m", "cof", "serve", "--port", url.rpartition(":")[2]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "want another --port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_host_that_others_reach_wants_a_key() -> None:
    command = [sys.executable, "-m", "cof", "serve", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "no key is set" in done.stderr
