"""Evaluations as tables on the terminal: a row for each group of an arm, and the differences between runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cof.evaluate.compare import BRIEF, Row, cells
from cof.evaluate.pairs import HEADINGS, Pair

WIDTH = 160  # characters of a table where there is no terminal


def print_rows(rows: Sequence[Row]) -> None:
    names = ["run", "arm", "group", *BRIEF]
    table = Table()
    for name in names:
        table.add_column(name, no_wrap=True, justify="left" if name in names[:3] else "right")
    for row in rows:
        found = cells(row)
        table.add_row(*(found[name] for name in names))
    _print(table)


def print_pairs(pairs: Sequence[Pair]) -> None:
    if not pairs:
        return
    table = Table(*HEADINGS)
    for pair in pairs:
        table.add_row(*pair.cells)
    _print(table)


def _print(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
