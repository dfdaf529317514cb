"""TreeBench: perception and second-order reasoning, with the boxes that an answer must rest on.

Dataset: 405 questions on SA-1B pictures in 10 categories, "Perception/OCR" to "Reasoning/Comparison"; Apache-2.0.
Metric: accuracy overall and by category; mIoU (`target_iou`), a mean over questions and their targets of the best IoU.
Source: https://huggingface.co/datasets/HaochenWang/TreeBench, TreeBench.tsv (arXiv 2507.07999).

Pictures are base64; `target_instances` spells a list of x1, y1, x2, y2 in pixels. In Perception/OCR question and
options are written in the picture and the columns A, B, ... are empty: such a question has no choices here, a letter
for its answer, and a request for one. The row of index 330 runs two options together; they are parted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cof.data.benchmarks import fields, options, pictures, rows
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.options import LETTERS, Options
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.dialects.base import LETTER_REQUEST
from cof.types import Question

GET = "get TreeBench.tsv from https://huggingface.co/datasets/HaochenWang/TreeBench and give its path"
IN_THE_PICTURE = "Perception/OCR"


def items(
    data: Path,
    seed: int,  # noqa: ARG001  the options' order is the file's
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The rows of TreeBench.tsv, or of a folder that has it. Raises InputError."""
    (file,) = rows.find(data, ("TreeBench.tsv",), GET)
    yield from items_of(rows.read(file), _item, left_out)


def _item(row: Row) -> Example:
    text, category = fields.text(row, "question"), fields.text(row, "category")
    given = options.columns(row)
    if category == IN_THE_PICTURE and not given:
        choices: tuple[str, ...] = ()
        text = f"{text}\n{LETTER_REQUEST}"
        answer = options.answer(row, "answer", dict(zip(LETTERS, LETTERS, strict=True)))
    else:
        given = _parted(row, given or options.field(row, "multi-choice options"))
        choices, answer = tuple(given.values()), options.answer(row, "answer", given)
    question = Question(
        fields.text(row, "index"),
        (row.name,),
        text,
        choices,
        answer,
        category,
        targets=fields.xyxy(row, "target_instances"),
    )
    return Example(question, pictures.in_text(row, fields.text(row, "image")))


def _parted(row: Row, given: Options) -> Options:
    """The options; where the answer's letter is missing, those that hold the next one's label are taken apart."""
    if options.letter(row, "answer") in (None, *given):
        return given
    texts: list[str] = []
    for option in given.values():
        texts += option.split(f" {LETTERS[len(texts) + 1]}. ", 1)
    return dict(zip(LETTERS, texts, strict=False))
