"""Rows that cannot be used, in every form of file and benchmark: the others are read, these are counted and named."""

import inspect
import json
from collections.abc import Generator
from pathlib import Path

import pytest

from cof.data.benchmarks import hrbench, jsonl, rows, treebench, visualprobe, vstar
from cof.data.benchmarks.left_out import LONGEST, LeftOut, usable
from cof.data.benchmarks.rows import Row
from cof.errors import InputError
from tests.data.benchmarks.copies import in_base64, one_line, picture, write_lines, write_tsv

GOOD = {"question": "What colour?", "image": "lake.jpg", "answer": "red"}
BAD = GOOD | {"image": "none.jpg"}


def numbers(*bad):
    """The numbers of ten rows that are used, where those in `bad` cannot be."""

    def make(row):
        if row.number in bad:
            raise InputError(f"{row.place} has no sense; want some")
        return row.number

    left_out, found = LeftOut(), [Row(Path("x.jsonl"), n, {}) for n in range(1, 11)]
    return list(usable(found, make, left_out)), left_out


def test_the_first_reasons_are_said_and_the_others_counted():
    used, left_out = numbers(2, 4, 6, 8)
    assert used == [1, 3, 5, 7, 9, 10]
    assert (len(left_out), left_out.rows) == (4, 10)
    assert left_out.summary() == (
        "4 of 10 rows were left out of 'x.jsonl': line 2: has no sense; want some; line 4: has no sense; want some; "
        "line 6: has no sense; want some; and 1 more"
    )
    assert left_out.first(9)[-1] == "line 8: has no sense; want some"


def test_nothing_left_out_is_falsy_and_counts_all():
    used, left_out = numbers()
    assert len(used) == left_out.rows == 10
    assert not left_out


def test_no_usable_row_is_an_error_that_says_why():
    with pytest.raises(
        InputError, match="no row can be used; 10 of 10 rows .*line 1: has no sense.*and 7 more"
    ) as error:
        numbers(*range(1, 11))
    one_line(error)


def test_reading_again_counts_once_and_a_fault_found_later_moves_a_row(tmp_path):
    (tmp_path / "lake.jpg").write_bytes(picture())
    file, left_out = write_lines(tmp_path / "mine.jsonl", [GOOD, BAD, GOOD]), LeftOut()
    for _ in range(3):
        found = list(jsonl.items(file, 0, left_out))
    assert (len(left_out), left_out.rows) == (1, 3)
    left_out.add(found[0].row, InputError("it is damaged"))
    assert (len(left_out), left_out.rows) == (2, 3)
    assert "line 1: it is damaged" in left_out.summary()


def test_a_long_reason_is_cut():
    left_out = LeftOut()
    left_out.add(Row(Path("x.jsonl"), 1, {}), InputError("x" * 5000 + "\ny"))
    assert len(left_out.first(1)[0]) == LONGEST + len("line 1: ")


def test_several_files_are_named(tmp_path):
    (tmp_path / "lake.jpg").write_bytes(picture())
    left_out = LeftOut()
    for name in ("a.jsonl", "b.jsonl"):
        list(jsonl.items(write_lines(tmp_path / name, [GOOD, BAD]), 0, left_out))
    assert left_out.summary().startswith(f"2 of 4 rows were left out: file '{tmp_path / 'a.jsonl'}' line 2: names")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json\n", "line 2: is not JSON"),
        (b'{"question": "cut', "line 2: is not JSON"),
        (b"[1, 2]\n", r"line 2: is \[1, 2\]; want a JSON object"),
        (b'{"question": "\xff\xfe"}\n', "line 2: is not JSON"),
        (b"[" * 100_000 + b"\n", "line 2: is not JSON"),
        (json.dumps(GOOD | {"question": "half \ud800"}).encode() + b"\n", "line 2: holds half a character"),
    ],
)
def test_a_damaged_line_costs_itself_alone(tmp_path, line, why):
    (tmp_path / "lake.jpg").write_bytes(picture())
    good = json.dumps(GOOD).encode() + b"\n"
    (tmp_path / "mine.jsonl").write_bytes(good + line + (good if line.endswith(b"\n") else b""))
    left_out = LeftOut()
    found = list(jsonl.items(tmp_path / "mine.jsonl", 0, left_out))
    assert len(found) == 1 + line.endswith(b"\n")
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(left_out.summary())


def test_a_json_list_and_parquet(tmp_path):
    (tmp_path / "lake.jpg").write_bytes(picture())
    (tmp_path / "mine.json").write_text(json.dumps([GOOD, 3, BAD, GOOD]))
    left_out = LeftOut()
    assert [item.question.id for item in jsonl.items(tmp_path / "mine.json", 0, left_out)] == ["1", "4"]
    assert left_out.summary().startswith(f"2 of 4 rows were left out of '{tmp_path / 'mine.json'}': row 2: is 3; want")
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([GOOD, BAD, GOOD]), tmp_path / "mine.parquet")
    left_out = LeftOut()
    assert len(list(jsonl.items(tmp_path / "mine.parquet", 0, left_out))) == 2
    assert "row 2: names the picture 'none.jpg'" in left_out.summary()


TREE = {
    "index": 0,
    "question": "W?",
    "category": "Reasoning/Order",
    "A": "x",
    "B": "y",
    "answer": "B",
    "image": in_base64(),
}


def test_a_tsv_with_a_short_row(tmp_path):
    rows_ = [TREE | {"index": n, "target_instances": "[[1, 2, 3, 4]]"} for n in range(3)]
    file = write_tsv(tmp_path / "TreeBench.tsv", rows_)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2].rpartition("\t")[0], lines[3]]) + "\n")
    left_out = LeftOut()
    assert [item.question.id for item in treebench.items(file, 0, left_out)] == ["0", "2"]
    assert "row 2: has 7 fields; want 8, as in the header" in left_out.summary()
    with pytest.raises(InputError, match="row 2 has 7 fields"):
        list(treebench.items(file, 0))


def test_other_benchmarks_leave_out_too(tmp_path):
    good = {"index": 0, "question": "W?", "category": "single", "A": "x", "B": "y", "answer": "A", "image": in_base64()}
    file, left_out = write_tsv(tmp_path / "hr_bench_4k.tsv", [good, good | {"answer": "F"}]), LeftOut()
    assert len(list(hrbench.items(file, 0, left_out))) == 1
    assert "row 2: field 'answer' is 'F'; want one of A, B" in left_out.summary()
    probe = tmp_path / "VisualProbe_Easy"
    (probe / "data").mkdir(parents=True)
    (probe / "data" / "0.jpg").write_bytes(picture())
    asked = {"problem": "<image>\nW?", "solution": "x", "images": ["data/0.jpg"], "doc_id": 1}
    (probe / "val.json").write_text(json.dumps([asked, asked | {"images": ["data/0.jpg"] * 2}]))
    left_out = LeftOut()
    assert [item.question.text for item in visualprobe.items(probe, 0, left_out)] == ["W?"]
    assert "row 2: has 2 'images'; want one" in left_out.summary()


def test_vstars_annotations_are_rows(tmp_path):
    (tmp_path / "direct_attributes").mkdir()
    asked = {"question": "W?", "options": ["x", "y"], "bbox": [[1, 2, 3, 4]]}
    for n, text in enumerate([json.dumps(asked), "{", json.dumps(asked | {"options": ["x"]}), "[]"]):
        (tmp_path / "direct_attributes" / f"{n}.jpg").write_bytes(picture())
        (tmp_path / "direct_attributes" / f"{n}.json").write_text(text)
    left_out = LeftOut()
    (item,) = vstar.items(tmp_path, 0, left_out)
    assert item.question.image == str(tmp_path / "direct_attributes" / "0.jpg")
    assert (len(left_out), left_out.rows) == (3, 4)
    assert "1.json': cannot be read" in left_out.summary()


@pytest.mark.parametrize("field", ["question", "choices", "answer", "answers"])
@pytest.mark.parametrize("token", ["<|im_end|>", "<|vision_start|><|image_pad|>", "<start_of_turn>", "[/INST]"])
def test_a_control_token_is_left_out_wherever_it_stands(tmp_path, field, token):
    (tmp_path / "lake.jpg").write_bytes(picture())
    value = {"choices": [f"x {token}", "red"], "answers": ["red", token]}.get(field, f"Say {token}")
    file, left_out = write_lines(tmp_path / "mine.jsonl", [GOOD, GOOD | {field: value}]), LeftOut()
    assert len(list(jsonl.items(file, 0, left_out))) == 1
    assert "which models read as a control token" in left_out.summary()


@pytest.mark.parametrize("text", ["Is a < b | c > d?", "What is <b>this</b>?", "Who wrote [1]?", "x <| y"])
def test_what_only_looks_like_one_is_asked(tmp_path, text):
    (tmp_path / "lake.jpg").write_bytes(picture())
    (item,) = jsonl.items(write_lines(tmp_path / "mine.jsonl", [GOOD | {"question": text}]), 0)
    assert item.question.text == text


def test_one_json_object_and_lines_under_the_name_of_a_list(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(GOOD))
    assert [row.fields for row in rows.read(tmp_path / "one.json")] == [GOOD]
    (tmp_path / "lines.json").write_text(f"{json.dumps(GOOD)}\n{json.dumps(BAD)}\n")
    assert [row.fields for row in rows.read(tmp_path / "lines.json")] == [GOOD, BAD]


def test_a_refused_row_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    given = rows.read(tmp_path / "rows.jsonl")

    def refuse(_: Row) -> None:
        raise InputError("no")

    with pytest.raises(InputError):
        list(usable(given, refuse, None))
    assert isinstance(given, Generator)
    assert inspect.getgeneratorstate(given) == inspect.GEN_CLOSED
