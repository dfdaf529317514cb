"""Against `transformers serve` on loopback, with the embedded model: a question, an evaluation, a whole build of data."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from cof.models.named import embedded_folder
from cof.probe.check import check
from tests.patience import PATIENCE

pytestmark = pytest.mark.long

START = 120.0  # seconds that a server may take to load


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.serving", str(embedded_folder()), str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(page: str, server: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(page, timeout=PATIENCE).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start; its exit code is {server.poll()}")


def test_a_question_over_the_wire_gets_the_answer_it_gets_here(url: str) -> None:
    examples = Path(__file__).parents[1] / "examples"
    question = (examples / "plaza.txt").read_text().strip()
    options = ["--url", url, "--model", str(embedded_folder()), "--dialect", "nano", "--json"]
    command = [sys.executable, "-m", "cof", "ask", str(examples / "plaza.jpg"), question, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answer"] == (examples / "plaza.answer").read_text().strip()
    assert found["zooms"] >= 1


def test_an_evaluation_over_the_wire_counts_what_the_server_counts(url: str, tmp_path: Path) -> None:
    options = ["--url", url, "--model", str(embedded_folder()), "--dialect", "nano", "--n", "3", "--side", "448"]
    command = [sys.executable, "-m", "cof", "eval", "needle", *options, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr
    arms = json.loads((tmp_path / "run" / "report.json").read_text())["arms"]
    assert arms["own"]["n"] == arms["direct"]["n"] == 3
    assert arms["own"]["failed"] == 0
    assert "sampled 0" not in done.stderr


def test_an_evaluation_in_which_everything_failed_is_a_failure(tmp_path: Path) -> None:
    options = ["--url", f"http://127.0.0.1:{free_port()}/v1", "--model", "x", "--n", "1", "--side", "448"]
    command = [sys.executable, "-m", "cof", "eval", "needle", *options, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 1
    assert "all of 2 questions failed" in done.stderr.strip().splitlines()[-1]
    assert "ConnectError" in done.stderr.strip().splitlines()[-1]


def build(out: Path, roles: str) -> dict[str, float]:
    (out / "roles.toml").write_text(roles)
    options = ["--n", "3", "--side", "448", "--concurrency", "3", "--roles", str(out / "roles.toml")]
    command = [sys.executable, "-m", "cof", "data", "build", *options, "--out", str(out / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000)
    found: dict[str, float] = json.loads((out / "run" / "stats.json").read_text())
    assert done.returncode == (0 if found["asked"] else 1), done.stderr
    return found


def test_a_build_runs_to_its_end_and_counts_what_cannot_be_read(url: str, tmp_path: Path) -> None:
    """nano can answer as the target; it was never taught the other parts, and says what nobody can read."""
    stats = build(tmp_path, f'[everyone]\nurl = "{url}"\nmodel = "{embedded_folder()}"\n')
    assert stats["asked"] + stats["dropped"]["failed"] == 3  # type: ignore[index]
    assert stats["malformed"] > 0
    assert stats["tokens"] > 0


def test_a_check_says_what_the_server_takes(url: str) -> None:
    """As far as a CPU replies in a minute; nano cannot name the boxes of the pictures that come then."""
    with closing(check(url, str(embedded_folder()), "")) as every:  # type: ignore[type-var]
        rows = {row.name: row for row in islice(every, 3)}
    assert list(rows) == ["models", "text", "system role"]
    assert rows["text"].good, rows
    assert rows["system role"].text == "yes"


def test_a_check_of_our_own_server_leaves_the_zooms_to_it() -> None:
    port = free_port()
    command = [sys.executable, "-m", "cof", "serve", "--model", "nano", "--port", str(port), "--limit", "turns=2"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        check_it = [sys.executable, "-m", "cof", "check", "--url", f"http://127.0.0.1:{port}/v1"]
        done = subprocess.run(check_it, capture_output=True, text=True, timeout=1000)
    finally:
        server.kill()
        server.wait()
    assert done.returncode == 0, done.stdout
    assert "  models              nano\n" in done.stdout
    assert "served, as the endpoint is a server of cof" in done.stdout
    assert "  zoom                left to the server: " in done.stdout


def test_time_outs_are_tried_again_and_counted(url: str, tmp_path: Path) -> None:
    stats = build(tmp_path, f'retries = 1\n[everyone]\nurl = "{url}"\nmodel = "{embedded_folder()}"\nseconds = 0.001\n')
    assert stats["dropped"]["failed"] == 3  # type: ignore[index]
    assert stats["unanswered"] == 6
