"""Answers that jobs share: the trace of a question by its pictures' bytes, its words, the model and how it was asked.

One SQLite file, which several processes may use and which survives a kill. Failed runs are not kept. Nothing is ever dropped:
delete the folder to begin anew.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cof.batch.job import hashed
from cof.errors import InputError, InvalidRun
from cof.plain import checked_trace
from cof.trace import Trace
from cof.types import Question

PATIENCE = 60.0  # seconds to wait for another process that writes
TABLE = "create table if not exists traces (key text primary key, trace text not null) without rowid"
UNASKED = ("id", "images", "answer", "aliases", "category", "depth", "targets", "tags", "metric", "readable")


class AnswerCache:
    """The shared answers in `folder`. Threads may share it."""

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self._asked, self._lock, self._folder, self._failed = asked, threading.Lock(), folder, False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(folder / "answers.sqlite", PATIENCE, check_same_thread=False)
            self._base.execute("pragma journal_mode = wal")
            self._base.execute(TABLE)
            self._base.commit()
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"the cache {folder} cannot be used ({error}); want a folder that can be written"
            ) from None

    def key(self, question: Question, pictures: Sequence[bytes]) -> str:
        """What names the answer: `pictures` are hashes of their pixels."""
        words = {name: value for name, value in asdict(question).items() if name not in UNASKED}
        return hashed([self._asked, words, [each.hex() for each in pictures]])

    def find(self, key: str, question: Question) -> Trace | None:
        """The trace of that name as one of this question, None where there is none."""
        try:
            with self._lock, closing(self._base.execute("select trace from traces where key = ?", (key,))) as rows:
                found = rows.fetchone()
            trace = None if found is None else checked_trace(json.loads(found[0]))
        except (sqlite3.Error, ValueError, InvalidRun) as error:
            self._complain(error)
            return None
        return None if trace is None else replace(trace, id=question.id, question=question)

    def keep(self, key: str, trace: Mapping[str, Any]) -> None:
        """Keep a trace, as plain data, under a name; where there is one already, that one stays."""
        try:
            with self._lock, self._base:
                self._base.execute("insert or ignore into traces values (?, ?)", (key, json.dumps(trace)))
        except sqlite3.Error as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Say once that the cache fails; answers are given without it."""
        if not self._failed:
            self._failed = True
            sys.stderr.write(
                f"cof: the cache {self._folder} failed ({error}); the job goes on without what it cannot share\n"
            )

    def close(self) -> None:
        self._base.close()
