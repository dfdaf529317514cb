"""Anyone's own questions: a file with one JSON object a line, or the same fields as Parquet or Arrow.

Dataset: yours.
Metric: accuracy, overall and by category; mIoU where there are targets.
Source: a file you write.

    {"question": "What colour is the boat?", "image": "lake.jpg", "choices": ["red", "blue"], "answer": "B"}

question  required
image     required: a path (relative to the file), a JPEG, PNG or WEBP as base64, or a data URL; in Parquet and Arrow
          also {"bytes", "path"}, as the Image feature of `datasets` has it
id        any text or number; the line's number where it is missing
choices   option texts, without letters; without them the answer is open
answer    an option word for word, else a letter; without it the question is asked and not scored
category  any text, to count by
targets   [[x0, y0, x1, y1], ...] in pixels of the picture, in the order in which to look

Other fields are ignored; one that is spelled almost like these is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cof.errors import InputError
from cof.evaluate.benchmarks import fields, options, pictures, rows
from cof.evaluate.benchmarks.base import Item
from cof.evaluate.benchmarks.ids import unique
from cof.evaluate.benchmarks.options import LETTERS
from cof.evaluate.benchmarks.rows import Row
from cof.types import Question

GET = "put it there, or give its path relative to the file"
FIELDS = ("question", "image", "id", "choices", "answer", "category", "targets")
BASE64_STARTS = ("/9j/", "iVBORw0KGgo", "UklGR")  # a JPEG, PNG and WEBP in base64, which has no dot; a file's name has


def items(data: Path, seed: int) -> Iterator[Item]:  # noqa: ARG001  the options' order is the author's
    """The questions of one file, in its order. Raises InputError."""
    if not data.is_file():
        raise InputError(f"{str(data)!r} is no file; give one with a JSON object a line")
    yield from unique(_item(row) for row in rows.read(data))


def _item(row: Row) -> Item:
    fields.check_spelling(row, FIELDS)
    name, picture = _picture(row)
    choices = _choices(row)
    question = Question(
        fields.optional(row, "id") or str(row.number),
        name,
        fields.text(row, "question"),
        choices,
        _answer(row, choices),
        fields.optional(row, "category"),
        targets=fields.xyxy(row, "targets"),
    )
    return Item(question, picture)


def _picture(row: Row) -> tuple[str, pictures.Picture]:
    """Its name, and the way to it."""
    match row.fields.get("image"):
        case {"bytes": bytes(content)}:
            return f"{row.file}#{row.number}", pictures.in_bytes(content)
        case {"path": str(image)}:
            pass
        case _:
            image = fields.text(row, "image")
    if image.startswith("data:") or (image.startswith(BASE64_STARTS) and "." not in image):
        return f"{row.file}#{row.number}", pictures.in_text(row, image)
    path = pictures.locate(row, image, [row.file.parent], GET)
    return str(path), pictures.in_file(path)


def _choices(row: Row) -> tuple[str, ...]:
    choices = tuple(str(choice).strip() for choice in fields.listed(row, "choices"))
    if choices and (len(set(choices)) < max(2, len(choices)) or "" in choices):
        raise InputError(f"{row.place}, field 'choices' is {list(choices)}; want two or more different texts")
    return choices


def _answer(row: Row, choices: tuple[str, ...]) -> str | None:
    given = fields.optional(row, "answer")
    if not choices or given in choices:
        return given
    return options.answer(row, "answer", dict(zip(LETTERS, choices, strict=False)))
