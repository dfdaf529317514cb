"""A job from its rows to its answers: skips what is done, stops at a cap, and writes the answers and a summary at the end."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cof import files
from cof.batch.job import JobRow
from cof.batch.pool import Pool
from cof.batch.record import ANSWERS, TRACES, JobRecord, RowOutcome
from cof.batch.spending import Caps, Price
from cof.errors import InvalidRun
from cof.runs import publish

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Stopping:
    """When a job stops before its rows are done: at a cap. `price` is that of the model, None where it is not known."""

    caps: Caps = Caps()
    price: Price | None = None


def rows_of(source: str) -> Iterator[JobRow]:
    """The rows of a file at a path or an address; empty lines are none. Raises InputError or MissingExtra."""
    for place, line in enumerate(files.lines(source), 1):
        text = line.removeprefix(codecs.BOM_UTF8) if place == 1 else line
        if text.strip():
            yield JobRow(place, text)


def run_job(
    source: str,
    record: JobRecord,
    pool: Pool,
    stopping: Stopping = Stopping(),
    on_outcome: Callable[[RowOutcome], None] = lambda _: None,
) -> dict[str, Any]:
    """Answer the rows of `source` that are not done yet, and return the summary; an interruption writes the answers, too.

    Raises CofError.
    """
    before, reached, asked = len(record.done), "", dict[int, int]()

    def wanted() -> Iterator[JobRow]:
        nonlocal reached
        seen = 0
        for row in rows_of(source):
            record.check(row)
            if row.place in record.done:
                seen += 1
                continue
            if reached := stopping.caps.reached(record.spent, stopping.price):
                return
            asked[row.place] = row.digest
            yield row
        if seen < before:
            want = "want the rows as they were (further ones may follow), or another --out"
            raise InvalidRun(f"the input has {seen} of the {before} rows that were answered; {want}")

    def keep(outcome: RowOutcome) -> None:
        record.keep(outcome, asked.pop(outcome.place))
        on_outcome(outcome)

    try:
        pool.answer(wanted(), keep)
    finally:
        found = _summary(record, reached, stopping.price)
        publish(record.folder / SUMMARY, json.dumps(found, indent=1) + "\n")
    return found


def _summary(record: JobRecord, reached: str, price: Price | None) -> dict[str, Any]:
    """Write the answers, and say what they are and cost."""
    spent = {name: round(value, 2) for name, value in asdict(record.spent).items()}
    found = record.publish() | {"reached": reached, "spent": spent}
    return found | ({"money": round(price.of(record.spent), 6), "currency": price.currency} if price else {})


def upload(folder: Path, address: str) -> None:
    """Copy what a job made to an address. Raises InputError or MissingExtra."""
    for name in (ANSWERS, TRACES, SUMMARY):
        files.copy_to(folder / name, f"{address.rstrip('/')}/{name}")
