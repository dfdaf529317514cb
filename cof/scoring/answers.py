"""Whether an answer is right. Pure functions of text; None means not scored."""

from __future__ import annotations

import re


def exact(answer: str | None, truth: str | None) -> float | None:
    """1.0 if the answer is the truth but for case, spaces and a closing full stop, else 0.0; None without a truth.

    No answer is 0.0: the run ended without one.
    """
    if truth is None:
        return None
    return float(answer is not None and _plain(answer) == _plain(truth))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()
