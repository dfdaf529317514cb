"""One line on the terminal that says what is under way, and goes where there is something to print.

Only where stderr is a terminal: a pipe or a file gets none of it. Imports nothing that takes time, as it is the sign of life
of commands that do. Omits bars and estimates (`progress.py`).
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
    """Remove the line."""
    show("")


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
