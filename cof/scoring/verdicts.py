"""What a judge is asked about an answer, and how its verdict is read."""

from __future__ import annotations

import json
import re

from cof.dialects.base import Message
from cof.types import Question

SYSTEM = (
    "You compare a given answer with the true answer to a question. Judge the meaning, not the wording. An answer that names "
    "several options, or none, is wrong. Reply with one JSON object and nothing else: "
    '{"right": true} or {"right": false}.'
)


def messages(question: Question, answer: str) -> tuple[Message, ...]:
    """Question, full options, true answers and given answer, each marked as data in JSON."""
    asked = (
        {"question": question.text, "options": list(question.choices)}
        if question.choices
        else {"question": question.text}
    )
    others = {"other_true_answers": list(question.aliases)} if question.aliases else {}
    told = json.dumps(asked | {"true_answer": question.answer} | others | {"given_answer": answer}, ensure_ascii=False)
    return (Message("system", (SYSTEM,)), Message("user", (told,)))


def verdict(text: str) -> bool | None:
    """The judge's word, or None where there is none: the last JSON object that says whether the answer is right."""
    for found in reversed(re.findall(r"\{[^{}]{0,200}\}", text)):
        try:
            right = json.loads(found).get("right")
        except (ValueError, AttributeError):
            continue
        if isinstance(right, bool):
            return right
    return None
