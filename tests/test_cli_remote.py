"""Endpoints on the command line, in a process of its own: several URLs, keys from files, and what is refused."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from cof.dialects.named import dialect_of
from tests.models.endpoints import ANSWER, ZOOM, by_turn, listening

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "examples" / "plaza.jpg"


def cof(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cof", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def test_an_evaluation_is_spread_over_replicas(tmp_path: Path) -> None:
    with listening(by_turn(ZOOM, ANSWER)) as one, listening(by_turn(ZOOM, ANSWER)) as other:
        options = ["--n", 6, "--side", 448, "--arms", "focus", "--concurrency", 2, "--out", tmp_path / "run"]
        done = cof("eval", "needle", "--url", one.url, "--url", other.url, "--model", "m", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["focus"]["failed"] == 0
    assert min(len(one.asked), len(other.asked)) >= 4
    assert len(one.asked) + len(other.asked) == 12


def test_a_metric_scores_every_question_and_is_named(tmp_path: Path) -> None:
    lines = [{"question": "What does it say?", "image": str(PICTURE), "answer": truth} for truth in ("Boa", "B", "xyz")]
    (tmp_path / "open.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "options.jsonl").write_text(json.dumps(lines[1] | {"choices": ["B", "C"]}) + "\n")
    run = ["--model", "m", "--arms", "focus", "--out", tmp_path / "run"]
    with listening(by_turn("<think>So.</think><answer>Bo</answer>")) as server:
        url = ["eval", "jsonl", "--url", server.url, *run, "--data"]
        refused = [
            cof(*url, tmp_path / "open.jsonl", "--metric", "bleu"),
            cof(*url, tmp_path / "open.jsonl", "--metric", "iou"),
            cof(*url, tmp_path / "options.jsonl", "--metric", "anls"),
        ]
        done = cof(*url, tmp_path / "open.jsonl", "--metric", "anls")
        other = cof(*url, tmp_path / "open.jsonl", "--metric", "relaxed")
    words = [
        "want one of match, anls, relaxed, iou",
        "the truth 'Boa' is no box",
        "has options, which are right or wrong",
    ]
    for each, word in zip(refused, words, strict=True):
        assert (each.returncode, each.stderr.count("\n")) == (2, 1), each.stderr
        assert word in each.stderr
    assert done.returncode == 0, done.stderr
    arm = json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["focus"]
    assert (arm["metric"], arm["n"]) == ("anls", 3)
    assert abs(arm["accuracy"] - (2 / 3 + 1 / 2 + 0) / 3) < 1e-9
    assert "38.9 anls" in done.stdout
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["metric"] == "anls"
    assert other.returncode == 2, other.stderr
    assert "has other settings: metric" in other.stderr


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    with listening(by_turn(ANSWER)) as server:
        done = cof("ask", PICTURE, "What?", "--url", server.url, "--key-file", tmp_path / "key", "--json")
    assert json.loads(done.stdout)["answer"] == "B", done.stderr
    assert server.asked[0].headers["Authorization"] == "Bearer secret"


def test_bad_endpoints_and_keys_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "two").write_text("one two")
    url = ["--url", "http://127.0.0.1:9/v1"]
    for options, words in (
        (["--url", "http://me:hush@127.0.0.1/v1"], "keys in a file"),
        (["--url", "127.0.0.1:8000"], "is no endpoint"),
        ([*url, "--key-file", tmp_path / "empty"], "holds no key"),
        ([*url, "--key-file", tmp_path / "two"], "want printable ASCII"),
        ([*url, "--key-file", tmp_path / "none"], "No such file"),
        ([*url, "--adapter", "x"], "let its server load it"),
        (["--key-file", tmp_path / "two"], "leave it out"),
    ):
        done = cof("ask", PICTURE, "What?", *options)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "hush" not in done.stderr
        assert "one two" not in done.stderr


def test_a_server_has_several_upstreams_and_their_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    image = base64.b64encode(PICTURE.read_bytes()).decode()
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
    ]
    with listening(by_turn(ANSWER)) as one, listening(by_turn(ANSWER)) as other:
        options = ["--upstream", one.url, "--upstream", other.url, "--upstream-key-file", str(tmp_path / "key")]
        command = [sys.executable, "-m", "cof", "serve", "--model", "m", "--port", "0", *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            for _ in range(4):
                body = {"messages": [{"role": "user", "content": parts}]}
                reply = httpx.post(f"{found[0]}/chat/completions", json=body, timeout=60).json()
                assert reply["choices"][0]["message"]["content"] == "B"
        finally:
            server.kill()
            server.communicate()
    assert (len(one.asked), len(other.asked)) == (2, 2)
    assert {asked.headers["Authorization"] for asked in (*one.asked, *other.asked)} == {"Bearer secret"}


def test_the_family_in_the_docs_can_be_used(tmp_path: Path) -> None:
    written = re.search(r"```toml\n(name = .*?)```", (ROOT / "docs" / "dialects.md").read_text(), re.DOTALL)
    assert written is not None
    (tmp_path / "native.toml").write_text(written[1])
    assert dialect_of(str(tmp_path / "native.toml")).native == "tool"
