"""V*Bench: small things in large pictures, asked by attribute or by position.

Dataset: 191 questions on SA-1B pictures: 115 direct_attributes (4 options), 76 relative_position (2); no licence stated.
Metric: accuracy overall and by category.
Source: https://huggingface.co/datasets/craigwu/vstar_bench (arXiv 2312.14135).

A folder with direct_attributes/ and relative_position/ holds a JSON file beside each picture, with `bbox` as x, y, width,
height in pixels and the right option first; so options are shuffled, by the seed and the question's id. The other forms
have fixed letters and no boxes: `test_questions.jsonl` (give its path to have it, as the repository holds both), the Parquet
of https://huggingface.co/datasets/lmms-lab/vstar-bench with the same fields and its pictures inside, and VLMEvalKit's
VStarBench.tsv with the options in columns. The folders OCR and GPT4V-hard are no part of the score, and are left out.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cof.data.benchmarks import fields, options, pictures, rows, wording
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.errors import InputError
from cof.types import Question

CATEGORIES = ("direct_attributes", "relative_position")
ENDS = (".jpg", ".jpeg", ".png", ".webp")
LISTED = ("test_questions.jsonl", "VStarBench.tsv", "test-*.parquet", "data/test-*.parquet")
GET = "get https://huggingface.co/datasets/craigwu/vstar_bench and give its folder"


def items(data: Path, seed: int, left_out: LeftOut | None = None) -> Iterator[Example]:
    """The questions of a folder, or of a file of `LISTED`; `seed` shuffles the options of a folder's. InputError."""
    annotations = [path for category in CATEGORIES for path in sorted((data / category).glob("*.json"))]
    if annotations:
        yield from items_of(map(rows.read_one, annotations), partial(_annotated, seed=seed), left_out)
    else:
        files = rows.find(data, LISTED, GET)
        yield from items_of((row for file in files for row in rows.read(file)), _listed, left_out)


def _annotated(row: Row, seed: int) -> Example:
    category, name = row.file.parent.name, row.file.stem
    choices = [str(option) for option in fields.listed(row, "options")]
    if len(choices) < 2:
        raise InputError(f"{row.place} has {len(choices)} 'options'; want two or more, the right one first")
    right = choices[0]
    random.Random(f"{seed}/{category}/{name}").shuffle(choices)
    depth = row.fields.get("depth")  # only in the needle world's files
    question = Question(
        f"{category}/{name}",
        (str(_beside(row)),),
        fields.text(row, "question"),
        tuple(choices),
        right,
        category,
        depth if isinstance(depth, int) else None,
        fields.xywh(row, "bbox"),
    )
    return Example(question, pictures.in_file(Path(question.image)))


def _beside(row: Row) -> Path:
    for path in (row.file.with_suffix(end) for end in ENDS):
        if path.is_file():
            return Path(os.path.abspath(path))
    raise InputError(f"{row.place} has no picture beside it ({', '.join(ENDS)}); {GET}")


def _listed(row: Row) -> Example:
    text, given = options.parse(wording.bare(row, fields.text(row, "text" if "text" in row.fields else "question")))
    given = given or options.columns(row)
    if len(given) < 2:
        raise InputError(f"{row.place} has {len(given)} options; want lines (A) ..., (B) ..., or columns A, B, ...")
    name, picture = pictures.given(row, row.fields.get("image"), GET)
    question = Question(
        fields.text(row, "question_id" if "question_id" in row.fields else "index"),
        (name,),
        text,
        tuple(given.values()),
        options.answer(row, "label" if "label" in row.fields else "answer", given),
        fields.optional(row, "category"),
    )
    return Example(question, picture)
