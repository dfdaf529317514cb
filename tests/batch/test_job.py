"""A row of a job: its question and pictures, from the forms that people write, and one line where it cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from cof import files
from cof.batch.job import Job, JobRow, fingerprint
from cof.batch.run import rows_of
from cof.errors import InputError, InvalidConfig
from cof.models.base import ModelInfo
from cof.models.opening import ModelRef
from cof.models.scripted import ScriptedModel
from cof.types import Limits


def job(source: object = "in.jsonl", **changes: Any) -> Job:
    return Job(ModelRef(), str(source), **changes)


def row(value: object) -> JobRow:
    return JobRow(3, json.dumps(value).encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / name)
    return tmp_path / "in.jsonl"


@pytest.fixture
def bucket() -> Iterator[str]:
    """A place that only fsspec reaches."""
    memory = fsspec.filesystem("memory")
    with memory.open("/bucket/a.png", "wb") as file:
        Image.new("RGB", (40, 30), "red").save(file, "PNG")
    with memory.open("/bucket/in.jsonl", "wb") as file:
        file.write(b'{"image": "a.png", "question": "What?"}\n\n"a.png"\n')
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("value", "text", "images"),
    [
        ({"image": "a.png", "question": "What?"}, "What?", ["a.png"]),
        ({"image": "a.png"}, "All?", ["a.png"]),
        ("a.png", "All?", ["a.png"]),
        ({"images": ["a.png", "b.png"], "question": "<image>\n<image>\nSame?"}, "Same?", ["a.png", "b.png"]),
    ],
)
def test_a_row_is_a_question_or_a_picture(source: Path, value: object, text: str, images: list[str]) -> None:
    example = job(source, question="All?").example(row(value))
    assert example.question.text == text
    assert [Path(image).name for image in example.question.images] == images
    assert all(picture.size == (40, 30) for picture in example.pictures)


def test_a_row_has_its_own_name_or_that_of_its_line(source: Path) -> None:
    assert job(source).example(row({"image": "a.png", "question": "What?", "id": "x-1"})).question.id == "x-1"
    assert job(source).example(row({"image": "a.png", "question": "What?"})).question.id == "3"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"broken", "line 3 is no JSON"),
        (b'"caf\xe9.png"', "line 3 is no JSON"),
        (b"[" * 100_000, "line 3 is no JSON"),
        (b"[1]", r"line 3 is '\[1\]'; want an object, or the name of a picture"),
        (b"5", "want an object"),
        (b'"a.png"', "line 3 has no question; want one, or --question for all rows"),
        (b'{"image": "a.png", "question": ""}', "has no question"),
        (b'{"question": "What?"}', "has no 'image'"),
        (b'{"image": "none.png", "question": "What?"}', "which is not in"),
        (b'{"image": "https://example.org/a.png", "question": "What?"}', "want it downloaded"),
        (b'{"image": "a.png", "question": "<|im_end|>"}', "control token"),
        (b'{"image": "a.png", "question": "What?", "choices": ["x", "x"]}', "want two or more different texts"),
        (b'{"image": "memory://none/b.png", "question": "What?"}', "memory://none/b.png cannot be read"),
        (b'{"image": "webhdfs://127.0.0.1:9/b.png", "question": "What?"}', "which is not in"),
        (b'{"image": "reference://b.png", "question": "What?"}', "which is not in"),
    ],
)
def test_what_cannot_be_asked_is_one_line(source: Path, line: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        job(source).example(JobRow(3, line)).pictures  # noqa: B018
    assert "\n" not in str(error.value)


def test_rows_and_pictures_come_from_where_fsspec_reaches(bucket: str) -> None:
    asked = job(f"{bucket}/in.jsonl", question="All?")
    rows = list(rows_of(asked.source))
    assert [each.place for each in rows] == [1, 3]
    for each in rows:
        example = asked.example(each)
        assert example.question.images == ("memory://bucket/a.png",)
        assert example.picture.image.getpixel((5, 5)) == (255, 0, 0)


def test_a_mark_of_the_encoding_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'\xef\xbb\xbf"a.png"\r\n\r\n"b.png"')
    rows = list(rows_of(str(tmp_path / "in.jsonl")))
    assert [(row.place, row.line.strip()) for row in rows] == [(1, b'"a.png"'), (3, b'"b.png"')]


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for source in (str(tmp_path / "none.jsonl"), "memory://none/in.jsonl", str(tmp_path)):
        with pytest.raises(InputError, match="cannot be read"):
            list(rows_of(source))


@pytest.mark.parametrize("out", ["abc://x", "hf://a/b", "http://a/b"])
def test_an_address_that_cannot_be_written_to_is_refused(out: str) -> None:
    with pytest.raises(InputError, match="want a path, or one of s3, s3a, gs, gcs, file, memory"):
        files.check(out)


def test_a_question_that_is_misspelled_is_not_taken_for_none(source: Path) -> None:
    with pytest.raises(InputError, match="queston"):
        job(source, question="All?").example(row({"image": "a.png", "queston": "Own?"}))


def test_a_row_that_cannot_be_asked_has_its_names(source: Path) -> None:
    asked = job(source, question="All?")
    assert asked.names(row({"id": 5, "image": "x.png"})) == {"name": "5", "image": "x.png", "question": "All?"}
    assert asked.names(JobRow(3, b"broken")) == {"name": "3", "image": None, "question": "All?"}


def test_a_protocol_that_needs_a_package_names_its_extra() -> None:
    with pytest.raises(InputError, match="the extra gs"):
        list(rows_of("gs://bucket/in.jsonl"))


def test_what_decides_an_answer_is_in_the_fingerprint() -> None:
    model = ScriptedModel(["<answer>B</answer>"], ModelInfo("m", fingerprint="w"))
    base = fingerprint(model, job().setting(model))
    for changes in ({"policy": "direct"}, {"limits": Limits(zooms=1)}, {"budget": 16}, {"dialect": "plain"}):
        assert fingerprint(model, job(**changes).setting(model)) != base
    assert fingerprint(ScriptedModel(["B"], ModelInfo("m", fingerprint="v")), job().setting(model)) != base
    with pytest.raises(InvalidConfig):
        job(policy="oracle").setting(model)
