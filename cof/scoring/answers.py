"""How right an answer is, by the metric of its question. Pure functions of text; None means not scored.

By "match" an answer is read in layers, from the surest down: its exact text, a letter, an option's words, a number. Where
a reader would have to guess, nothing is read. No model judges here, and only English is read (and the Chinese for "answer").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cof.geometry import Box
from cof.scoring.grounding import best_iou, box_in, truth_boxes
from cof.scoring.numbers import PERCENT, amount, number, signs_of, values
from cof.scoring.options import chosen, is_option, option_of
from cof.scoring.overlap import anls, near_number
from cof.scoring.words import Words, core, statements, unmarked, words_of
from cof.types import Metric, Question

RIGHT = 0.5  # an answer worth this or more counts as right: the threshold of ANLS, and that of IoU in detection


@dataclass(frozen=True)
class Score:
    """How right an answer is, in [0, 1], and what decided it; value None is "not scored".

    `by` is the layer that read the answer ("exact", "letter", "option", "number", "part", "text"), "anls" or "box" for
    those metrics, "none" where nothing or several things could be read (0.0), or "unknown" where there is no truth (None).
    """

    value: float | None
    by: str

    @property
    def right(self) -> bool | None:
        """Whether the answer counts as right; None where it is not scored."""
        return None if self.value is None else self.value >= RIGHT


def metric_of(question: Question) -> Metric:
    """The metric that scores a question: its own, but that options are right or wrong ("match"), never nearly right."""
    return "match" if question.choices else question.metric


def score(question: Question, answer: str | None) -> Score:
    """How right `answer` is. Any true answer will do: `answer` of the question, or one of its aliases.

    - "match": 1.0 if it names a true option, or says the truth of an open question, else 0.0. An alias may be another
      option, which is then as right; another alias is a further wording, which counts where no option is named. An
      open answer says the truth if it is the truth but for case, articles, punctuation, markup and openings such as "it is",
      or if it holds one number and that is the truth, a currency sign aside; where it has explicit statements ("the answer
      is red"), they alone count.
    - "anls": the similarity of the whole texts, best over the truths (`overlap.anls`).
    - "relaxed": 1.0 for a number within 5% of a true one (`overlap.near_number`); other truths as by "match".
    - "iou": the IoU with a true box, best over them; the answer's four numbers are taken in source pixels here
      (`traces.score_trace` converts from a dialect's frame).

    No answer is 0.0. Raises InputError if the truth is no option, or no box.
    """
    if metric_of(question) == "iou":
        return box_score(question, box_in(answer or ""))
    if question.answer is None:
        return Score(None, "unknown")
    right = option_of(question.choices, question.answer) if question.choices else question.answer
    if answer is None or not answer.strip():
        return Score(0.0, "none")
    if question.choices:
        return _choice(question, right, answer)
    return _best(question.metric, (right, *question.aliases), answer)


def box_score(question: Question, box: Box | None) -> Score:
    """How right a box answer is, in source pixels; None is an answer that is no box. Raises InputError."""
    truths = truth_boxes(question)
    if not truths:
        return Score(None, "unknown")
    return Score(0.0, "none") if box is None else Score(best_iou(box, truths), "box")


def exact(answer: str | None, truth: str | None) -> float | None:
    """1.0 if the answer is the truth but for case, spaces and a closing full stop, else 0.0; None without a truth.

    No answer is 0.0: the run ended without one.
    """
    if truth is None:
        return None
    return float(answer is not None and _plain(answer) == _plain(truth))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()


def _choice(question: Question, right: str, answer: str) -> Score:
    """The score of an answer, not blank, to a question with options."""
    choices, wordings = question.choices, [each for each in question.aliases if not is_option(question.choices, each)]
    if found := chosen(choices, answer):
        named = choices[found[0]]
        others = {option_of(choices, each) for each in question.aliases if each not in wordings}
        return Score(float(named == right or named in others), found[1])
    return next((each for word in wordings if (each := _open(word, answer)).value == 1.0), Score(0.0, "none"))


def _best(metric: Metric, truths: Sequence[str], answer: str) -> Score:
    """The best score of an answer, not blank, to an open question over its truths; of equal ones the first."""
    by = {"anls": _similar, "relaxed": _relaxed}.get(metric, _open)
    return max((by(truth, answer) for truth in truths), key=lambda each: each.value or 0.0)


def _similar(truth: str, answer: str) -> Score:
    return Score(anls(answer, truth), "anls")


def _relaxed(truth: str, answer: str) -> Score:
    near = None if exact(answer, truth) == 1.0 else near_number(answer, truth)
    return _open(truth, answer) if near is None else Score(near, "number")


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
