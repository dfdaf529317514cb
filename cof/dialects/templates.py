"""A text of a family's authors as the words of a dialect: their fields as ours, and their doubled braces undone.

Owns which fields in braces a key of a dialect has, and how an authors' text must read to be taken. A text with `{{` is a
`str.format` template, all of whose braces count; in any other, braces of JSON, LaTeX and prose are text. A field that cof
would not fill is refused: a model would be sent its braces.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

from cof.dialects.dialect import IMAGE, QUESTION, WORDS
from cof.errors import InvalidConfig

FIELDS = {  # what `Dialect` fills in each of these keys
    "system": (),
    "user": ("question",),
    "closer": (),
    "reply": ("image", "words", "n", "before", "width", "height", "question", "choices", "lettered"),
}
WANTED = {
    "system": "the text without braces, or with values in their place",
    "user": "{question} where the question goes and no other field: choices follow it, as the key choose says",
    "closer": "the text without braces, or --reply for one that holds {image}",
    "reply": "no field but {image}, {words}, {n}, {before}, {width}, {height}, {question}, {choices} and {lettered}",
}
ASKED = (
    "question",
    "query",
    "input",
    "prompt",
    "problem",
    "instruction",
    "",
    "0",
)  # these are the question where alone
MOST_SHOWN = 5  # fields in an error
PICTURE = "<image>"  # where a picture goes in the texts of training frameworks

NAME = r"[A-Za-z_]\w*(?:\.\w+|\[[^\[\]{}]*\])*"
FIELD = re.compile(rf"\{{\s*+({NAME}(?:![rsa])?(?::[^{{}}\s]*)?|0?)\s*+\}}")
SINGLE = re.compile(rf"(?<!\{{)\{{{NAME}\}}(?!\}})")
LATEX = r"\\[A-Za-z]{2,}(?:\{[^{}]*\})+|[\^_]\{[^{}]*\}"
EMPTY = r'(?:"\s*:|[,\[])\s*\{\s*\}'  # an object of JSON
BRACES = re.compile(rf"{LATEX}|{EMPTY}|\$\{{\w+\}}|{FIELD.pattern}")  # only the last alternative is a field
JINJA = re.compile(rf"\{{%|(?<![\w{{}}])\{{\{{-?\s*{NAME}\s*(?:\|[^{{}}]*)?-?\}}\}}(?!\}})")
FOREIGN = re.compile(rf"%\(\w+\)[a-z]|(?<![%\w])%s\b|\$\{{\w+\}}|\$(?:{'|'.join(filter(str.isalpha, ASKED))})\b")


@dataclass(frozen=True)
class Words:
    """The words of one key of a dialect, and what was changed to get them, if anything."""

    text: str
    changes: tuple[str, ...] = ()


def words_of(key: str, text: str) -> Words:
    """An authors' `text` as the words of `key`: one of FIELDS. Raises InvalidConfig, which names what cannot be taken."""
    changes = []
    if key == "reply" and PICTURE in text and IMAGE not in text:
        text, changes = text.replace(PICTURE, IMAGE), [f"{PICTURE} is the picture"]
    if key == "user" and text.startswith(PICTURE):
        text, changes = (
            text.removeprefix(PICTURE).removeprefix("\n"),
            [f"without {PICTURE}, as the picture comes first"],
        )
    if key in ("user", "closer") and PICTURE in text:
        raise InvalidConfig(f"holds {PICTURE}, which {key} has no picture for; want {WANTED[key]}")
    pieces = list(_pieces(text))
    if "{{" in text:
        changes.append("doubled braces are single, as str.format leaves them")
    question = _question({field for _, field in pieces if field is not None}) if key == "user" else None
    if question not in (None, "question"):
        changes.append(f"{{{question}}} is the question")
    _refuse(key, text, pieces, question)
    written = "".join(part + _field(field, question) for part, field in pieces)
    return _completed(key, written, changes)


def _completed(key: str, text: str, changes: list[str]) -> Words:
    """With the fields that the key must have, where the authors' own code puts them around the text."""
    if key == "user" and QUESTION not in text:
        between = "\n" if text and not text[0].isspace() else ""
        return Words(QUESTION + between + text, (*changes, "after the question"))
    if key == "reply" and IMAGE not in text:
        raise InvalidConfig(f"holds no {IMAGE}; want one, or --closer for words that follow the picture")
    if key == "reply" and WORDS not in text:
        return Words(text + WORDS, (*changes, f"before {WORDS}"))
    return Words(text, tuple(changes))


def _pieces(text: str) -> Iterator[tuple[str, str | None]]:
    """Text and the field after it, None after the last."""
    jinja = JINJA.search(text)
    if jinja and (jinja[0] == "{%" or not SINGLE.search(text)):  # beside a single field, it is a doubled brace
        want = f"want a text with fields such as {QUESTION}, or none"
        raise InvalidConfig(f"holds {jinja[0]:.60}, as a Jinja template does; {want}")
    if "{{" not in text:
        yield from _fields(text)
        return
    try:
        yield from _format(text)
    except ValueError as error:
        want = "want braces doubled everywhere but in fields, or nowhere"
        raise InvalidConfig(f"holds {{{{, as a template of str.format does, but {error}; {want}") from None


def _format(text: str) -> Iterator[tuple[str, str | None]]:
    """The pieces of a template of str.format. Raises ValueError."""
    before = ""
    for part, name, spec, conversion in string.Formatter().parse(text):  # a part ends at a doubled brace too
        before += part
        if name is not None:
            field = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            if not FIELD.fullmatch(f"{{{field}}}"):
                raise ValueError(f"{{{field:.40}}} in it is no field")
            yield before, field
            before = ""
    yield before, None


def _fields(text: str) -> Iterator[tuple[str, str | None]]:
    """The pieces of a text that is no template of str.format."""
    end = 0
    for found in BRACES.finditer(text):
        if found[1] is not None:
            yield text[end : found.start()], found[1]
            end = found.end()
    yield text[end:], None


def _question(fields: set[str]) -> str | None:
    """The field that is the question, whatever its authors call it: {question}, or the only one."""
    if "question" in fields:
        return "question"
    return next((field for field in fields if len(fields) == 1 and field.casefold() in ASKED), None)


def _refuse(key: str, text: str, pieces: list[tuple[str, str | None]], question: str | None) -> None:
    known = FIELDS[key]
    odd = [f"{{{field}}}" for _, field in pieces if field is not None and field not in (*known, question)]
    odd += [found[0] for found in FOREIGN.finditer(text)]
    if odd:
        shown = ", ".join(list(dict.fromkeys(odd))[:MOST_SHOWN])
        raise InvalidConfig(f"holds {shown:.200}, which cof does not fill there; want {WANTED[key]}")
    for field in known:
        if any(f"{{{field}}}" in part for part, _ in pieces):
            raise InvalidConfig(f"holds {{{field}}} as text, which cof would fill; want {WANTED[key]}")


def _field(field: str | None, question: str | None) -> str:
    return "" if field is None else QUESTION if field == question else f"{{{field}}}"
