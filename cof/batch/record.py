"""What is done of a job, on disk: a killed job loses no answer, and has none twice.

`traces.jsonl` holds the traces, `done.jsonl` one line for each row that was answered, with the length that `traces.jsonl` then
had; a trace whose line is missing was cut off by a crash, and is dropped. `failures.jsonl` has the rows that failed, which are
tried again. `answers.jsonl` is written from these, in the order of the input. Memory grows by some 100 bytes per row.
"""

from __future__ import annotations

import json
import os
import threading
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cof.batch.job import JobRow
from cof.batch.spending import Spending
from cof.errors import InvalidRun
from cof.runs import RunDir

DONE, FAILURES, TRACES, ANSWERS = "done", "failures", "traces.jsonl", "answers.jsonl"
# Of a line in `done.jsonl`: they differ from run to run.
PRIVATE = ("seconds", "prompt_tokens", "cached", "until", "digest")


@dataclass(frozen=True)
class RowOutcome:
    """What a row came to: the `answer` as a flat object, and the `trace` as plain data; None where there was none to ask."""

    place: int
    answer: Mapping[str, Any]
    trace: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        return self.answer.get("error") is not None


class JobRecord:
    """The journals of a job in its run folder. Threads may share it."""

    def __init__(self, run: RunDir) -> None:
        self.folder, self._lock, self._until = run.folder, threading.Lock(), 0
        self.spent, self.cached, self._tries, self._digests = Spending(), 0, 0, array("Q")
        self._done = run.journal(DONE, self._count)
        self._failures = run.journal(FAILURES, self._count_try)
        self._traces = run.enter_context(_cut_to(run.folder / TRACES, self._until))

    @property
    def done(self) -> set[str | int]:
        """The places of the rows that were answered."""
        return self._done.done

    def check(self, row: JobRow) -> None:
        """Raises InvalidRun where the row is another than the one that was answered."""
        if row.place in self.done and self._digests[row.place] != row.digest:
            want = "want the rows as they were (further ones may follow), or another --out"
            raise InvalidRun(f"line {row.place} of the input has changed since it was answered; {want}")

    def keep(self, outcome: RowOutcome, digest: int) -> None:
        """Record what the row of that `digest` came to: on disk when this returns."""
        with self._lock:
            if outcome.failed:
                self._tries += 1
                self._failures.append({"id": self._tries, "place": outcome.place, **outcome.answer})
                return
            if outcome.trace is not None:
                self._write({"id": outcome.place, "trace": outcome.trace})
            line = {"id": outcome.place, **outcome.answer, "until": self._until, "digest": digest}
            self._done.append(line)
            self._count(line)

    def publish(self) -> dict[str, Any]:
        """Write `answers.jsonl` in the order of the input, and return what it holds: counts of rows by how they ended."""
        with self._lock:
            answered, failed = _places(self.folder / f"{DONE}.jsonl", "id"), _places(self._failed_file, "place")
            failed = {place: offset for place, offset in failed.items() if place not in answered}
            draft = self.folder / f".{ANSWERS}.draft"
            with draft.open("wb") as out:
                for line in self._ordered(answered, failed):
                    out.write(line)
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, self.folder / ANSWERS)
        return {
            "answered": len(answered),
            "failed": len(failed),
            "cached": self.cached,
            "error": self._first_error(failed),
        }

    def _first_error(self, failed: Mapping[int, int]) -> str | None:
        if not failed:
            return None
        with self._failed_file.open("rb") as failures:
            failures.seek(failed[min(failed)])
            error: str = json.loads(failures.readline())["error"]
        return error

    @property
    def _failed_file(self) -> Path:
        return self.folder / f"{FAILURES}.jsonl"

    def _ordered(self, answered: Mapping[int, int], failed: Mapping[int, int]) -> Iterator[bytes]:
        with (self.folder / f"{DONE}.jsonl").open("rb") as done, self._failed_file.open("rb") as failures:
            for place in sorted(answered.keys() | failed.keys()):
                source, offset = (done, answered[place]) if place in answered else (failures, failed[place])
                source.seek(offset)
                found = json.loads(source.readline())
                line = {name: value for name, value in found.items() if name not in ("id", "place", *PRIVATE)}
                yield json.dumps({"line": place, **line}, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"

    def _write(self, record: Mapping[str, Any]) -> None:
        self._traces.write(json.dumps(record).encode() + b"\n")
        self._traces.flush()
        os.fsync(self._traces.fileno())
        self._until = self._traces.tell()

    def _count(self, line: Mapping[str, Any]) -> None:
        self._until = max(self._until, line["until"])
        self._digests.extend(0 for _ in range(line["id"] + 1 - len(self._digests)))
        self._digests[line["id"]] = line["digest"]
        if line.get("cached"):
            self.cached += 1
        else:
            self.spent.add(line)

    def _count_try(self, line: Mapping[str, Any]) -> None:
        self._tries = line["id"]
        self.spent.add(line)


def _places(file: Path, key: str) -> dict[int, int]:
    """Where the last line of each row begins, by the row's place."""
    found, offset = dict[int, int](), 0
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                found[json.loads(line)[key]] = offset
            offset += len(line)
    return found


def _cut_to(path: Path, length: int) -> BinaryIO:
    """The file, open at its end, without what came after `length`. Raises InvalidRun where it is shorter."""
    file = path.open("ab")
    if file.tell() < length:
        file.close()
        raise InvalidRun(f"{path} is shorter than its job says; put it back as it was, or use another --out")
    file.truncate(length)
    file.seek(length)
    return file
