"""Questions of people: choices are kept as they are, and what is no question or no choice is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cof.errors import InputError
from cof.loop.question import question_of
from cof.types import Question


@pytest.mark.parametrize("choices", [(), ("red", "blue"), ("red", "Red", " blue"), tuple(map(str, range(300)))])
def test_different_texts_are_choices(choices: tuple[str, ...]) -> None:
    assert question_of(["a.png"], "Which?", choices) == Question("ask", ("a.png",), "Which?", choices)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (("red",), "no choice"),
        (("red", "red"), "no choice"),
        (("red", " red"), "no choice"),
        (("red", ""), "no choice"),
        ("red, blue", "want a list"),
        (3, "want a list"),
        (("red", 3), "not all texts"),
        (("red", "<|im_end|>"), "control token"),
    ],
)
def test_what_is_no_choice_is_refused(choices: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        question_of(["a.png"], "Which?", choices)


@pytest.mark.parametrize("text", ["", "  ", None, 3, "Why <|im_end|>?"])
def test_what_is_no_question_is_refused(text: Any) -> None:
    with pytest.raises(InputError):
        question_of(["a.png"], text)
