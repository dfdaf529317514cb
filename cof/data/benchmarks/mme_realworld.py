"""MME-RealWorld and its Lite: monitoring, driving, remote sensing, charts and text in real scenes, for people hard too.

Dataset: 23,609 English questions with 5 options, Lite 1,919 of them; academic research only, no redistribution.
Metric: accuracy over all questions, by category, and the mean over categories (`category_mean`).
Source: https://huggingface.co/datasets/yifanzhang114/MME-RealWorld-lite-lmms-eval or .../MME-RealWorld (arXiv 2408.13257).

Two schemas are read. Parquet (`bytes`, in the authors' lmms-eval repositories) and TSV (`image`, mme_realworld_lite.tsv
in MME-RealWorld-Base64, or made by VLMEvalKit) hold pictures as base64. MME_RealWorld.json and MME-RealWorld-Lite.json
name files that lie, unpacked, beside them or in imgs/. The category is "Perception/Monitoring" and the like in both.
The Chinese set has the same form; give its file. The base64 JSON files are not read: they must be held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cof.data.benchmarks import fields, options, pictures, rows
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.types import Question

FILES = (
    "MME_RealWorld.json",
    "MME-RealWorld-Lite.json",
    "mme_realworld_lite.tsv",
    "MME-RealWorld.tsv",
    "data/train-*.parquet",
)
GET = (
    "get https://huggingface.co/datasets/yifanzhang114/MME-RealWorld-lite-lmms-eval (or MME-RealWorld, unpacked) "
    "and give its folder"
)


def items(
    data: Path,
    seed: int,  # noqa: ARG001  the options' order is fixed: E is the way out
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The questions of a file, or of the only set in a folder. Raises InputError, MissingExtra for parquet."""
    files = rows.find(data, FILES, GET)
    yield from items_of((row for file in files for row in rows.read(file)), _item, left_out)


def _item(row: Row) -> Example:
    return _named(row) if "Question_id" in row.fields else _stored(row)


def _named(row: Row) -> Example:
    folder = row.file.parent
    image = pictures.locate(row, fields.text(row, "Image"), [folder, folder / "imgs"], GET)
    given = options.field(row, "Answer choices")
    question = Question(
        fields.text(row, "Question_id"),
        (str(image),),
        fields.text(row, "Text"),
        tuple(given.values()),
        options.answer(row, "Ground truth", given),
        f"{fields.text(row, 'Task')}/{fields.text(row, 'Subtask')}",
    )
    return Example(question, pictures.in_file(image))


def _stored(row: Row) -> Example:
    given = options.field(row, "multi-choice options")
    question = Question(
        fields.text(row, "index"),
        (row.name,),
        fields.text(row, "question"),
        tuple(given.values()),
        options.answer(row, "answer", given),
        fields.text(row, "category"),
    )
    image = fields.text(row, "bytes" if "bytes" in row.fields else "image")
    return Example(question, pictures.in_text(row, image))
