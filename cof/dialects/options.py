"""The options of a question as lines with letters, as most checkpoints were trained."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

_LABEL = re.compile(r"\s*[(\[]?([A-Za-z])[)\].:]\s*\S")


def lettered(choices: Sequence[str]) -> str:
    """A line for each option, such as "(A) red".

    The options stand as they are where each has its letter already, where one is itself a letter, which another option's place
    would contradict, and where there are more of them than letters.
    """
    letters = string.ascii_uppercase
    alone = any(len(option.strip()) == 1 and option.strip().isalpha() for option in choices)
    labels = [found and found[1].upper() for found in map(_LABEL.match, choices)]
    if alone or len(choices) > len(letters) or labels == list(letters[: len(choices)]):
        return "\n".join(choices)
    return "\n".join(f"({letter}) {option}" for letter, option in zip(letters, choices, strict=False))
