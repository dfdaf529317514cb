"""Whether an answer is right. Pure functions of text; None means not scored.

An answer is read in layers, from the surest down: its exact text, a letter, an option's words, a number. Where a reader
would have to guess, nothing is read. No model judges here, and only English is read (and the Chinese for "answer").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cof.scoring.numbers import PERCENT, amount, number, signs_of, values
from cof.scoring.options import chosen, option_of
from cof.scoring.words import Words, core, statements, unmarked, words_of
from cof.types import Question


@dataclass(frozen=True)
class Score:
    """How right an answer is, in [0, 1], and what decided it; value None is "not scored".

    `by` is the layer that read the answer ("exact", "letter", "option", "number", "part", "text"), "none" where nothing
    or several things could be read (0.0), or "unknown" where there is no truth (None).
    """

    value: float | None
    by: str


def score(question: Question, answer: str | None) -> Score:
    """How right `answer` is: 1.0 if it names the true option, or says the truth of an open question, else 0.0.

    An open answer says the truth if it is the truth but for case, articles, punctuation, markup and openings such as
    "it is", or if it holds one number and that is the truth; where it has explicit statements ("the answer is red"),
    they alone count. No answer is 0.0. Raises InputError if the truth is no option.
    """
    if question.answer is None:
        return Score(None, "unknown")
    right = option_of(question.choices, question.answer) if question.choices else question.answer
    if answer is None or not answer.strip():
        return Score(0.0, "none")
    if not question.choices:
        return _open(right, answer)
    found = chosen(question.choices, answer)
    return Score(float(question.choices[found[0]] == right), found[1]) if found else Score(0.0, "none")


def exact(answer: str | None, truth: str | None) -> float | None:
    """1.0 if the answer is the truth but for case, spaces and a closing full stop, else 0.0; None without a truth.

    No answer is 0.0: the run ended without one.
    """
    if truth is None:
        return None
    return float(answer is not None and _plain(answer) == _plain(truth))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()


def _open(truth: str, answer: str) -> Score:
    """The score of an answer, not blank, to a question without options."""
    if exact(answer, truth) == 1.0:
        return Score(1.0, "exact")
    said, wanted = unmarked(answer), words_of(unmarked(truth))
    parts = [words for part in statements(said) if (words := words_of(part))] or [words_of(said)]
    if not any(parts):
        return Score(0.0, "none")
    meant, found = number(wanted), {value for words in parts for value in values(words)}
    same, alone = {core(words) for words in parts} == {core(wanted)}, len(found) == 1 and None not in found
    if meant is None and not same:
        meant = _in_amount(wanted, parts)
    return Score(float(meant in found), "number") if meant is not None and alone else Score(float(same), "text")


def _in_amount(wanted: Words, parts: Sequence[Words]) -> Decimal | None:
    """The number of a truth that is an amount, where the answer's `parts` have its sign; a currency may be missing there."""
    sign, value = amount(wanted) or ("", None)
    allowed = ({sign},) if sign == PERCENT else ({sign}, set())
    return value if all(signs_of(words) in allowed for words in parts) else None
