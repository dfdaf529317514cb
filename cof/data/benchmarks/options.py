"""The options of a multiple-choice question by letter, from the forms in which benchmarks write them, and its answer."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence

from cof.data.benchmarks import fields
from cof.data.benchmarks.rows import Row
from cof.errors import InputError

Options = dict[str, str]
LETTERS = string.ascii_uppercase
LINE = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]*+(.*+)$", re.MULTILINE)  # (A) red, A. red, A) red, A: red
_MARK = re.compile(r"\(([A-Z])\)")  # of options that share a line: Which? (A) red (B) blue
_REQUEST = re.compile(r"\b(?:answer|letter|options?|choices?|choose|select|pick|reply|respond)\b", re.IGNORECASE)
_CLOSING = re.compile(  # the same at the end of the line that the options share
    r"(?<!\s)\s++(?:please\s++)?(?:answer|choose|select|pick|reply|respond)\b[^\n]{0,200}\b(?:letter|option|choice)s?\b.*$",
    re.IGNORECASE | re.DOTALL,
)


def parse(text: str) -> tuple[str, Options]:
    """The text without its option lines, and the options. A request for a letter or an answer after those lines is dropped.

    Only lines that run on from A count, or marks (A), (B) that share a line after the end of a sentence; with fewer than two
    there are no options, and the text is whole.
    """
    options: Options = {}
    start = end = len(text)
    for line in LINE.finditer(text):
        if line[1] == LETTERS[len(options) :][:1]:
            start, end = min(start, line.start()), line.end()
            options[line[1]] = line[2].rstrip()
    if len(options) < 2:
        return _in_one_line(text)
    rest = text[end:].strip()
    kept = [text[:start].strip(), *([rest] if rest and not _REQUEST.search(rest) else [])]
    return "\n".join(kept), options


def columns(row: Row) -> Options:
    """Options in columns named A, B, C and so on, as far as these run on; empty cells are no options."""
    there = LETTERS[: next((n for n, letter in enumerate(LETTERS) if letter not in row.fields), len(LETTERS))]
    return {letter: option for letter in there if (option := fields.optional(row, letter)) is not None}


def field(row: Row, name: str) -> Options:
    """Options in one field: a list of "(A) red" or "red" (or text that spells such a list), an object with a letter for
    each, or text with option lines.

    Raises InputError where there are fewer than two.
    """
    value = row.fields.get(name)
    if isinstance(value, Mapping):
        options = {str(letter).strip("(). ").upper(): str(option).strip() for letter, option in value.items()}
        if list(options) != list(LETTERS[: len(options)]):
            raise InputError(f"{row.place}, field {name!r} has the letters {', '.join(options)}; want A, B and so on")
    elif isinstance(value, str) and not value.lstrip().startswith("["):
        options = parse(value)[1]
    else:
        texts = [str(option) for option in fields.listed(row, name)]
        if len(texts) > len(LETTERS):
            raise InputError(f"{row.place}, field {name!r} has {len(texts)} options; want at most {len(LETTERS)}")
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


def named(given: str, choices: Sequence[str]) -> str | None:
    """The choice that a truth means: word for word, by its letter, by both ("B. blue"), or but for the case; None: no one."""
    if given in choices:
        return given
    lettered = dict(zip(LETTERS, choices, strict=False))
    if (alone := given.strip("(). ").upper()) in lettered:
        return lettered[alone]
    both = LINE.fullmatch(given)
    if both and lettered.get(both[1], "").casefold() == both[2].rstrip().casefold() != "":
        return lettered[both[1]]
    alike = [choice for choice in choices if choice.casefold() == given.casefold()]
    return alike[0] if len(alike) == 1 else None


def _in_one_line(text: str) -> tuple[str, Options]:
    marks: list[re.Match[str]] = []
    for mark in _MARK.finditer(text):
        if mark[1] == LETTERS[len(marks) :][:1]:
            marks.append(mark)
    if len(marks) < 2 or text[: marks[0].start()].rstrip()[-1:] not in tuple("?.:!？。："):
        return text.strip(), {}
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    found = [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    found[-1] = _CLOSING.sub("", found[-1])
    texts = [each.strip(" \t\r\n,;") for each in found]
    if any("\n" in each or not re.search(r"\w", each) for each in texts):
        return text.strip(), {}
    return text[: marks[0].start()].strip(), dict(zip(LETTERS, texts, strict=False))


def _bare(letter: str, option: str) -> str:
    return re.sub(rf"^\s*(\({letter}\)|{letter}[).:])\s*", "", option).strip()
