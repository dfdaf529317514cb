"""A job from its rows to its answers, with a scripted model: what is done is skipped, caps stop it, nothing is twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof.batch.answering import AHEAD
from cof.batch.job import Job, JobRow
from cof.batch.pool import Here
from cof.batch.record import ANSWERS, TRACES, JobRecord, RowOutcome
from cof.batch.run import Stopping, run_job
from cof.batch.spending import Caps, Price
from cof.errors import InvalidConfig, InvalidRun, ModelError
from cof.models.base import Request
from cof.models.opening import ModelRef
from cof.models.scripted import ScriptedModel
from cof.runs import RunDir
from cof.types import Completion

ANSWER = "<answer>B</answer>"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    rows = [{"image": "a.png", "question": f"What is {n}?"} for n in range(5)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "in.jsonl"


def played(source: Path, model: ScriptedModel, caps: Caps = Caps(), **changes: Any) -> dict[str, Any]:
    job = Job(ModelRef(), str(source), **changes)
    with RunDir(source.parent / "run", {}) as run:
        return run_job(str(source), JobRecord(run), Here(job, model), Stopping(caps, Price(0.0, 1_000_000)))


def answers(source: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (source.parent / "run" / ANSWERS).read_text().splitlines()]


def test_every_row_is_answered_once_and_a_second_start_asks_nothing(source: Path) -> None:
    model = ScriptedModel([ANSWER])
    found = played(source, model)
    assert (found["answered"], found["failed"], found["reached"]) == (5, 0, "")
    assert [(each["line"], each["question"], each["answer"]) for each in answers(source)] == [
        (n + 1, f"What is {n}?", "B") for n in range(5)
    ]
    before = (source.parent / "run" / ANSWERS).read_bytes()
    assert len(model.requests) == 5
    assert played(source, model)["answered"] == 5
    assert (len(model.requests), (source.parent / "run" / ANSWERS).read_bytes()) == (5, before)
    assert len((source.parent / "run" / TRACES).read_text().splitlines()) == 5


def test_rows_that_are_added_are_answered(source: Path) -> None:
    model = ScriptedModel([ANSWER])
    played(source, model)
    with source.open("a") as file:
        file.write('{"image": "a.png", "question": "And this?"}\n')
    assert played(source, model)["answered"] == 6
    assert len(model.requests) == 6


def test_a_row_that_changed_since_it_was_answered_is_refused(source: Path) -> None:
    """Its old answer would stand beside a new question."""
    played(source, ScriptedModel([ANSWER]))
    before = answers(source)
    source.write_text(source.read_text().replace("is 3?", "is three?"))
    with pytest.raises(
        InvalidRun, match="line 4 of the input has changed since it was answered; want the rows as they were"
    ):
        played(source, ScriptedModel([ANSWER]))
    assert answers(source) == before
    source.write_text(source.read_text().replace("is three?", "is 3?").replace("\n", "\r\n"))
    assert played(source, ScriptedModel([ANSWER]))["answered"] == 5


def test_rows_that_are_gone_are_refused(source: Path) -> None:
    played(source, ScriptedModel([ANSWER]))
    source.write_text("".join(source.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(InvalidRun, match="the input has 3 of the 5 rows that were answered"):
        played(source, ScriptedModel([ANSWER]))


def failing_at(text: str) -> Callable[[Request], str]:
    def say(request: Request) -> str:
        if text in str(request.messages):
            raise ModelError("down")
        return ANSWER

    return say


def test_a_model_that_fails_in_one_row_spoils_no_other_and_is_asked_again(source: Path) -> None:
    found = played(source, ScriptedModel([failing_at("is 2?")]))
    assert (found["answered"], found["failed"]) == (4, 1)
    assert [each["error"] for each in answers(source)] == [None, None, "down", None, None]
    assert answers(source)[2]["question"] == "What is 2?"
    model = ScriptedModel([ANSWER])
    assert played(source, model)["answered"] == 5
    assert len(model.requests) == 1


def test_a_cap_stops_the_job_and_a_larger_one_goes_on(source: Path) -> None:
    """Each answer has a token, and costs 1. What is read ahead of the model is still asked."""
    model = ScriptedModel([ANSWER])
    source.write_text(source.read_text() * 4)
    found = played(source, model, Caps(money=2))
    assert found["reached"].startswith("money (")
    assert 2 <= found["answered"] <= 2 + AHEAD + 2
    assert len(answers(source)) == found["answered"]
    assert found["money"] == found["answered"]
    assert played(source, model, Caps(money=100))["answered"] == 20
    assert len(model.requests) == 20


def test_what_jobs_share_is_not_asked_again_and_costs_nothing(source: Path) -> None:
    model, cache = ScriptedModel([ANSWER]), source.parent / "cache"
    played(source, model, cache=cache)
    before = answers(source)
    (source.parent / "run").rename(source.parent / "earlier")
    found = played(source, model, cache=cache)
    assert (found["cached"], found["spent"]["tokens"], len(model.requests)) == (5, 0, 5)
    assert answers(source) == before


def test_a_setting_that_cannot_be_is_an_error_and_no_row_fails(source: Path) -> None:
    with pytest.raises(InvalidConfig, match="needs true boxes"):
        played(source, ScriptedModel([ANSWER]), policy="oracle")


@dataclass
class Instant:
    """A pool that needs no model. It is stopped before row `stop_at`."""

    stop_at: int = 0
    asked: list[int] = field(default_factory=list)

    def answer(self, rows: Iterable[JobRow], deliver: Callable[[RowOutcome], None]) -> None:
        for row in rows:
            if row.place == self.stop_at:
                raise KeyboardInterrupt
            self.asked.append(row.place)
            deliver(RowOutcome(row.place, {"answer": "B", "error": None, "tokens": 1}))


def test_an_interruption_writes_what_there_is(source: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunDir(source.parent / "run", {}) as run:
        run_job(str(source), JobRecord(run), Instant(3))
    assert [each["line"] for each in answers(source)] == [1, 2]
    with RunDir(source.parent / "run", {}) as run:
        pool = Instant()
        run_job(str(source), JobRecord(run), pool)
    assert pool.asked == [3, 4, 5]


def test_a_completion_counts_as_it_was_read(source: Path) -> None:
    class Counting(ScriptedModel):
        def _say(self, _request: Request) -> Completion:
            return Completion(ANSWER, 7, 100)

    assert played(source, Counting([ANSWER]))["spent"] == {
        "tokens": 35,
        "prompt_tokens": 500,
        "zooms": 0,
        "seconds": 0.0,
    }
