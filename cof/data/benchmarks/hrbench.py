"""HR-Bench: attributes, text, charts, maps and positions in pictures of 4K and 8K resolution.

Dataset: 4K and 8K; each asks 200 questions, half single, half cross, in 4 cycles of options (800 rows); licence "other".
Metric: accuracy as the mean over the four cycles: single (FSP), cross (FCP) and overall.
Source: https://huggingface.co/datasets/DreamMr/HR-Bench, hr_bench_4k.tsv or hr_bench_8k.tsv (arXiv 2408.15556).

Every row holds its whole picture as base64. None names the question that its cycle belongs to, and some questions are
asked of several pictures, so `group` is a digest of question and picture: 200 groups of 4. The parquet files of the
same name are read too. The file of the licence is empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from cof.data.benchmarks import fields, options, pictures, rows
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.errors import InputError
from cof.types import Question

FILES = ("hr_bench_4k.tsv", "hr_bench_8k.tsv", "hr_bench_4k.parquet", "hr_bench_8k.parquet")
GET = "get hr_bench_4k.tsv or hr_bench_8k.tsv from https://huggingface.co/datasets/DreamMr/HR-Bench and give its path"


def items(
    data: Path,
    seed: int,  # noqa: ARG001  the file itself turns the options round
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The rows of one file, or of the only one in a folder. Raises InputError."""
    (file,) = rows.find(data, FILES, GET)
    yield from items_of(rows.read(file), _item, left_out)


def _item(row: Row) -> Example:
    text, image = fields.text(row, "question"), fields.text(row, "image")
    given = options.columns(row)
    if len(given) < 2:
        raise InputError(f"{row.place} has {len(given)} options; want columns A, B, C and D")
    question = Question(
        fields.text(row, "index"),
        (row.name,),
        text,
        tuple(given.values()),
        options.answer(row, "answer", given),
        fields.text(row, "category"),
    )
    group = hashlib.sha256(f"{text}\n{image}".encode()).hexdigest()[:16]
    return Example(question, pictures.in_text(row, image), group)
