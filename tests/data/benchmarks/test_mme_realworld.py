import json
import sys

import pytest

from cof.data.benchmarks import mme_realworld
from cof.errors import InputError, MissingExtra
from tests.data.benchmarks.copies import check, in_base64, one_line, picture, write_tsv

LABELLED = ["(A) 458", "(B) 457", "(C) 456", "(D) 455", "(E) This image doesn't feature the data."]
CHOICES = ("458", "457", "456", "455", "This image doesn't feature the data.")
NAMED = {
    "Question_id": "perception/diagram_and_table/diagram/0558",
    "Image": "diagram_and_table/cons9.jpg",
    "Text": "What is the data of Interest in Feb-23 in the table?",
    "Question Type": "Multiple Choice",
    "Answer choices": LABELLED,
    "Ground truth": "B",
    "Category": "diagram",
    "Subtask": "Diagram and Table",
    "Task": "Perception",
}


def stored(index, options, column="image"):
    return {
        "index": index,
        column: in_base64(),
        "question": NAMED["Text"],
        "multi-choice options": options,
        "answer": "B",
        "category": "Perception/Diagram and Table",
        "l2-category": "diagram",
    }


def is_right(item):
    asked = item.question
    return (asked.text, asked.choices, asked.answer, asked.category) == (
        NAMED["Text"],
        CHOICES,
        "457",
        "Perception/Diagram and Table",
    )


@pytest.mark.parametrize("folder", ["", "imgs"])
def test_named_pictures(tmp_path, folder):
    place = tmp_path / folder / "diagram_and_table"
    place.mkdir(parents=True)
    (place / "cons9.jpg").write_bytes(picture())
    (tmp_path / "MME-RealWorld-Lite.json").write_text(json.dumps([NAMED, NAMED]))
    items = check(mme_realworld.items(tmp_path, 0))
    assert all(map(is_right, items))
    assert [i.question.id for i in items] == [NAMED["Question_id"], NAMED["Question_id"] + "#2"]


@pytest.mark.parametrize("options", [repr(LABELLED), "The choices are listed below:\n" + "\n".join(LABELLED)])
def test_tsv(tmp_path, options):
    write_tsv(tmp_path / "mme_realworld_lite.tsv", [stored(3993, options), stored(4864, options)])
    items = check(mme_realworld.items(tmp_path, 0))
    assert all(map(is_right, items))
    assert [i.question.id for i in items] == ["3993", "4864"]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "data").mkdir()
    for shard in range(2):
        rows = [stored(10 * shard + i, LABELLED, "bytes") for i in range(10)]
        table = pyarrow.Table.from_pylist(rows)
        parquet.write_table(table, tmp_path / "data" / f"train-0000{shard}-of-00002.parquet")
    items = check(mme_realworld.items(tmp_path, 0))
    assert all(map(is_right, items))
    assert [i.question.id for i in items] == [str(i) for i in range(20)]


def test_damaged_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    file = tmp_path / "train-00000-of-00001.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="cannot be read") as error:
        list(mme_realworld.items(file, 0))
    one_line(error)


def test_parquet_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    file = tmp_path / "train-00000-of-00001.parquet"
    file.write_bytes(b"")
    with pytest.raises(MissingExtra, match=r"needs pyarrow; want the extra train installed: .*\[train\]") as error:
        list(mme_realworld.items(file, 0))
    one_line(error)


def test_missing_picture(tmp_path):
    (tmp_path / "MME_RealWorld.json").write_text(json.dumps([NAMED]))
    with pytest.raises(InputError, match="row 1 names the picture 'diagram_and_table/cons9.jpg'") as error:
        list(mme_realworld.items(tmp_path, 0))
    assert "unpacked" in one_line(error)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"multi-choice options": "458 or 457"}, "field 'multi-choice options' has 0 options; want two or more"),
        ({"multi-choice options": "[1, 2"}, "want a list"),
        ({"answer": "F"}, "want one of A, B, C, D, E"),
        ({"category": ""}, "has no 'category'"),
    ],
)
def test_bad_row(tmp_path, damage, message):
    file = write_tsv(tmp_path / "mme_realworld_lite.tsv", [stored(1, repr(LABELLED)) | damage])
    with pytest.raises(InputError, match=message) as error:
        list(mme_realworld.items(file, 0))
    assert "row 1" in one_line(error)


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[3]"])
def test_bad_json(tmp_path, content):
    (tmp_path / "MME_RealWorld.json").write_text(content)
    with pytest.raises(InputError, match="MME_RealWorld.json") as error:
        list(mme_realworld.items(tmp_path, 0))
    one_line(error)
