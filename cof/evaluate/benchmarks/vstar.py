"""V*Bench: small things in large pictures, asked by attribute or by position.

Dataset: 191 questions on SA-1B pictures: 115 direct_attributes (4 options), 76 relative_position (2); no licence stated.
Metric: accuracy overall and by category.
Source: https://huggingface.co/datasets/craigwu/vstar_bench (arXiv 2312.14135).

Two forms are read. A folder with direct_attributes/ and relative_position/ holds a JSON file beside each picture, with
`bbox` as x, y, width, height in pixels and the right option first; so options are shuffled, by the seed and the
question's id. `test_questions.jsonl` has fixed letters and no boxes; give its path to have it, as the repository holds
both. The folders OCR and GPT4V-hard are no part of the score, and are left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from cof.errors import InputError
from cof.evaluate.benchmarks import fields, options, pictures, rows
from cof.evaluate.benchmarks.base import Item
from cof.evaluate.benchmarks.ids import unique
from cof.evaluate.benchmarks.rows import Row
from cof.types import Question

CATEGORIES = ("direct_attributes", "relative_position")
ENDS = (".jpg", ".jpeg", ".png", ".webp")
GET = "get https://huggingface.co/datasets/craigwu/vstar_bench and give its folder"


def items(data: Path, seed: int) -> Iterator[Item]:
    """The questions of a folder, or of a test_questions.jsonl; `seed` shuffles the options of a folder's. InputError."""
    annotations = [path for category in CATEGORIES for path in sorted((data / category).glob("*.json"))]
    if annotations:
        yield from unique(_annotated(rows.read_one(path), seed) for path in annotations)
    else:
        (file,) = rows.find(data, ("test_questions.jsonl",), GET)
        yield from unique(_listed(row) for row in rows.read(file))


def _annotated(row: Row, seed: int) -> Item:
    category, name = row.file.parent.name, row.file.stem
    choices = [str(option) for option in fields.listed(row, "options")]
    if len(choices) < 2:
        raise InputError(f"{row.place} has {len(choices)} 'options'; want two or more, the right one first")
    right = choices[0]
    random.Random(f"{seed}/{category}/{name}").shuffle(choices)
    depth = row.fields.get("depth")  # only in the needle world's files
    question = Question(
        f"{category}/{name}",
        str(_beside(row)),
        fields.text(row, "question"),
        tuple(choices),
        right,
        category,
        depth if isinstance(depth, int) else None,
        fields.xywh(row, "bbox"),
    )
    return Item(question, pictures.in_file(Path(question.image)))


def _beside(row: Row) -> Path:
    for path in (row.file.with_suffix(end) for end in ENDS):
        if path.is_file():
            return path
    raise InputError(f"{row.place} has no picture beside it ({', '.join(ENDS)}); {GET}")


def _listed(row: Row) -> Item:
    text, given = options.parse(fields.text(row, "text"))
    if not given:
        raise InputError(f"{row.place}, field 'text' has no option lines; want lines (A) ..., (B) ...")
    image = pictures.locate(row, fields.text(row, "image"), [row.file.parent], GET)
    question = Question(
        fields.text(row, "question_id"),
        str(image),
        text,
        tuple(given.values()),
        options.answer(row, "label", given),
        fields.optional(row, "category"),
    )
    return Item(question, pictures.in_file(image))
