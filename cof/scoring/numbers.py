"""The numbers among the words of an answer: digits, words below a hundred, signs and amounts. Pure functions.

A minus is never dropped; a number that is ambiguous ("7:30", "seven hundred") is None, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

from cof.scoring.words import Words

_SPELLED = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
_SMALL = {word: n for n, word in enumerate([*_SPELLED.split(), "seventeen", "eighteen", "nineteen"])}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred", "thousand", "million", "billion", "dozen", "half", "point"}
_BEFORE_ONE = {"is", "are", "was", "were", "only", "just", "exactly", "see", "count", "has", "have", "about", "shows"}
_NUMERAL = re.compile(r"-?(?:\d{1,40}|\d{1,3}(?:,\d{3}){1,12})(?:\.\d{1,40})?")
MINUS_WORDS = ("minus", "negative")
PERCENT = "%"
_SIGNS = {sign: sign for sign in "$€£¥%"} | dict.fromkeys(("dollar", "dollars", "usd"), "$")
_SIGNS |= dict.fromkeys(("euro", "euros", "eur"), "€") | {"percent": PERCENT, "gbp": "£", "yen": "¥", "jpy": "¥"}


def number(words: Words) -> Decimal | None:
    """The number that the words are as a whole; None if they are something else."""
    numerals = _numerals(words)
    return Decimal(numerals[0].replace(",", "")) if len(numerals) == 1 and _NUMERAL.fullmatch(numerals[0]) else None


def amount(words: Words) -> tuple[str, Decimal] | None:
    """The sign (a currency or "%") and the number that the words are as a whole; None if they are something else."""
    signs, value = signs_of(words), number(_unsigned(words))
    return (next(iter(signs)), value) if len(signs) == 1 and value is not None else None


def signs_of(words: Words) -> set[str]:
    """The signs of amounts among the words; "dollars" and "percent" as "$" and "%"."""
    return {_SIGNS[word] for word in words if word in _SIGNS}


def values(words: Words) -> Collection[Decimal | None]:
    """The numbers among the words, each once; None for any that is ambiguous: "7:30", "seven hundred"."""
    found = _numerals(_unsigned(words))
    return {number((word,)) for word in found if word in _SCALES or re.fullmatch(r"-?\d[\d.,:/-]*", word)}


def _unsigned(words: Words) -> Words:
    return tuple(word for word in words if word not in _SIGNS)


def _numerals(words: Words) -> list[str]:
    """The words with numbers below a hundred in digits; "one" only where it counts, not as in "the red one"."""
    out: list[str] = []
    for previous, word in zip(("", *words), words, strict=False):
        if previous in _TENS and 0 < _SMALL.get(word, 0) < 10:
            tens = out.pop()
            out.append(("-" if tens.startswith("-") else "") + str(_TENS[previous] + _SMALL[word]))
            continue
        counts = word != "one" or previous in (*_BEFORE_ONE, *MINUS_WORDS) or len(words) == 1
        numeral = str(_SMALL.get(word, _TENS.get(word, word))) if counts else word
        if previous in MINUS_WORDS and numeral[0].isdigit():
            out[-1] = f"-{numeral}"
        else:
            out.append(numeral)
    return out
