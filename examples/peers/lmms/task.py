"""What lmms-eval asks of a task, for the lines of `questions.py`: the picture, the question, and whether an answer is right."""

from __future__ import annotations

from typing import Any

from PIL import Image

Line = dict[str, Any]


def pictures(line: Line) -> list[Image.Image]:
    return [Image.open(line["image"]).convert("RGB")]


def question(line: Line, _options: Line | None = None) -> str:
    return str(line["question"])


def choice(line: Line, _options: Line | None = None) -> str:
    """The question with its options, in the words that the CoF dialect has for them."""
    return f"{line['question']}\nChoose one of: {', '.join(line['choices'])}."


def scores(line: Line, said: list[str]) -> dict[str, float]:
    """1 where the answer is the true one, whatever its case."""
    return {"exact_match": float(said[0].strip().rstrip(".").lower() == line["answer"].lower())}
