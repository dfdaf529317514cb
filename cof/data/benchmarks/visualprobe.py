"""VisualProbe: visual search with many distractors, where several looks are needed.

Dataset: 515 questions, 141 easy, 268 medium and 106 hard, with open answers; no licence stated.
Metric: accuracy by difficulty, by a judge of open answers (an exact match understates it).
Source: https://huggingface.co/datasets/Mini-o3/VisualProbe_Easy, and likewise _Medium and _Hard (arXiv 2509.07969).

Each is a folder with val.json, a JSON list, and its pictures. Give that folder, or one that has all three under the
names that they have there: pictures are named from above ("VisualProbe_Hard/data/1.jpg") or from val.json's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cof.data.benchmarks import fields, pictures, rows, wording
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.errors import InputError
from cof.types import Question

GET = (
    "get https://huggingface.co/datasets/Mini-o3/VisualProbe_Easy (Medium, Hard), keep its name, "
    "and give the folder that it lies in"
)
DIFFICULTY = re.compile(r"(easy|medium|hard)$", re.IGNORECASE)


def items(
    data: Path,
    seed: int,  # noqa: ARG001  open answers have no order
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The questions of one val.json, or of every one in the folders VisualProbe_*. Raises InputError."""
    files = rows.find(data, ("val.json", "VisualProbe_*/val.json"), GET)
    yield from items_of((row for file in files for row in rows.read(file)), _item, left_out)


def _item(row: Row) -> Example:
    source = fields.optional(row, "data_source") or row.file.parent.name
    difficulty = DIFFICULTY.search(source)
    if difficulty is None:
        raise InputError(f"{row.place}, field 'data_source' is {source!r}; want an end of easy, medium or hard")
    category = difficulty[1].lower()
    images = fields.listed(row, "images")
    if len(images) != 1:
        raise InputError(f"{row.place} has {len(images)} 'images'; want one")
    folder = row.file.absolute().parent
    image = pictures.locate(row, str(images[0]), [folder, folder.parent], GET)
    question = Question(
        f"{category}/{fields.text(row, 'doc_id')}",
        (str(image),),
        wording.bare(row, fields.text(row, "problem")),
        answer=fields.optional(row, "solution"),
        category=category,
    )
    return Example(question, pictures.in_file(image))
