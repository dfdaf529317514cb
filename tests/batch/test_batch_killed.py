"""`cof batch` as a process, with a real endpoint: killed at any moment, it or its workers, it gives the same answers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from cof.batch.job import JobRow
from cof.batch.record import ANSWERS, TRACES, JobRecord, RowOutcome
from cof.batch.run import run_job
from cof.runs import RunDir
from tests.memory import peak
from tests.models.remote.endpoints import Reply, listening, models
from tests.patience import PATIENCE

ROWS, MOMENTS = 500, 10
MANY = 1_000_000
ZOOM = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 10, 60, 60]}}</tool_call>'


def say(body: dict[str, Any]) -> Reply:
    """A zoom, then an answer that hangs on the question."""
    texts = json.dumps(body["messages"])
    number = int(texts.partition("What is ")[2].partition("?")[0])
    zoomed = any(message["role"] == "assistant" for message in body["messages"])
    return Reply(f"<answer>{number * 7 % 31}</answer>" if zoomed or number % 3 else f"<think>Closer.</think>{ZOOM}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    Image.new("RGB", (200, 150), "red").save(folder / "a.png")
    rows = [{"image": "a.png", "question": f"What is {n}?", "id": f"q{n}"} for n in range(ROWS)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "in.jsonl"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening(say) as server:
        server.listing = models("m")
        yield server.url


def command(source: Path, url: str, out: Path, workers: int) -> list[str]:
    asked = [sys.executable, "-m", "cof", "batch", str(source), "--out", str(out), "--workers", str(workers)]
    return [*asked, "--url", url, "--model", "m", "--dialect", "cof", "--concurrency", "4"]


@pytest.fixture(scope="module")
def undisturbed(source: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The answers of a job that nobody stopped, in one process."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    done = subprocess.run(command(source, url, out, 1), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    answers = (out / ANSWERS).read_bytes()
    assert [json.loads(line)["answer"] for line in answers.splitlines()] == [str(n * 7 % 31) for n in range(ROWS)]
    return answers


def lines_in(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_ten_moments_it_gives_the_same_answers(
    source: Path, url: str, undisturbed: bytes, tmp_path: Path, workers: int
) -> None:
    """Each time the driver is killed, or with two workers one of these, in turn; rows are never lost, and none is twice."""
    rng, out, killed = random.Random(workers), tmp_path / "run", 0
    moments = sorted(rng.sample(range(5, ROWS - 20), MOMENTS))
    process = start(command(source, url, out, workers))
    for number, moment in enumerate(moments):
        while process.poll() is None and lines_in(out / "done.jsonl") < moment:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        children = workers_of(process)
        if number % 2 and children:
            with suppress(psutil.Error):
                rng.choice(children).kill()
        else:
            process.kill()
            process.wait()
            for child in children:
                child.wait(PATIENCE)  # workers end with their driver
            process = start(command(source, url, out, workers))
        killed += 1
    assert process.wait(PATIENCE) == 0
    assert killed >= MOMENTS - 2
    assert (out / ANSWERS).read_bytes() == undisturbed
    traces = [json.loads(line)["id"] for line in (out / TRACES).read_text().splitlines()]
    assert sorted(traces) == list(range(1, ROWS + 1))


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The workers that are there now; one that is about to end may be missing."""
    found = list[psutil.Process]()
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            with suppress(psutil.Error):
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def start(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.long
def test_an_interruption_writes_the_answers_so_far_and_says_how_to_go_on(
    source: Path, url: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    pipe, heeding = subprocess.PIPE, partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs of a shell ignore it
    words = command(source, url, out, 2)
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, preexec_fn=heeding)
    while process.poll() is None and lines_in(out / "done.jsonl") < 20:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "stopped; what is done is kept, and the same command continues" in said
    assert "Traceback" not in said
    assert 19 <= lines_in(out / ANSWERS) < ROWS  # the last may be taken back, if it was being written


class Instant:
    """A pool that answers at once, and is cut off after `most` rows."""

    def __init__(self, most: int) -> None:
        self.most = most

    def answer(self, rows: Iterable[JobRow], deliver: Callable[[RowOutcome], None]) -> None:
        for number, row in enumerate(rows):
            if number == self.most:
                return
            deliver(RowOutcome(row.place, {"name": str(row.place), "answer": "B", "error": None, "tokens": 5}))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_million_rows_are_resumed_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a model; the disk is not waited for, as a million answers of a model would take days."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    source = tmp_path / "in.jsonl"
    with source.open("w") as file:
        for n in range(MANY):
            file.write(f'{{"image": "a.png", "question": "What is {n}?"}}\n')
    before = peak()
    with RunDir(tmp_path / "run", {}) as run:
        run_job(str(source), JobRecord(run), Instant(MANY - 1000))
    with RunDir(tmp_path / "run", {}) as run:
        found = run_job(str(source), JobRecord(run), Instant(MANY))
    assert found["answered"] == MANY
    assert lines_in(tmp_path / "run" / ANSWERS) == MANY
    assert peak() - before < 400_000_000
