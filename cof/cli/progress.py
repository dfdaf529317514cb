"""How far a long job is, on stderr: a bar on a terminal, plain lines otherwise, with an estimate of the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

EVERY = 30.0  # seconds from one plain line to the next


@contextmanager
def counting(what: str, total: int | None, done: int = 0) -> Iterator[Callable[[], None]]:
    """Gives a function that counts one more of `total`, None where that is not known; `done` were there before.

    For work that is journaled: an interruption ends in a line which says that nothing is lost.
    """
    try:
        with counted(what, total, done) as advance:
            yield advance
    except KeyboardInterrupt:
        print(f"{what}: stopped; what is done is kept, and the same command continues", file=sys.stderr)
        raise


@contextmanager
def counted(what: str, total: int | None, done: int = 0) -> Iterator[Callable[[], None]]:
    """`counting` for work that begins anew where it is interrupted."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(what, total, done).advance
        return
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda: bar.advance(task)


class _Lines:
    """Counts, and says so every now and then. The rate is that of this process: what was done before took other time."""

    def __init__(self, what: str, total: int | None, done: int) -> None:
        self.what, self.total, self.done, self.before = what, total, done, done
        self.began = self.said = time.monotonic()

    def advance(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.said >= EVERY:
            self.said = now
            print(f"{self.what}: {self.done} of {self.total or '?'}{self._left(now)}", file=sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        if self.total is None:
            return ""
        seconds = (self.total - self.done) * (now - self.began) / (self.done - self.before)
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"
