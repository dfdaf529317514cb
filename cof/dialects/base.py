"""What goes over the wire: messages of text and views. Only a dialect writes them and reads the model's text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cof.geometry import Shown

Part = str | Shown

JSON_REQUEST = "Answer with one JSON object and nothing else. It must be valid by this JSON schema: {schema}"
LETTER_REQUEST = "Answer with the letter of the right option."  # of options that are written in the picture


@dataclass(frozen=True)
class Message:
    """One chat message; a `Shown` among its parts stands for the pixels of that region."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class FamilyTool:
    """A further tool in a family's words: `tool` is its name in this package (`tools/known.py`), `name` the family's; each
    of `arguments` is a pair of the tool's own argument and the family's word for it. `of` is what the call is about."""

    tool: str
    name: str
    arguments: tuple[tuple[str, str], ...]
