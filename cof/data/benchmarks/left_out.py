"""Rows that cannot be used: each is left out, counted and named with its reason, so that no file dies at one row.

Owns which rows these are and the sentence about them. A reader that gets no `LeftOut` raises the first fault instead, so
that no row is lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TypeVar

from cof.data.benchmarks.rows import Row
from cof.errors import InputError

SHOWN = 3  # reasons in a sentence; the rest is counted
LONGEST = 240  # characters of one reason

T = TypeVar("T")


class LeftOut:
    """The rows of one or more files that could not be used. A row that is read again counts once."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}  # by the row's place, in the order in which they were met
        self._files: set[Path] = set()
        self._used: set[tuple[Path, int]] = set()

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def rows(self) -> int:
        """How many different rows were read, left out or not."""
        return len(self.reasons) + len(self._used)

    def use(self, row: Row) -> None:
        """Count a row that can be used."""
        self._used.add((row.file, row.number))

    def add(self, row: Row, error: Exception) -> None:
        """Leave a row out, also one that counted as used so far."""
        reason = " ".join(str(error).removeprefix(row.place).lstrip(" ,:").split())
        self.reasons[row.place] = reason if len(reason) <= LONGEST else reason[: LONGEST - 1] + "…"
        self._files.add(row.file)
        self._used.discard((row.file, row.number))

    def summary(self, shown: int = SHOWN) -> str:
        """One sentence: how many of how many rows, the first reasons, and how many more there are."""
        of = f" of {str(next(iter(self._files)))!r}" if len(self._files) == 1 else ""
        were = "row was" if self.rows == 1 else "rows were"
        more = [f"and {len(self) - shown} more"] if len(self) > shown else []
        return f"{len(self)} of {self.rows} {were} left out{of}: {'; '.join([*self.first(shown), *more])}"

    def first(self, count: int) -> list[str]:
        """The first faults, each with its place; the file is named only where there are several."""
        found = list(self.reasons.items())[:count]
        if len(self._files) == 1:
            start = f"file {str(next(iter(self._files)))!r} "
            found = [(place.removeprefix(start), reason) for place, reason in found]
        return [f"{place}: {reason}" for place, reason in found]


def usable(rows: Iterable[Row], make: Callable[[Row], T], left_out: LeftOut | None) -> Iterator[T]:
    """What `make` gives for every row that can be used; it raises InputError for one that cannot.

    Raises InputError at the first such row where `left_out` is None, else at the end where no row could be used.
    """
    made = 0
    with closing(rows) if isinstance(rows, Generator) else nullcontext():  # its file too, where a row is refused
        for row in rows:
            try:
                if row.fault:
                    raise InputError(f"{row.place} {row.fault}")
                found = _made(make, row)
            except InputError as error:
                if left_out is None:
                    raise error if row.place in str(error) else InputError(f"{row.place}: {error}") from error
                left_out.add(row, error)
            else:
                if left_out is not None:
                    left_out.use(row)
                made += 1
                yield found
    if left_out is not None and len(left_out) and not made:
        raise InputError(f"no row can be used; {left_out.summary()}")


def _made(make: Callable[[Row], T], row: Row) -> T:
    try:
        return make(row)
    except RecursionError:
        raise InputError(f"{row.place} holds a list that is nested too deep; want plain fields") from None
