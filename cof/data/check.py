"""What a file of questions or trajectories holds, before anything is trained or asked: which rows cannot be used, and why.

Every picture is opened. Of the first good row the conversation is given as a model or a trainer sees it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cof.data.benchmarks import jsonl, rows
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.conversations import holds_trajectories, trajectories
from cof.data.example import Example
from cof.data.formats import refuse
from cof.data.pictures import pictures_in
from cof.data.traces import kept
from cof.dialects.base import Message
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.trace import Trace
from cof.types import Question
from cof.vision import views

ROLE = 10  # columns of a role's name


@dataclass(frozen=True)
class CheckedFile:
    """What was found: the `kind` of rows, how many are `good`, and of the first good one the question and the messages."""

    kind: str
    good: int
    question: Question
    messages: tuple[Message, ...]


def check(file: Path, dialect: Dialect, left_out: LeftOut, on_row: Callable[[], None] = lambda: None) -> CheckedFile:
    """Read every row of a file; those that cannot be used go to `left_out`. Raises InputError where no row can be used."""
    kind, found = _found(file, dialect, left_out)
    first = next(found)
    on_row()
    good = 1
    for _ in found:
        good += 1
        on_row()
    if isinstance(first, Trace):
        return CheckedFile(kind, good, first.question, dialect_of(first.dialect).conversation(first))
    overview = views.overview(first.size, dialect.view)
    return CheckedFile(kind, good, first.question, dialect.messages(first.question, (overview,)))


def in_columns(messages: tuple[Message, ...], width: int) -> str:
    """A conversation in lines of at most `width` characters, the roles in a column of their own, pictures by their sizes."""
    lines = list[str]()
    for message in messages:
        parts = (
            part if isinstance(part, str) else f"\n[picture {part.size[0]} x {part.size[1]}]\n"
            for part in message.parts
        )
        said = [line for line in "".join(parts).strip().splitlines() if line.strip()]
        wrapped = [piece for line in said for piece in textwrap.wrap(line, width - ROLE)] or [""]
        lines += [
            f"{role:<{ROLE}}{piece}" for role, piece in zip([message.role, *[""] * len(wrapped)], wrapped, strict=False)
        ]
    return "\n".join(lines)


def _found(file: Path, dialect: Dialect, left_out: LeftOut) -> tuple[str, Iterator[Trace | Example]]:
    """The kind of rows, and the good ones; there is one, or the first is an InputError."""
    head = next((row for row in rows.read(file) if not row.fault), None)
    if head is not None and "trace" in head.fields:
        return "trajectories", usable(rows.read(file), _trace, left_out)
    if holds_trajectories(file):
        return "trajectories", (each.trace for each in trajectories(file, dialect, left_out))
    return "questions", items_of(rows.read(file), _opened, left_out)


def _trace(row: Row) -> Trace:
    trace = kept(row).trace
    refuse(trace)
    pictures_in(trace)
    dialect_of(trace.dialect)
    return trace


def _opened(row: Row) -> Example:
    item = jsonl.item(row)
    item.picture  # noqa: B018
    return item
