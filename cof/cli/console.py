"""Lines for a terminal: in two columns, wrapped, without characters that would steer it.

What models and endpoints say is untrusted: an escape sequence in an answer must not move a cursor.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from typing import Any

from cof.cli import status

NARROWEST, WIDEST = 60, 110  # characters of a line
# controls, what turns text round, and half characters
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with control characters spelt out; line ends and tabs stay."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def print_json(data: Any) -> None:
    """Print an object on a line of its own, with escapes where the output could not take its characters."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(data)
    print(text, flush=True)


def say(text: str) -> None:
    """Print one line on stderr that begins with the command's name. The status line is erased first."""
    status.clear()
    print(f"cof: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)


def two_columns(name: str, text: str, column: int) -> str:
    """A name, and a text wrapped within the second column, which begins at `column`; its own line ends stay."""
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    begin, indent = f"{name:<{column}}", " " * column
    lines = printable(text).splitlines() or [""]
    return "\n".join(
        textwrap.fill(line, width, initial_indent=indent if n else begin, subsequent_indent=indent)
        for n, line in enumerate(lines)
    )
