"""The record of a job on disk: what a crash tore is cut off, what is done stays, and answers are in the input's order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cof.batch.record import ANSWERS, TRACES, JobRecord, RowOutcome
from cof.errors import InvalidRun
from cof.runs import RunDir


def answered(place: int, **changes: Any) -> RowOutcome:
    answer = {
        "answer": "B",
        "error": None,
        "tokens": 5,
        "prompt_tokens": 100,
        "zooms": 1,
        "seconds": 0.5,
        "cached": False,
    }
    return RowOutcome(place, answer | changes, {"place": place})


def failed(place: int) -> RowOutcome:
    return RowOutcome(place, {"answer": None, "error": "down"})


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def kept(folder: Path, *outcomes: RowOutcome) -> dict[str, Any]:
    with RunDir(folder, {}) as run:
        record = JobRecord(run)
        for outcome in outcomes:
            record.keep(outcome, 7)
        return record.publish()


def test_answers_are_in_the_order_of_the_input_and_say_nothing_of_the_run(tmp_path: Path) -> None:
    assert kept(tmp_path / "run", answered(3), failed(2), answered(1)) == {
        "answered": 2,
        "failed": 1,
        "cached": 0,
        "error": "down",
    }
    first, second, third = lines_of(tmp_path / "run" / ANSWERS)
    assert [each["line"] for each in (first, second, third)] == [1, 2, 3]
    assert second == {"line": 2, "answer": None, "error": "down"}
    assert not {"seconds", "prompt_tokens", "cached", "until", "id"} & first.keys()


def test_a_row_that_failed_and_then_was_answered_is_answered(tmp_path: Path) -> None:
    kept(tmp_path / "run", failed(1), failed(1))
    assert kept(tmp_path / "run", answered(1)) == {"answered": 1, "failed": 0, "cached": 0, "error": None}
    assert lines_of(tmp_path / "run" / ANSWERS)[0]["error"] is None


def test_what_was_spent_is_that_of_all_runs_without_what_was_shared(tmp_path: Path) -> None:
    kept(tmp_path / "run", answered(1), answered(2, cached=True))
    with RunDir(tmp_path / "run", {}) as run:
        record = JobRecord(run)
        record.keep(answered(3), 7)
        assert (record.spent.tokens, record.spent.zooms, record.spent.seconds) == (10, 2, 1.0)
        assert (record.cached, record.done) == (1, {1, 2, 3})


@pytest.mark.parametrize("torn", [b'{"id": 9, "trace', b'{"id": 9, "trace": {}}\n'])
def test_a_trace_without_its_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    """A crash came between the trace and the line that says that the row is done."""
    kept(tmp_path / "run", answered(1))
    traces = tmp_path / "run" / TRACES
    with traces.open("ab") as file:
        file.write(torn)
    kept(tmp_path / "run", answered(9))
    assert [line["id"] for line in lines_of(traces)] == [1, 9]


def test_a_line_that_was_torn_is_dropped_with_its_trace(tmp_path: Path) -> None:
    kept(tmp_path / "run", answered(1), answered(2))
    done = tmp_path / "run" / "done.jsonl"
    done.write_bytes(done.read_bytes()[:-5])
    assert kept(tmp_path / "run", answered(2))["answered"] == 2
    assert [line["id"] for line in lines_of(tmp_path / "run" / TRACES)] == [1, 2]


def test_traces_that_were_taken_away_are_an_error(tmp_path: Path) -> None:
    kept(tmp_path / "run", answered(1))
    (tmp_path / "run" / TRACES).write_bytes(b"")
    with pytest.raises(InvalidRun, match="shorter than its job says"):
        kept(tmp_path / "run")


def test_a_row_without_a_trace_is_kept(tmp_path: Path) -> None:
    kept(tmp_path / "run", RowOutcome(1, {"answer": "B", "error": None}))
    assert kept(tmp_path / "run", answered(2))["answered"] == 2


def test_half_characters_do_not_spoil_the_answers(tmp_path: Path) -> None:
    kept(tmp_path / "run", answered(1, answer="half \ud800"), answered(2, answer="größer"))
    assert [line["answer"] for line in lines_of(tmp_path / "run" / ANSWERS)] == ["half \ud800", "größer"]
