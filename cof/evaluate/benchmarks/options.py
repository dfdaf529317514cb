"""The options of a multiple-choice question by letter, from the forms in which benchmarks write them, and its answer."""

from __future__ import annotations

import re
import string

from cof.errors import InputError
from cof.evaluate.benchmarks import fields
from cof.evaluate.benchmarks.rows import Row

Options = dict[str, str]
LETTERS = string.ascii_uppercase
LINE = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]*(.*?)[ \t\r]*$", re.MULTILINE)  # (A) red, A. red, A) red, A: red


def parse(text: str) -> tuple[str, Options]:
    """The text before its option lines, and the options. What follows those lines (a request for a letter) is dropped.

    Only lines that run on from A count; with fewer than two there are no options, and the text is whole.
    """
    options: Options = {}
    start = len(text)
    for line in LINE.finditer(text):
        if line[1] == LETTERS[len(options) :][:1]:
            start = min(start, line.start())
            options[line[1]] = line[2]
    if len(options) < 2:
        return text.strip(), {}
    return text[:start].strip(), options


def columns(row: Row) -> Options:
    """Options in columns named A, B, C and so on; empty cells are no options."""
    return {letter: option for letter in LETTERS if (option := fields.optional(row, letter)) is not None}


def field(row: Row, name: str) -> Options:
    """Options in one field: a list of "(A) red" (or text that spells such a list), or text with option lines.

    Raises InputError where there are fewer than two.
    """
    value = row.fields.get(name)
    if isinstance(value, str) and not value.lstrip().startswith("["):
        options = parse(value)[1]
    else:
        texts = [str(option) for option in fields.listed(row, name)]
        options = {letter: _bare(letter, option) for letter, option in zip(LETTERS, texts, strict=False)}
    if len(options) < 2:
        raise InputError(f"{row.place}, field {name!r} has {len(options)} options; want two or more: (A) ..., (B) ...")
    return options


def letter(row: Row, name: str) -> str | None:
    """The letter in a field, "(b)" and "B." as "B"; None where it is empty. Raises InputError."""
    given = fields.optional(row, name)
    return None if given is None else given.strip("(). ").upper()


def answer(row: Row, name: str, options: Options) -> str | None:
    """The option that the letter in a field names, word for word; None where the field is empty. Raises InputError."""
    given = letter(row, name)
    if given is None:
        return None
    if given not in options:
        raise InputError(f"{row.place}, field {name!r} is {row.fields[name]!r}; want one of {', '.join(options)}")
    return options[given]


def _bare(letter: str, option: str) -> str:
    return re.sub(rf"^\s*(\({letter}\)|{letter}[).:])\s*", "", option).strip()
