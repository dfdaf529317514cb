"""A question that a person asks of pictures, checked where it enters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cof.dialects.control import control_token
from cof.errors import InputError
from cof.types import Question


def question_of(images: Sequence[str], text: str, choices: Sequence[str] = ()) -> Question:
    """A question about the pictures at the paths `images` ("" where one has none).

    Raises InputError where the question is no text or empty, where the choices are not two or more different texts, and
    where either spells a control token.
    """
    if not isinstance(text, str):
        raise InputError(
            f"the question is {type(text).__name__}; want text: what you would like to know of the picture"
        )
    if not text.strip():
        raise InputError("the question is empty; want what you would like to know of the picture")
    if isinstance(choices, str) or not isinstance(choices, Iterable):
        raise InputError(f"choices are {choices!r:.40}; want a list of two or more texts, or an empty one")
    given = tuple(choices)
    if not all(isinstance(choice, str) for choice in given):
        raise InputError(f"choices {list(given)} are not all texts; want a text for each possible answer")
    if given and (len({choice.strip() for choice in given}) < max(2, len(given)) or "" in given):
        raise InputError(f"choices {list(given)} are no choice; want two or more different ones, or none")
    for part in (text, *given):
        if token := control_token(part):
            raise InputError(f"the question holds {token}, which models read as a control token; leave it out")
    return Question("ask", tuple(images), text, given)
