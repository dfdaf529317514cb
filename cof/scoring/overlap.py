"""Answers that may be nearly right: words in common, letters in common, numbers close by. All in [0, 1].

`f1` and `anls` are 0 below a half, so that naming every option, or a long guess that holds the truth somewhere, earns nothing.
"""

from __future__ import annotations

import re
from collections import Counter

LEAST = 0.5  # below it an answer is wrong: the threshold of ANLS
TOLERANCE = 0.05  # relative, of a number (relaxed accuracy: ChartQA, arXiv 2203.10244)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def f1(answer: str, truth: str) -> float:
    """The harmonic mean of precision and recall of words (SQuAD, arXiv 1606.05250), 0 below a half.

    Articles, punctuation and case do not count.
    """
    said, meant = Counter(_words(answer)), Counter(_words(truth))
    common = (said & meant).total()
    value = 2 * common / (said.total() + meant.total()) if common else 0.0
    return value if value >= LEAST else 0.0


def anls(answer: str, truth: str) -> float:
    """One minus the edit distance over the longer length, 0 below a half (ANLS: arXiv 1905.13648), case aside."""
    said, meant = " ".join(answer.casefold().split()), " ".join(truth.casefold().split())
    longest = max(len(said), len(meant))
    value = 1 - _distance(said, meant) / longest if longest else 1.0
    return value if value >= LEAST else 0.0


def near_number(answer: str, truth: str) -> float | None:
    """1 if the answer's only number is within 5% of the true one, else 0; None where the truth is no number."""
    meant = _NUMBER.fullmatch(truth.replace(",", "").strip())
    if meant is None:
        return None
    said = _NUMBER.findall(answer.replace(",", ""))
    return float(len(said) == 1 and abs(float(said[0]) - float(meant[0])) <= TOLERANCE * abs(float(meant[0])))


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.casefold()) if word not in ("a", "an", "the")]


def _distance(one: str, other: str) -> int:
    """The Levenshtein distance."""
    row = list(range(len(other) + 1))
    for n, a in enumerate(one, 1):
        before, row[0] = row[0], n
        for m, b in enumerate(other, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (a != b))
    return row[-1]
