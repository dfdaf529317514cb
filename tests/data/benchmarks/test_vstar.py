import json

import pytest

from cof.data.benchmarks import vstar
from cof.data.benchmarks.left_out import LeftOut
from cof.errors import InputError
from cof.geometry import Box
from cof.needle.samples import samples, write
from tests.data.benchmarks.copies import check, in_base64, one_line, picture, write_lines, write_tsv

ATTRIBUTE = {
    "target_object": ["glove"],
    "bbox": [[10, 5, 4, 6]],
    "question": "What is the material of the glove?",
    "options": ["rubber", "cotton", "kevlar", "leather"],
}
POSITION = {
    "target_object": ["dog", "bin"],
    "bbox": [[1, 2, 3, 4], [20, 10, 5.5, 6]],
    "question": "Is the dog on the left or right side of the bin?",
    "options": ["The dog is on the left side of the bin.", "The dog is on the right side of the bin."],
}
LISTED = {
    "image": "direct_attributes/sa_0.jpg",
    "text": "What is the material of the glove?\n(A) rubber\n(B) cotton\n(C) kevlar\n(D) leather\n"
    "Answer with the option's letter from the given choices directly.",
    "category": "direct_attributes",
    "question_id": 7,
    "label": "C",
}
COUNT = 12


def copy(folder):
    """A folder as the repository has it: both forms, and a folder that is not scored."""
    for category, annotation in (("direct_attributes", ATTRIBUTE), ("relative_position", POSITION), ("OCR", ATTRIBUTE)):
        (folder / category).mkdir(parents=True)
        for index in range(COUNT):
            (folder / category / f"sa_{index}.jpg").write_bytes(picture())
            (folder / category / f"sa_{index}.json").write_text(json.dumps(annotation))
    write_lines(folder / "test_questions.jsonl", [LISTED])
    return folder


def test_folder(tmp_path):
    items = check(vstar.items(copy(tmp_path), 0))
    assert [i.question.category for i in items] == ["direct_attributes"] * COUNT + ["relative_position"] * COUNT
    assert {i.question.answer for i in items} == {"rubber", POSITION["options"][0]}
    assert {len(i.question.choices) for i in items[:COUNT]} == {4}
    assert items[0].question.id == "direct_attributes/sa_0"
    assert items[0].question.text == ATTRIBUTE["question"]
    assert items[0].question.targets == (Box(10, 5, 14, 11),)
    assert items[-1].question.targets == (Box(1, 2, 4, 6), Box(20, 10, 25.5, 16))
    assert items[0].question.depth is None


def test_shuffle_follows_the_seed(tmp_path):
    copy(tmp_path)
    one, again, other = ([i.question for i in vstar.items(tmp_path, seed)] for seed in (1, 1, 2))
    assert one == again
    assert [q.choices for q in one] != [q.choices for q in other]
    assert [q.answer for q in one] == [q.answer for q in other]
    assert [sorted(q.choices) for q in one] == [sorted(q.choices) for q in other]
    assert len({q.choices.index("rubber") for q in one[:COUNT]}) > 1


def test_listed_questions(tmp_path):
    copy(tmp_path)
    (item,) = check(vstar.items(tmp_path / "test_questions.jsonl", 0))
    assert item.question.id == "7"
    assert item.question.text == "What is the material of the glove?"
    assert item.question.choices == ("rubber", "cotton", "kevlar", "leather")
    assert item.question.answer == "kevlar"
    assert item.question.category == "direct_attributes"


def test_folder_with_listed_questions_only(tmp_path):
    copy(tmp_path)
    for annotation in tmp_path.glob("*/*.json"):
        annotation.unlink()
    assert len(check(vstar.items(tmp_path, 0))) == 1


COLUMNS = {"index": 3, "question": "What is it made of?", "A": "rubber", "B": "cotton", "C": "", "D": "", "answer": "B"}


def test_vlmevalkits_file(tmp_path):
    rows = [
        COLUMNS | {"image": in_base64(), "category": "direct_attributes"},
        COLUMNS | {"image": in_base64(), "category": ""},
    ]
    file = write_tsv(tmp_path / "VStarBench.tsv", rows)
    for data in (file, tmp_path):
        item, other = check(vstar.items(data, 0))
        assert item.question.choices == ("rubber", "cotton")
        assert (item.question.id, item.question.answer, item.question.category) == ("3", "cotton", "direct_attributes")
        assert other.question.category is None
    left_out = LeftOut()
    write_tsv(file, [rows[0], rows[0] | {"A": "", "B": ""}, rows[0] | {"answer": "C"}])
    assert len(list(vstar.items(file, 0, left_out))) == 1
    assert "row 2: has 0 options; want lines (A) ..., (B) ..., or columns" in left_out.summary()


def test_the_parquet_of_lmms_lab(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "data").mkdir()
    inline = "What is it made of? (A) rubber (B) cotton"
    rows = [
        LISTED | {"image": {"bytes": picture(), "path": "0.jpg"}, "question_id": str(n), "text": text}
        for n, text in enumerate([LISTED["text"], inline + " (C) kevlar"])
    ]
    for shard, row in enumerate(rows):
        parquet.write_table(arrow.Table.from_pylist([row]), tmp_path / "data" / f"test-0000{shard}-of-00002.parquet")
    first, second = check(vstar.items(tmp_path, 0))
    assert (first.question.id, first.question.answer) == ("0", "kevlar")
    assert first.question.choices == ("rubber", "cotton", "kevlar", "leather")
    assert (second.question.text, second.question.choices) == ("What is it made of?", ("rubber", "cotton", "kevlar"))


def test_a_label_may_be_unknown(tmp_path):
    copy(tmp_path)
    file = write_lines(tmp_path / "test_questions.jsonl", [LISTED | {"label": ""}])
    (item,) = vstar.items(file, 0)
    assert item.question.answer is None


def test_needles_come_back(tmp_path):
    found = list(samples("test", 3, 4, 448))
    write(iter(found), tmp_path)
    items = {item.question.id.split("/")[1]: item for item in vstar.items(tmp_path, 0)}
    assert len(items) == 4
    for sample in found:
        item = items[sample.question.id]
        assert item.question.text == sample.question.text
        assert item.question.answer == sample.question.answer
        assert item.question.depth == sample.question.depth
        assert item.question.category == sample.question.category
        assert len(item.question.targets) == len(sample.truth.needle.items)
        assert max(item.load().size) == 448


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"options": ["rubber"]}, "want two or more, the right one first"),
        ({"question": ""}, "has no 'question'"),
        ({"bbox": [[1, 2, 3]]}, "want four numbers a box"),
        ({"bbox": [[1, 2, 0, 4]]}, "is empty or reversed"),
        ({"bbox": 5}, "want a list"),
    ],
)
def test_bad_annotation(tmp_path, damage, message):
    copy(tmp_path)
    (tmp_path / "direct_attributes/sa_0.json").write_text(json.dumps(ATTRIBUTE | damage))
    with pytest.raises(InputError, match=message) as error:
        list(vstar.items(tmp_path, 0))
    assert "sa_0.json" in one_line(error)


def test_missing_files(tmp_path):
    with pytest.raises(
        InputError, match=r"no test_questions.jsonl or VStarBench.tsv .*; get https://huggingface.co"
    ) as error:
        list(vstar.items(tmp_path, 0))
    one_line(error)
    copy(tmp_path)
    (tmp_path / "direct_attributes/sa_3.jpg").unlink()
    with pytest.raises(InputError, match="sa_3.json' has no picture beside it") as error:
        list(vstar.items(tmp_path, 0))
    one_line(error)
    file = write_lines(tmp_path / "test_questions.jsonl", [LISTED, LISTED | {"image": "direct_attributes/sa_99.jpg"}])
    with pytest.raises(
        InputError, match="line 2 names the picture 'direct_attributes/sa_99.jpg', which is not in"
    ) as error:
        list(vstar.items(file, 0))
    one_line(error)
