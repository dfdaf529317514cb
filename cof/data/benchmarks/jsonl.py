"""Anyone's own questions: a file with one JSON object per line, or the same fields as a JSON list, TSV, Parquet or Arrow.

Dataset: yours.
Metric: accuracy, overall and by category; mIoU where there are targets; `metric` chooses another for a question.
Source: a file you write (docs/questions.md has every field), or a question file of the released work.

    {"question": "What colour is the boat?", "image": "lake.jpg", "choices": ["red", "blue"], "answer": "B"}

Other names for these fields are read too: those of VLMEvalKit's TSV files, InSight-o3's O3-Bench, Mini-o3, DeepEyes, verl,
Thyme and the released CoF reinforcement data. Other fields are ignored; one that is spelled almost like a field is refused.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from cof.data.benchmarks import fields, options, pictures, rows, wording
from cof.data.benchmarks.conversation import conversation
from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.options import LETTERS
from cof.data.benchmarks.reading import items_of
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.dialects.cof import COF
from cof.errors import InputError, InvalidBox
from cof.geometry import Box
from cof.types import Metric, Question
from cof.vision import boxes

GET = "put it there, or give its path relative to the file"
FIELDS = (  # ours, as documented
    *("question", "image", "id", "choices", "options", "answer", "answers"),
    *("metric", "category", "targets", "targets_in", "targets_unit"),
)
OTHER = {  # names that others have for them, each read where those before it are absent
    "question": ("problem",),  # Mini-o3
    "image": ("file_name", "image_name", "images"),  # O3-Bench; CoF; Mini-o3, DeepEyes, verl and Thyme
    "answer": ("groundtruth", "ground_truth", "solution"),  # CoF; others; Mini-o3 and Thyme
    "category": ("subset", "data_source"),  # O3-Bench; DeepEyes, verl and CoF
    "id": ("index", "question_id", "doc_id"),  # VLMEvalKit; V*Bench; Mini-o3
}
METRICS: tuple[Metric, ...] = get_args(Metric)
UNITS = ("pixel", "part")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TAGGED = re.compile(rf"{re.escape(COF.answer.open)}(.*){re.escape(COF.answer.close)}", re.DOTALL)


def items(
    data: Path,
    seed: int,  # noqa: ARG001  the options' order is the author's
    left_out: LeftOut | None = None,
) -> Iterator[Example]:
    """The questions of one file, in its order. Raises InputError."""
    if not data.is_file():
        raise InputError(f"{str(data)!r} is no file; give one with a JSON object a line")
    yield from items_of(rows.read(data), item, left_out)


def item(row: Row, fetch: bool = False) -> Example:
    """The question of one row. Raises InputError, which names the field and says what is wanted there.

    With `fetch` a picture may be named by its http address.
    """
    check_spelling(row)
    named = pictures.given_several(row, _first(row, "image"), GET, fetch)
    names, (picture, *further) = tuple(name for name, _ in named), [picture for _, picture in named]
    truths = _truths(row)
    text, choices = _asked(row, truths, len(named))
    answers = _answers(row, truths, choices)
    question = Question(
        _identity(row),
        names,
        text,
        choices,
        answers[0] if answers else None,
        _text(row, "category"),
        targets=_targets(row, (picture, *further)),
        aliases=answers[1:],
        metric=_metric(row),
    )
    return Example(question, picture, further=tuple(further))


def check_spelling(row: Row) -> None:
    """Raises InputError where a field is spelled almost like one that is read and is absent."""
    known = {ours: (ours, *OTHER.get(ours, ())) for ours in FIELDS}
    known["answer"] += ("answers", "reward_model")
    known["answers"] = known["answer"]
    known["question"] += ("extra_info", "prompt", "messages")
    absent = [ours for ours, names in known.items() if not set(names) & set(row.fields)]
    fields.check_spelling(row, [name for names in known.values() for name in names], absent)


def _first(row: Row, ours: str) -> Any:
    """The first that is there of a field's names. Raises InputError where none is."""
    for name in (ours, *OTHER.get(ours, ())):
        value = row.fields.get(name)
        if value is not None and value == value and value not in ("", []):  # NaN stands for an empty cell
            return value
    raise InputError(f"{row.place} has no {ours!r}, or an empty one; want it (there is: {', '.join(row.fields)})")


def _text(row: Row, ours: str) -> str | None:
    """The first of a field's names that has a text."""
    texts = (fields.optional(row, name) for name in (ours, *OTHER.get(ours, ())))
    return next((text for text in texts if text is not None), None)


def _identity(row: Row) -> str:
    number = _inner(row, "extra_info", "index")
    return _text(row, "id") or ("" if number is None else str(number)) or str(row.number)


def _inner(row: Row, outer: str, name: str) -> Any:
    """A field inside a field, as verl's Parquet has them; None where it is absent."""
    found = row.fields.get(outer)
    return found.get(name) if isinstance(found, Mapping) else None


def _asked(row: Row, truths: list[str], pictures: int) -> tuple[str, tuple[str, ...]]:
    """The words of the question, and its choices, which may stand in the words."""
    text = wording.bare(row, _words(row), pictures)
    given = _choices(row)
    return (text, given) if given else inline(row, text, truths)


def _words(row: Row) -> str:
    text = _text(row, "question") or _inner(row, "extra_info", "question")
    if not isinstance(text, str):
        text = next((said.text for said in conversation(row) if said.role == "user"), None)
    return fields.text(row, "question") if text is None else text


def inline(row: Row, text: str, truths: list[str]) -> tuple[str, tuple[str, ...]]:
    """A question's words without the options in them, and these; the words whole where a truth shows that they are none.

    Raises InputError where the truth is the letter of no option.
    """
    alone, found = options.parse(text)
    choices = tuple(found.values())
    if not choices or len(set(choices)) < len(choices) or "" in choices or not alone:
        return text, ()
    if truths and options.named(truths[0], choices) is None:
        if truths[0].strip("(). ").upper() in LETTERS:
            raise InputError(f"{row.place} has the answer {truths[0]!r}; want one of {', '.join(found)}")
        return text, ()
    return alone, choices


def _choices(row: Row) -> tuple[str, ...]:
    """The options of whichever field has them. Raises InputError where two fields have different ones."""
    found = {"choices": tuple(str(choice).strip() for choice in fields.listed(row, "choices"))}
    if row.fields.get("options") not in (None, "", []):
        found["options"] = tuple(options.field(row, "options").values())
    found["A, B, ..."] = tuple(options.columns(row).values())
    given = {name: texts for name, texts in found.items() if texts}
    for name, choices in given.items():
        if len(set(choices)) < max(2, len(choices)) or "" in choices:
            raise InputError(f"{row.place}, field {name!r} is {list(choices)}; want two or more different texts")
    if len(set(given.values())) > 1:
        raise InputError(f"{row.place} has different options in {' and '.join(given)}; want them in one field")
    return next(iter(given.values()), ())


def _truths(row: Row) -> list[str]:
    """Every true answer as the row has it, the first one first."""
    found = [*_values(row, "answer"), *_several(row, "answers")]
    for name in OTHER["answer"]:
        found = found or _values(row, name)
    inner = (_inner(row, "reward_model", "ground_truth"), _inner(row, "extra_info", "answer"))
    found = found or [value for value in inner if isinstance(value, str | int | float)][:1]
    texts = (_untagged(str(value).strip()) for value in found)
    return [text for text in dict.fromkeys(texts) if text]


def _values(row: Row, name: str) -> list[Any]:
    """The answers in a field that holds one, or a list."""
    if isinstance(row.fields.get(name), list | tuple):
        return _several(row, name)
    value = fields.optional(row, name)
    return [] if value is None else [value]


def _several(row: Row, name: str) -> list[Any]:
    """The answers in a list; four numbers are one box where boxes are compared."""
    values, boxes = fields.listed(row, name), _metric(row) == "iou"
    if boxes and len(values) == 4 and all(isinstance(value, int | float) for value in values):
        return [values]
    for value in values:
        box = boxes and isinstance(value, list | tuple) and len(value) == 4
        if isinstance(value, bool) or not (box or isinstance(value, str | int | float)):
            raise InputError(f"{row.place}, field {name!r} has {value!r}; want a list of texts")
    return values


def _untagged(text: str) -> str:
    """A truth that is written as a model would answer, as some reinforcement sets do."""
    tagged = _TAGGED.fullmatch(text)
    return tagged[1].strip() if tagged else text


def _answers(row: Row, truths: list[str], choices: tuple[str, ...]) -> tuple[str, ...]:
    """The true answers; where there are choices, each as the choice that it names."""
    if _metric(row) == "iou":
        return tuple(_box(row, truth) for truth in truths)
    if not choices:
        return tuple(truths)
    found = list[str]()
    for truth in truths:
        choice = options.named(truth, choices)
        if choice is None:
            letters = ", ".join(LETTERS[: len(choices)])
            raise InputError(f"{row.place}, field 'answer' is {truth!r}; want one of {letters}, or an option's text")
        found.append(choice)
    return tuple(dict.fromkeys(found))


def _box(row: Row, truth: str) -> str:
    """A true answer that is a box in pixels, as it is. Raises InputError."""
    found = [float(number) for number in _NUMBER.findall(truth)]
    if len(found) != 4 or max(found) <= 1:
        raise InputError(f"{row.place} has the answer {truth!r}; want x0, y0, x1, y1 in pixels where the metric is iou")
    try:
        Box(*found)
    except InvalidBox as error:
        raise InvalidBox(f"{row.place}, field 'answer': {error}") from error
    return truth


def _metric(row: Row) -> Metric:
    given = fields.optional(row, "metric") or "match"
    for metric in METRICS:
        if given == metric:
            return metric
    raise InputError(f"{row.place}, field 'metric' is {given!r}; want one of {', '.join(METRICS)}")


def _targets(row: Row, pictures_of: Sequence[pictures.Picture]) -> tuple[Box, ...]:
    """The true boxes in pixels, each of its picture. Parts of the sides are taken for such only where the row says so."""
    found, unit = fields.xyxy(row, "targets"), fields.optional(row, "targets_unit")
    found = tuple(replace(box, picture=n) for box, n in zip(found, _numbers(row, found, len(pictures_of)), strict=True))
    if unit not in (None, *UNITS):
        raise InputError(f"{row.place}, field 'targets_unit' is {unit!r}; want one of {', '.join(UNITS)}")
    parts = all(max(map(abs, box.as_tuple())) <= 1 for box in found)
    if not found or (not parts and unit != "part"):
        return found
    if unit is None:
        want = 'want pixels, or "targets_unit": "part" beside them ("pixel" if they are pixels)'
        raise InputError(f"{row.place}, field 'targets' has no number above 1; {want}")
    if unit == "pixel":
        return found
    if not parts or min(min(box.as_tuple()) for box in found) < 0:
        raise InputError(f"{row.place}, field 'targets' has numbers outside 0 to 1; want parts of the picture's sides")
    sizes = {number: pictures_of[number]().size for number in {box.picture for box in found}}
    return tuple(boxes.scale(box, *sizes[box.picture]) for box in found)


def _numbers(row: Row, found: Sequence[Box], pictures: int) -> list[int]:
    """Which picture each true box is in, counted from 0; the row counts from 1, and may leave it out for the first picture."""
    named = fields.listed(row, "targets_in") or [1] * len(found)
    if len(named) != len(found) or not all(type(number) is int and 1 <= number <= pictures for number in named):
        want = f"want the number of its picture for each of {len(found)} targets, from 1 to {pictures}"
        raise InputError(f"{row.place}, field 'targets_in' is {reprlib.repr(named)}; {want}")
    return [number - 1 for number in named]
