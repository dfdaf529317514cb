import json

import pytest

from cof.data.benchmarks import visualprobe
from cof.errors import InputError
from tests.data.benchmarks.copies import check, one_line, picture


def write(folder, rows, name="VisualProbe_Hard"):
    (folder / name / "data").mkdir(parents=True)
    (folder / name / "data" / "0.jpg").write_bytes(picture())
    (folder / name / "val.json").write_text(json.dumps(rows))
    return folder / name


def record(level="hard", **changes):
    return {
        "images": [f"VisualProbe_{level.capitalize()}/data/0.jpg"],
        "doc_id": 0,
        "problem": "<image>\nHow much does a bottle of mineral water on the far right cost?",
        "solution": "3 yuan and 80 cents",
        "data_source": f"visual_probe_{level}",
    } | changes


def test_all_three(tmp_path):
    for level in ("easy", "medium", "hard"):
        write(tmp_path, [record(level), record(level, doc_id="b")], f"VisualProbe_{level.capitalize()}")
    items = check(visualprobe.items(tmp_path, 0))
    assert [i.question.category for i in items] == ["easy", "easy", "hard", "hard", "medium", "medium"]
    assert items[0].question.id == "easy/0"
    assert {i.question.text for i in items} == {"How much does a bottle of mineral water on the far right cost?"}
    assert {(i.question.answer, i.question.choices) for i in items} == {("3 yuan and 80 cents", ())}


def test_one_folder_and_pictures_named_from_it(tmp_path):
    folder = write(tmp_path, [record(images=["data/0.jpg"]), record(data_source=None)])
    items = check(visualprobe.items(folder, 0))
    assert [i.question.id for i in items] == ["hard/0", "hard/0#2"]
    assert len(list(visualprobe.items(folder / "val.json", 0))) == 2


def test_relative_path(tmp_path, monkeypatch):
    folder = write(tmp_path, [record()])
    monkeypatch.chdir(folder)
    (item,) = check(visualprobe.items(folder.relative_to(folder), 0))
    assert item.question.answer == "3 yuan and 80 cents"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"images": []}, "row 1 has 0 'images'; want one"),
        ({"images": ["VisualProbe_Hard/data/9.jpg"]}, "row 1 names the picture 'VisualProbe_Hard/data/9.jpg'"),
        ({"data_source": "visual_probe_train"}, "want an end of easy, medium or hard"),
        ({"problem": None}, "row 1 has no 'problem'"),
        ({"solution": ["a"]}, "field 'solution' is .*; want text"),
    ],
)
def test_bad_row(tmp_path, damage, message):
    folder = write(tmp_path, [record(**damage)])
    with pytest.raises(InputError, match=message) as error:
        list(visualprobe.items(folder, 0))
    assert "val.json" in one_line(error)


def test_missing(tmp_path):
    with pytest.raises(InputError, match="has no val.json or VisualProbe_\\*/val.json; get https://") as error:
        list(visualprobe.items(tmp_path, 0))
    one_line(error)
