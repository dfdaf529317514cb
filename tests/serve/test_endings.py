"""From a trace to the content of a reply: letters, thoughts, stop sequences, and the limit on tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from cof.loop.run import run
from cof.models.base import ModelInfo
from cof.models.scripted import ScriptedModel
from cof.serve.finish import reply
from cof.serve.prepare import Output, Prepared
from cof.serve.request import ChatRequest
from cof.serve.schema import plan_of
from cof.serve.server import PendingQuestion
from cof.serve.wire import Reply
from cof.types import Question
from tests.serve.asking import ASKED
from tests.serve.test_hostile_model import call

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"steps": {"type": "array", "items": {"type": "string"}}, "answer": {"type": "string"}},
    "required": ["steps", "answer"],
}


class Words:
    """A tokenizer whose tokens are words."""

    def __init__(self) -> None:
        self.known = list[str]()

    def encode(self, text: str) -> list[int]:
        words = text.split()
        self.known += [word for word in dict.fromkeys(words) if word not in self.known]
        return [self.known.index(word) for word in words]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.known[number] for number in ids)


def said(*lines: str, choices: tuple[str, ...] = (), form: dict[str, Any] | None = None, **fields: Any) -> Reply:
    model, question = (
        ScriptedModel(lines, ModelInfo("scripted", tokenizer=Words())),
        Question("q", ("",), "What is it?", choices),
    )
    trace = run(model, question, Image.new("RGB", (300, 200)))
    wanted = ChatRequest.model_validate({"messages": [ASKED], **fields})
    output = None if form is None else Output(form, plan_of(form))
    setting = SimpleNamespace()
    return reply(model, wanted, Prepared(question, PendingQuestion(question, setting, (b"",)), output), trace)  # type: ignore[arg-type]


@pytest.mark.parametrize(("answer", "content"), [("red", "A"), ("blue", "B"), ("green", "green")])
def test_the_letter_is_that_of_the_choice_and_another_answer_stays(answer: str, content: str) -> None:
    cof = {"letter": True, "choices": ["red", "blue"]}
    assert said(f"<answer>{answer}</answer>", choices=("red", "blue"), cof=cof).answer == content


@pytest.mark.parametrize(
    ("most", "content", "cut"), [(1, "a", True), (2, "a b", True), (3, "a b c", False), (9, "a b c", False)]
)
def test_what_is_beyond_the_most_tokens_is_cut(most: int, content: str, cut: bool) -> None:
    every: list[dict[str, Any]] = [{"max_tokens": most}, {"max_completion_tokens": most, "max_tokens": 100}]
    for fields in every:
        found = said("<answer>a b c</answer>", **fields)
        assert (found.answer, found.cut, found.notes) == (content, cut, ())


def test_the_thoughts_of_every_turn_are_the_steps() -> None:
    zoom = call("[10, 10, 100, 100]")
    found = json.loads(said(zoom, "<think>I see.</think><answer>red, blue</answer>", form=FORM, stop=",").answer)
    assert found["answer"] == "red"
    assert len(found["steps"]) == 2
    assert found["steps"][1] == "I see."
