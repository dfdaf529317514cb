"""One line on the terminal that says what is under way. It is erased before anything else is printed.

A stderr that is no terminal gets none of it. Imports nothing that takes time, as it is shown before slow imports. Omits bars
and estimates (`progress.py`).
"""

from __future__ import annotations

import os
import sys

ERASE = "\r\x1b[K"  # back to the first column, and clear the line (ECMA-48)


def show(text: str) -> None:
    """Show the text in place of the one before it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{ERASE}{text[: _columns() - 1]}")
        sys.stderr.flush()


def clear() -> None:
    """Erase the line."""
    show("")


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
