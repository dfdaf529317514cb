import pytest

from cof.errors import InputError
from cof.evaluate.benchmarks import jsonl
from cof.types import Box, Question
from tests.evaluate.benchmarks.copies import check, in_base64, one_line, picture, write_lines


def read(folder, *rows):
    (folder / "lake.jpg").write_bytes(picture())
    return list(jsonl.items(write_lines(folder / "mine.jsonl", rows), 0))


ASKED = {"question": "What colour is the boat?", "image": "lake.jpg"}


def test_all_fields(tmp_path):
    full = {
        "id": 5,
        "choices": ["red", "blue"],
        "answer": "B",
        "category": "boats",
        "targets": [[1, 2, 3, 4.5]],
    }
    (item,) = check(read(tmp_path, ASKED | full))
    assert item.question == Question(
        "5",
        str(tmp_path / "lake.jpg"),
        "What colour is the boat?",
        ("red", "blue"),
        "blue",
        "boats",
        targets=(Box(1, 2, 3, 4.5),),
    )


def test_only_what_is_required(tmp_path):
    (item,) = read(tmp_path, ASKED)
    assert item.question.id == "1"
    assert (item.question.choices, item.question.answer, item.question.category) == ((), None, None)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("start", ["", "data:image/anything;base64,"])
def test_pictures_in_the_line(tmp_path, form, start):
    (item,) = check(read(tmp_path, ASKED | {"image": start + in_base64(form=form), "answer": "red"}))
    assert item.question.image == f"{tmp_path / 'mine.jsonl'}#1"


@pytest.mark.parametrize(
    ("choices", "given", "answer"),
    [
        (["red", "blue"], "blue", "blue"),
        (["red", "blue"], "(a)", "red"),
        (["red", "blue"], "", None),
        (["B", "A"], "A", "A"),  # an option word for word comes before a letter
        ([1, 2], 2, "2"),
        ([], "anything", "anything"),
    ],
)
def test_answers(tmp_path, choices, given, answer):
    (item,) = read(tmp_path, ASKED | {"choices": choices, "answer": given})
    assert item.question.answer == answer
    assert item.question.answer in (*item.question.choices, None, "anything")


def test_order_and_ids(tmp_path):
    items = read(tmp_path, ASKED | {"id": "b"}, ASKED, ASKED | {"id": "b"})
    assert [i.question.id for i in items] == ["b", "2", "b#2"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"question": " "}, "line 2 has no 'question'"),
        ({"image": None}, "line 2 has no 'image'"),
        ({"image": "sea.jpg"}, "line 2 names the picture 'sea.jpg', which is not in"),
        ({"image": "x" * 10_000}, "line 2 names the picture 'xxx"),
        ({"choices": ["red"]}, "want two or more different texts"),
        ({"choices": ["red", "red"]}, "want two or more different texts"),
        ({"choices": ["red", "blue"], "answer": "green"}, "field 'answer' is 'green'; want one of A, B"),
        ({"answer": True}, "field 'answer' is True; want text"),
        ({"anwser": "red"}, "has a field 'anwser'; want 'answer'"),
        ({"Choice": ["red", "blue"]}, "has a field 'Choice'; want 'choices'"),
        ({"targets": [[4, 4, 1, 1]]}, "is empty or reversed"),
        ({"targets": [["a", 0, 1, 1]]}, "want four numbers a box"),
    ],
)
def test_bad_line(tmp_path, damage, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, ASKED, ASKED | damage)
    assert "mine.jsonl' line 2" in one_line(error)


@pytest.mark.parametrize("content", ["{}\nnot json\n", '{"question": "a"', "[1]\n", "\n", b"\xff\xfe"])
def test_bad_file(tmp_path, content):
    file = tmp_path / "mine.jsonl"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match="mine.jsonl") as error:
        list(jsonl.items(file, 0))
    one_line(error)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="is no file; give one with a JSON object a line") as error:
        list(jsonl.items(tmp_path, 0))
    one_line(error)
    (tmp_path / "mine.csv").write_text("a")
    with pytest.raises(InputError, match="has an unknown form; want a name that ends in .tsv, .jsonl") as error:
        list(jsonl.items(tmp_path / "mine.csv", 0))
    one_line(error)
