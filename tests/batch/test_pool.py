"""Rows over several processes, with a real endpoint: a worker that is killed costs its rows' time, and no row."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof.batch.job import Job, JobRow
from cof.batch.pool import DEATHS, Processes
from cof.batch.record import RowOutcome
from cof.errors import InputError, ModelError
from cof.models.opening import ModelRef
from tests.models.remote.endpoints import Reply, listening, models

ROWS = 24
PICTURE = "a.png"


@pytest.fixture
def url() -> Iterator[str]:
    def say(_: dict[str, Any]) -> Reply:
        time.sleep(0.05)
        return Reply("<answer>B</answer>")

    with listening(say) as server:
        server.listing = models("m")
        yield server.url


@pytest.fixture
def rows(tmp_path: Path) -> list[JobRow]:
    Image.new("RGB", (40, 30), "red").save(tmp_path / PICTURE)
    asked = ({"image": PICTURE, "question": f"What is {n}?"} for n in range(1, ROWS + 1))
    return [JobRow(place, json.dumps(row).encode()) for place, row in enumerate(asked, 1)]


def pool(tmp_path: Path, url: str, count: int = 2, policy: str = "own") -> Processes:
    ref = ModelRef("m", (url,), "", batch=2)
    return Processes(Job(ref, str(tmp_path / "in.jsonl"), dialect="cof", policy=policy), count)


def check_all(found: list[RowOutcome]) -> None:
    assert sorted(outcome.place for outcome in found) == list(range(1, ROWS + 1))
    assert {outcome.answer["answer"] for outcome in found} == {"B"}


@pytest.mark.long
def test_every_row_is_answered_once(tmp_path: Path, url: str, rows: list[JobRow]) -> None:
    found = list[RowOutcome]()
    pool(tmp_path, url).answer(rows, found.append)
    check_all(found)
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_a_worker_that_is_killed_costs_no_row_and_none_is_answered_twice(
    tmp_path: Path, url: str, rows: list[JobRow]
) -> None:
    found, killed = list[RowOutcome](), list[int]()

    def keep(outcome: RowOutcome) -> None:
        found.append(outcome)
        if len(found) in (3, 9, 15):
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    pool(tmp_path, url).answer(rows, keep)
    check_all(found)
    assert len(set(killed)) == 3


@pytest.mark.long
def test_a_row_that_kills_its_workers_is_given_up_and_the_others_are_answered(
    tmp_path: Path, url: str, rows: list[JobRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    deadly = JobRow(99, b'{"image": "a.png", "question": "What?"}')
    found = list[RowOutcome]()
    pool(tmp_path, url, 1, policy="tests.batch.deadly:DEADLY").answer([deadly, *rows], found.append)
    assert len(found) == ROWS + 1
    (lost,) = (outcome for outcome in found if outcome.place == 99)
    assert lost.answer["error"] == f"{DEATHS} workers died that had this row alone, the last with exit code 7"


@pytest.mark.long
def test_workers_that_cannot_open_their_model_are_one_error(tmp_path: Path, rows: list[JobRow]) -> None:
    broken = Processes(Job(ModelRef("no/such/folder"), str(tmp_path / "in.jsonl")), 2)
    with pytest.raises((InputError, ModelError), match="no/such/folder"):
        broken.answer(rows, lambda _: None)
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_a_caller_that_fails_leaves_no_process(tmp_path: Path, url: str, rows: list[JobRow]) -> None:
    def full(_: RowOutcome) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        pool(tmp_path, url).answer(rows, full)
    assert multiprocessing.active_children() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("QueueFeeder")]
