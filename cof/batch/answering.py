"""Answers rows with one model in one process: rows become sessions, and ended sessions become outcomes.

Pictures are read in a thread beside the model, two questions ahead of it. A row that cannot be asked is an outcome of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial

from cof.api import session_of
from cof.batch.cache import AnswerCache
from cof.batch.job import Job, JobRow, fingerprint
from cof.batch.record import RowOutcome
from cof.errors import InputError
from cof.loop.run import not_asked
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Conversation, Model
from cof.plain import to_json
from cof.trace import Trace
from cof.view.summary import summary
from cof.vision.views import Picture

AHEAD = 2  # questions whose pictures are read before the model has room for them

Deliver = Callable[[RowOutcome], None]


def answer_rows(job: Job, model: Model, rows: Iterable[JobRow], deliver: Deliver) -> None:
    """Answer every row; `deliver` gets the outcomes, from any thread, as they come."""
    setting = job.setting(model)
    cache = AnswerCache(job.cache, fingerprint(model, setting)) if job.cache else None
    with closing(cache) if cache else nullcontext():
        coming = _Coming(job, model, setting, cache, rows, deliver)
        model.converse(coming)
        coming.join()


class _Coming:
    """Sessions on their way to the model. It is a `ConversationQueue`."""

    def __init__(
        self,
        job: Job,
        model: Model,
        setting: Setting,
        cache: AnswerCache | None,
        rows: Iterable[JobRow],
        deliver: Deliver,
    ) -> None:
        self.job, self.model, self.setting, self.cache = job, model, setting, cache
        self.rows, self.deliver = rows, deliver
        self._ready, self._changed, self._over = deque[Session](), threading.Condition(), False
        self._error: BaseException | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Conversation]:
        while self.wait():
            if (session := self.poll()) is not None:
                yield session

    def poll(self) -> Conversation | None:
        with self._changed:
            session = self._ready.popleft() if self._ready else None
            self._changed.notify_all()
            return session

    def wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._over)
            return bool(self._ready)

    def join(self) -> None:
        """Raises what the thread that reads rows ended with, if anything."""
        self._reader.join()
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for row in self.rows:
                if (session := self._session(row)) is not None:
                    with self._changed:
                        self._changed.wait_for(lambda: len(self._ready) < AHEAD)
                        self._ready.append(session)
                        self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _session(self, row: JobRow) -> Session | None:
        """The row as a conversation; None where its outcome is known without the model."""
        try:
            example = self.job.example(row)
            pictures = example.pictures
        except InputError as error:
            self.deliver(
                RowOutcome(row.place, self.job.names(row) | {"answer": None, "error": " ".join(str(error).split())})
            )
            return None
        question = example.question
        key = self.cache.key(question, [_hash(picture) for picture in pictures]) if self.cache else ""
        if self.cache and (trace := self.cache.find(key, question)):
            self.deliver(_outcome(row, trace, cached=True))
            return None
        try:
            return session_of(self.model, question, pictures, self.setting, partial(self._end, row, key))
        except InputError as error:  # of a policy
            self.deliver(_outcome(row, not_asked(self.model.info.name, question, self.setting, str(error))))
            return None

    def _end(self, row: JobRow, key: str, trace: Trace) -> None:
        outcome = _outcome(row, trace)
        self.deliver(outcome)
        if self.cache and not outcome.failed and outcome.trace is not None:
            self.cache.keep(key, outcome.trace)


def _hash(picture: Picture) -> bytes:
    return hashlib.sha256(repr(picture.size).encode() + picture.image.tobytes()).digest()


def _outcome(row: JobRow, trace: Trace, cached: bool = False) -> RowOutcome:
    question = trace.question
    images = question.images[0] if len(question.images) == 1 else list(question.images)
    asked = {"name": question.id, "image": images, "question": question.text}
    read = sum(turn.completion.prompt_tokens for turn in trace.turns)
    flat = asked | summary(trace) | {"prompt_tokens": read, "cached": cached}
    return RowOutcome(row.place, flat, to_json(replace(trace, id=str(row.place))))
