import pytest

from cof.data.benchmarks import treebench
from cof.errors import InputError
from cof.geometry import Box
from tests.data.benchmarks.copies import check, in_base64, one_line, write_tsv

COLUMNS = dict.fromkeys("ABCDEFGHIJK", "")
CATEGORIES = (
    "Perception/Attributes",
    "Perception/Material",
    "Perception/Physical State",
    "Perception/Object Retrieval",
    "Perception/OCR",
    "Reasoning/Perspective Transform",
    "Reasoning/Ordering",
    "Reasoning/Contact and Occlusion",
    "Reasoning/Spatial Containment",
    "Reasoning/Comparison",
)
LISTED = "A. Flag\nB. Sunglasses\nC. Flower\nD. Grass ring"
OPTIONS = {"A": "Flag", "B": "Sunglasses", "C": "Flower", "D": "Grass ring"}


def row(index, **changes):
    return {
        "index": index,
        "image": in_base64(),
        "question": "What is attached to the top of the hat in the middle of the image?",
        "multi-choice options": LISTED,
        "answer": "C",
        "category": "Perception/Attributes",
        "l2-category": "Attributes",
        "target_instances": "[[1, 2, 30, 20], [5.5, 6, 7, 8]]",
        **(COLUMNS | OPTIONS),
    } | changes


def read(folder, *rows):
    return list(treebench.items(write_tsv(folder / "TreeBench.tsv", list(rows)).parent, 0))


def test_rows(tmp_path):
    items = check(read(tmp_path, *(row(i, category=category) for i, category in enumerate(CATEGORIES))))
    assert tuple(i.question.category for i in items) == CATEGORIES
    assert {i.question.choices for i in items} == {("Flag", "Sunglasses", "Flower", "Grass ring")}
    assert {i.question.answer for i in items} == {"Flower"}
    assert {i.question.targets for i in items} == {(Box(1, 2, 30, 20), Box(5.5, 6, 7, 8))}
    assert [i.question.id for i in items] == [str(i) for i in range(10)]


def test_question_in_the_picture(tmp_path):
    asked = "Recognize the question and options in the image and answer it."
    blob = "A First choice\nB Second choice\n C First C choice\nC. Duplicate C choice"
    changes = COLUMNS | {"question": asked, "category": "Perception/OCR", "multi-choice options": blob}
    (item,) = check(read(tmp_path, row(142, **changes)))
    assert item.question.choices == ()
    assert item.question.answer == "C"
    assert item.question.text == f"{asked}\n{treebench.LETTER_REQUEST}"


def test_options_in_one_field_only(tmp_path):
    (item,) = check(read(tmp_path, row(0, **COLUMNS)))
    assert item.question.choices == ("Flag", "Sunglasses", "Flower", "Grass ring")


def test_options_that_run_together(tmp_path):
    shifted = {"A": "He is standing. B. He is lying down.", "B": "He is running.", "C": "He is sitting.", "D": ""}
    (item,) = check(read(tmp_path, row(330, answer="D", **shifted)))
    assert item.question.choices == ("He is standing.", "He is lying down.", "He is running.", "He is sitting.")
    assert item.question.answer == "He is sitting."


def test_no_targets(tmp_path):
    (item,) = read(tmp_path, row(0, target_instances=""))
    assert item.question.targets == ()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"target_instances": "[[3, 2, 1, 20]]"}, "field 'target_instances': box .* is empty or reversed"),
        ({"target_instances": "[1, 2, 3, 4]"}, "want four numbers a box"),
        ({"target_instances": "__import__('os')"}, "want a list"),
        ({"answer": "E"}, "want one of A, B, C, D"),
        (COLUMNS | {"multi-choice options": ""}, "field 'multi-choice options' has 0 options"),
    ],
)
def test_bad_row(tmp_path, damage, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, row(0), row(1, **damage))
    assert "TreeBench.tsv' row 2" in one_line(error)


def test_missing(tmp_path):
    with pytest.raises(InputError, match="has no TreeBench.tsv; get TreeBench.tsv from") as error:
        list(treebench.items(tmp_path, 0))
    one_line(error)
