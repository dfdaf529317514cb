"""Answers that may be nearly right: words in common, letters in common, numbers close by. All in [0, 1].

`f1` and `anls` are 0 below a half, so that naming every option, or a long guess that holds the truth somewhere, earns nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

from cof.scoring.numbers import PERCENT, amount, number, signs_of, values
from cof.scoring.words import Words, statements, unmarked, words_of

LEAST = 0.5  # below it an answer is wrong: the threshold of ANLS
TOLERANCE = Decimal("0.05")  # relative, of a number (relaxed accuracy: ChartQA, arXiv 2203.10244)


def f1(answer: str, truth: str) -> float:
    """The harmonic mean of precision and recall of words (SQuAD, arXiv 1606.05250), 0 below a half.

    Articles, punctuation and case do not count.
    """
    said, meant = Counter(_words(answer)), Counter(_words(truth))
    common = (said & meant).total()
    value = 2 * common / (said.total() + meant.total()) if common else 0.0
    return value if value >= LEAST else 0.0


def anls(answer: str, truth: str) -> float:
    """One minus the edit distance over the longer length, 0 below a half; case and needless space aside.

    One question's part of ANLS (ST-VQA, arXiv 1905.13648; DocVQA). A half itself counts, as in the published scripts.
    """
    said, meant = " ".join(answer.casefold().split()), " ".join(truth.casefold().split())
    longest, apart = max(len(said), len(meant)), abs(len(said) - len(meant))
    if apart > (1 - LEAST) * longest:  # no fewer edits than that; and long answers cost time
        return 0.0
    value = 1 - _distance(said, meant) / longest if longest else 1.0
    return value if value >= LEAST else 0.0


def near_number(answer: str, truth: str) -> float | None:
    """1 if the answer's only number is within 5% of the true one, else 0; None where the truth is no number.

    Numbers are in digits, with separators of thousands or without, or in words; explicit statements ("the answer is 7")
    win. A sign ("$", "%") may be missing on one side, but not be another one; 25% is 25, and it is 0.25 too.
    """
    meant = _quantity(words_of(unmarked(truth)))
    if meant is None:
        return None
    plain = unmarked(answer)
    parts = [words_of(part) for part in statements(plain)] or [words_of(plain)]
    found, signs = (
        {value for part in parts for value in values(part)},
        {sign for part in parts for sign in signs_of(part)},
    )
    sign, wanted = meant
    value = next(iter(found)) if len(found) == 1 else None
    if value is None or (sign and not signs <= {sign}):
        return 0.0
    scale = 100 if sign == PERCENT and not signs else Decimal("0.01") if signs == {PERCENT} and not sign else 1
    return float(any(abs(each - wanted) <= TOLERANCE * abs(wanted) for each in (value, value * scale)))


def _quantity(words: Words) -> tuple[str, Decimal] | None:
    """The sign, which may be empty, and the number that the words are as a whole."""
    value = number(words)
    return amount(words) if value is None else ("", value)


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
