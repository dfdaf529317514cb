"""The questions of every Python client of this folder, and the line that each attempt prints."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

EXAMPLES = Path(__file__).parents[1]
PICTURE = EXAMPLES / "plaza.jpg"
URL = "data:image/jpeg;base64," + base64.b64encode(PICTURE.read_bytes()).decode()
QUESTION = (EXAMPLES / "plaza.txt").read_text().strip()
LATER = "What color is the diamond on the cyan board?"
PLACE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
BASE = f"{PLACE}/v1"
PARTS = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": URL}}]
MESSAGES = [{"role": "user", "content": PARTS}]


class Seen(BaseModel):
    """The form that a client's schema asks for."""

    reasoning: str
    answer: str


def attempt(name: str, work: Callable[[], object]) -> None:
    """Print the result in one line, or the error as the client shows it."""
    try:
        found = str(work())
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    print(f"{name}: {' '.join(found.split())}", flush=True)


def later(answer: str) -> list[dict[str, object]]:
    """The conversation so far and the next question."""
    return [*MESSAGES, {"role": "assistant", "content": answer}, {"role": "user", "content": LATER}]
