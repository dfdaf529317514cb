"""A model as judge of answers that the layers of `answers.py` could not read, or found not to be the truth.

Questions with another metric than "match" are not judged. Verdicts are journaled, so that none is asked for twice. Where
no verdict came, the score is None: not scored, never 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cof.errors import ModelError
from cof.models.base import Model, Request
from cof.runs import Journal, read_records
from cof.scoring import verdicts
from cof.scoring.answers import Score, metric_of, score
from cof.types import Completion, Question, Sampling

BY = "judge"
UNNAMED = "judge"  # of verdicts from before they held its name
SAMPLING = Sampling(tokens=256)

Asked = tuple[Question, str | None]


def judged(model: Model, asked: Iterable[Asked], journal: Journal) -> Callable[[Question, str | None], Score]:
    """Have `model` judge what is open among `asked`, and give the function that scores with its verdicts."""
    journaled = {str(record["id"]): record["right"] for record in read_records(journal.path)}
    verdicts: dict[str, bool | None] = dict(journaled)

    def keep(key: str, right: bool | None) -> None:
        verdicts[key] = right
        if right is not None:
            journal.append({"id": key, "right": right, "judge": model.info.name})

    waiting = {
        _key(model.info.name, question, answer): (question, answer)
        for question, answer in asked
        if _open(question, answer)
    }
    model.converse(
        _Asking(key, question, answer or "", keep)
        for key, (question, answer) in waiting.items()
        if key not in journaled
    )

    return _with(model.info.name, verdicts)


def remembered(journal: Path) -> Callable[[Question, str | None], Score]:
    """The function that scores with the verdicts that the last judge left in `journal`, if there is such a file."""
    verdicts = _verdicts(journal)
    return _with(_judge(verdicts), {str(one["id"]): one["right"] for one in verdicts}) if verdicts else score


def judge_of(journal: Path) -> str | None:
    """The name of the last judge whose verdicts are in `journal`; None where there are none."""
    verdicts = _verdicts(journal)
    return _judge(verdicts) if verdicts else None


def _verdicts(journal: Path) -> list[dict[str, Any]]:
    return list(read_records(journal)) if journal.exists() else []


def _judge(verdicts: Sequence[Mapping[str, Any]]) -> str:
    return str(verdicts[-1].get("judge", UNNAMED))


def _with(judge: str, verdicts: Mapping[str, bool | None]) -> Callable[[Question, str | None], Score]:
    def scored(question: Question, answer: str | None) -> Score:
        if not _open(question, answer):
            return score(question, answer)
        right = verdicts.get(_key(judge, question, answer))
        return Score(None if right is None else float(right), BY)

    return scored


class _Asking:
    """One answer before the judge."""

    def __init__(self, key: str, question: Question, answer: str, keep: Callable[[str, bool | None], None]) -> None:
        self.key, self.keep = key, keep
        self.wanted: Request | None = Request(verdicts.messages(question, answer), {}, SAMPLING)

    def request(self) -> Request | None:
        return self.wanted

    @property
    def cancelled(self) -> bool:
        return False

    def receive(self, completion: Completion | ModelError, _seconds: float) -> None:
        self.wanted = None
        self.keep(self.key, None if isinstance(completion, ModelError) else verdicts.verdict(completion.text))


def _open(question: Question, answer: str | None) -> bool:
    """Whether a judge may help: there is an answer and a truth, and the layers did not find them to agree or to differ."""
    if not answer or question.answer is None or metric_of(question) != "match":
        return False
    found = score(question, answer)
    return found.by == "none" or (not question.choices and found.value != 1)


def _key(judge: str, question: Question, answer: str | None) -> str:
    told = [judge, question.text, question.choices, question.answer, answer, verdicts.SYSTEM, *question.aliases]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
