"""Where the rows of a job are answered: in this process, or in several processes that hold a model each.

A pool takes rows as it has room, and gives back outcomes in any order. A worker that dies is started again; its rows are then
given out one at a time, and a row that kills `DEATHS` workers alone is given up. What is done is known to the caller alone.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from cof.batch.answering import Deliver, answer_rows
from cof.batch.job import Job, JobRow
from cof.batch.record import RowOutcome
from cof.errors import CofError, ModelError
from cof.models.base import Model
from cof.models.opening import open_model

DEATHS = 3  # of workers that had a row alone, before it is given up; or before their models were open, before all is
ENDING = 10.0  # seconds that a worker has to end by itself
THREADS = "OMP_NUM_THREADS"


class Pool(Protocol):
    """Answers rows."""

    def answer(self, rows: Iterable[JobRow], deliver: Deliver) -> None:
        """Answer every row; `deliver` gets each outcome once, from one thread at a time. Raises CofError."""
        ...


@dataclass(frozen=True)
class Here:
    """This process, with a model that is open."""

    job: Job
    model: Model

    def answer(self, rows: Iterable[JobRow], deliver: Deliver) -> None:
        lock = threading.Lock()

        def one_at_a_time(outcome: RowOutcome) -> None:
            with lock:
                deliver(outcome)

        answer_rows(self.job, self.model, rows, one_at_a_time)


@dataclass(frozen=True)
class Processes:
    """`count` processes on this machine, each with a model of its own and an equal share of the cores."""

    job: Job
    count: int

    def answer(self, rows: Iterable[JobRow], deliver: Deliver) -> None:
        leases = _Leases(iter(rows))
        workers = [_Worker.start(self.job, self.count) for _ in range(self.count)]
        try:
            early = 0  # deaths one after the other before a model was open
            while leases.any() or any(worker.rows for worker in workers):
                for worker in workers:
                    worker.fill(leases, 2 * self.job.ref.batch)
                ready = wait([worker.link for worker in workers])
                for n, worker in enumerate(workers):
                    if worker.link in ready and not worker.receive(deliver):
                        _give_back(worker, leases, deliver, self.job)
                        early = 0 if worker.ready else early + 1
                        if early >= DEATHS:
                            cause = f"{DEATHS} workers died before their model was open, the last with {_cause(worker)}"
                            raise ModelError(f"{cause}; want fewer --workers, or more memory")
                        workers[n] = _Worker.start(self.job, self.count)
        finally:
            for worker in workers:
                worker.stop()


class _Leases:
    """The rows that no worker has: further ones, and those that came back from a worker that died."""

    def __init__(self, rows: Iterator[JobRow]) -> None:
        self._rows, self._next = rows, deque[JobRow]()
        self.back, self._deaths = deque[JobRow](), dict[int, int]()

    def any(self) -> bool:
        if not self._next and not self.back and (row := next(self._rows, None)) is not None:
            self._next.append(row)
        return bool(self._next or self.back)

    def take(self) -> JobRow | None:
        """The next row that no worker died with."""
        return self._next.popleft() if self._next else next(self._rows, None)

    def give_back(self, row: JobRow, alone: bool) -> bool:
        """Take a row back; False where `DEATHS` workers died that had it alone."""
        self._deaths[row.place] = self._deaths.get(row.place, 0) + alone
        if self._deaths[row.place] >= DEATHS:
            return False
        self.back.append(row)
        return True


@dataclass
class _Worker:
    """A process, the link to it, and the rows that it has. `ready`: whether its model is open. `alone`: whether it has one row
    that came back, and gets no other until that is done.
    """

    process: SpawnProcess
    link: Connection
    rows: dict[int, JobRow] = field(default_factory=dict)
    ready: bool = False
    alone: bool = False

    @classmethod
    def start(cls, job: Job, count: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        link, other = context.Pipe()
        threads = os.environ.get(THREADS) or str(max(1, (os.cpu_count() or 1) // count))
        process = context.Process(target=_work, args=(job, other, threads), daemon=True)
        process.start()
        other.close()  # so that the link ends when the process does
        return cls(process, link)

    def fill(self, leases: _Leases, most: int) -> None:
        """Give it rows up to `most`, or one alone that came back: which of the rows killed its worker is not known."""
        self.alone = self.alone and bool(self.rows)
        if self.alone:
            return
        if not self.rows and leases.back:
            self.alone = True
            self._give(leases.back.popleft())
            return
        while len(self.rows) < most and (row := leases.take()) is not None:
            self._give(row)

    def _give(self, row: JobRow) -> None:
        self.rows[row.place] = row
        with suppress(OSError):  # it died, which `receive` finds out
            self.link.send(row)

    def receive(self, deliver: Deliver) -> bool:
        """Take in what it sent; False where it died. Raises CofError where its model cannot be opened."""
        try:
            outcome = self.link.recv()
        except (EOFError, OSError):
            return False
        if isinstance(outcome, CofError):
            raise outcome
        if outcome is None:
            self.ready = True
        elif self.rows.pop(outcome.place, None) is not None:
            deliver(outcome)
        return True

    def stop(self) -> None:
        """End it: by itself where it can, and by force after `ENDING` seconds."""
        with suppress(OSError):
            self.link.send(None)
        self.process.join(ENDING if self.process.is_alive() and not self.rows else 0)
        self.process.kill()
        self.process.join()
        self.link.close()


def _give_back(worker: _Worker, leases: _Leases, deliver: Deliver, job: Job) -> None:
    """The rows of a worker that died go back; one that too many died with is given up."""
    worker.stop()
    for row in worker.rows.values():
        if not leases.give_back(row, worker.ready and worker.alone):
            error = f"{DEATHS} workers died that had this row alone, the last with {_cause(worker)}"
            deliver(RowOutcome(row.place, job.names(row) | {"answer": None, "error": error}))


def _cause(worker: _Worker) -> str:
    """Why a process ended, as words."""
    code = worker.process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _work(job: Job, link: Connection, threads: str) -> None:
    """What a worker process does: it answers the rows that come over the link, until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it
    os.environ[THREADS] = threads
    lock = threading.Lock()

    def send(outcome: RowOutcome | CofError | None) -> None:
        with lock:
            try:
                link.send(outcome)
            except OSError:  # nobody waits any more
                os._exit(0)

    try:
        model = open_model(job.ref)
        send(None)
        answer_rows(job, model, _arriving(link), send)
    except CofError as error:
        send(error)


def _arriving(link: Connection) -> Iterator[JobRow]:
    """Rows as they come, until there is None. When the other end is gone, so is this process, whatever it is at."""
    rows = queue.Queue[JobRow | None]()

    def read() -> None:
        while True:
            try:
                rows.put(row := link.recv())
            except (EOFError, OSError):
                os._exit(0)
            if row is None:
                return

    threading.Thread(target=read, daemon=True).start()
    while (row := rows.get()) is not None:
        yield row
