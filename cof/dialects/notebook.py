"""A Jupyter notebook's cells, and the Python of a code cell without its magics. Nothing is run.

Owns the file form (nbformat 4: a list of cells, each with a type and a source) and which lines IPython takes for itself.
Omits outputs, attachments and kernels: a cell in another language is no Python, and fails as such.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any

AROUND = ("capture", "prun", "time", "timeit")  # cell magics around a cell of Python; what others get is no Python
STRING = (
    r"'''(?:\\.|[^\\])*?(?:'''|\\?\Z)"
    r'|"""(?:\\.|[^\\])*?(?:"""|\\?\Z)'
    r"|'(?:\\.|[^'\\\n])*+['\n]?"
    r'|"(?:\\.|[^"\\\n])*+["\n]?'
)
MAGIC = r"(?P<indent>^[ \t]*(?:[\w.]+[ \t]*=[ \t]*)?)(?:(?:%%?[A-Za-z]|!(?!=)|\?)(?:\\\n|[^\n])*|[\w.]+\?\??[ \t]*$)"
LINE = re.compile(rf"{MAGIC}|#[^\n]*|{STRING}", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell; `number` counts all cells from 1."""

    number: int
    code: bool
    text: str


def cells_of(notebook: Any) -> list[Cell]:
    """The cells of a notebook's JSON, from top to bottom. Raises ValueError."""
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no list of cells, as nbformat 4 has")
    return [_cell(number, cell) for number, cell in enumerate(cells, start=1)]


def _cell(number: int, cell: Any) -> Cell:
    kind, source = (cell.get("cell_type"), cell.get("source")) if isinstance(cell, dict) else (None, None)
    lines = [source] if isinstance(source, str) else source
    if not isinstance(kind, str) or not isinstance(lines, list) or not all(isinstance(each, str) for each in lines):
        raise ValueError(f"cell {number} has no type and source, as nbformat 4 has")
    return Cell(number, kind == "code", "".join(lines))


def code_of(text: str) -> str:
    """A code cell as Python with the same lines. A magic is `pass`, and what one gives a name is `...`."""
    first = text.lstrip()
    if first.startswith("%%") and not first.removeprefix("%%").startswith(AROUND):
        return ""
    return text if _parses(text) else LINE.sub(_without, text)


def _without(found: re.Match[str]) -> str:
    start = found["indent"]
    if start is None:
        return found[0]
    return start + ("..." if start.strip() else "pass") + "\n" * found[0].count("\n")


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
