"""From the rows of a file to items: what every benchmark does alike, whatever its fields are.

A row is refused whose words hold a control token, which could forge a turn or a picture, or half a character, which cannot be
sent. Ids are made unique.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from cof.data.benchmarks.ids import unique
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.dialects.control import control_token
from cof.errors import InputError


def items_of(rows: Iterable[Row], make: Callable[[Row], Example], left_out: LeftOut | None) -> Iterator[Example]:
    """The items that `make` gives for the rows that can be used; see `usable` for the others. Raises InputError."""

    def item(row: Row) -> Example:
        found = make(row)
        asked = found.question
        refuse_control(row, (asked.text, *asked.choices, asked.answer or "", *asked.aliases))
        return replace(found, row=replace(row, fields={}))

    yield from unique(usable(rows, item, left_out))


def refuse_control(row: Row, texts: Iterable[str], own: str = "") -> None:
    """Raises InputError where a text cannot be sent to a model as text; `own` are tags of a dialect, which can."""
    for text in texts:
        if token := control_token(text, own):
            raise InputError(f"{row.place} holds {token!r}, which models read as a control token; want plain text")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"{row.place} holds half a character ({ascii(text)[:60]}); want whole ones")
