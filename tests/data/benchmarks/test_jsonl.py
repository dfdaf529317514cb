import re
from pathlib import Path

import pytest
from PIL import Image

from cof.data.benchmarks import jsonl
from cof.errors import InputError
from cof.geometry import Box
from cof.loop.policies.known import policy_named
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.types import Question
from tests.data.benchmarks.copies import check, in_base64, one_line, picture, write_lines, write_tsv


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
        (str(tmp_path / "lake.jpg"),),
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


OPTIONS = ("red", "blue")


@pytest.mark.parametrize(
    "given",
    [
        {"options": ["red", "blue"]},
        {"options": ["A. red", "B. blue"]},
        {"options": "A. red\nB. blue"},
        {"options": "(A) red\n(B) blue\n"},
        {"options": '["red", "blue"]'},
        {"options": {"A": "red", "B": "blue"}},
        {"A": "red", "B": "blue"},
        {"A": "red", "B": "blue", "C": "", "D": None},
        {"choices": ["red", "blue"], "options": "A. red\nB. blue"},
        {"question": "What colour is the boat?\n(A) red\n(B) blue"},
        {"question": "What colour is the boat?\nA. red\nB. blue\nAnswer with the option's letter."},
        {"question": "What colour is the boat? (A) red (B) blue"},
        {"question": "What colour is the boat? (A) red, (B) blue Answer with the option's letter directly."},
        {"question": "<image>\nQuestion: What colour is the boat?\nA) red\nB) blue\nPlease select the right option."},
    ],
)
@pytest.mark.parametrize("answer", ["B", "(b)", "blue", "B. blue", "Blue"])
def test_options_in_every_form(tmp_path, given, answer):
    (item,) = check(read(tmp_path, ASKED | {"answer": answer} | given))
    assert (item.question.text, item.question.choices) == (ASKED["question"], OPTIONS)
    assert item.question.answer == "blue"


@pytest.mark.parametrize(
    "text",
    [
        "Which is higher, (A) or (B)?",
        "Compare the points. (A) or (B)?",
        "A. Pfund wrote this. Who?",
        "Which?\n(B) red\n(C) blue",
        "Which point is it, (A) the left or (B) the right?",
    ],
)
def test_letters_that_are_no_options(tmp_path, text):
    (item,) = read(tmp_path, ASKED | {"question": text, "answer": "B"})
    assert (item.question.text, item.question.choices, item.question.answer) == (text, (), "B")


def test_what_follows_the_options_and_asks_for_nothing_stays(tmp_path):
    text = "Which?\n(A) red\n(B) blue\nThe boat was painted in 1990."
    (item,) = read(tmp_path, ASKED | {"question": text, "answer": "A"})
    assert item.question.text == "Which?\nThe boat was painted in 1990."


def test_lines_that_a_truth_shows_to_be_no_options_stay(tmp_path):
    text = "Who wrote what?\nA. Pfund\nB. Ohm"
    (item,) = read(tmp_path, ASKED | {"question": text, "answer": "Ohm wrote the second"})
    assert (item.question.text, item.question.choices) == (text, ())


@pytest.mark.parametrize(
    ("given", "answer", "aliases"),
    [
        ({"answers": ["EXIT", "Exit sign"]}, "EXIT", ("Exit sign",)),
        ({"answer": ["EXIT", "Exit sign"]}, "EXIT", ("Exit sign",)),
        ({"answers": '["EXIT", "Exit sign"]'}, "EXIT", ("Exit sign",)),
        ({"answer": "EXIT", "answers": ["Exit sign", "EXIT"]}, "EXIT", ("Exit sign",)),
        ({"answers": [7, 7.5]}, "7", ("7.5",)),
        ({"answers": ["EXIT", "EXIT", " "]}, "EXIT", ()),
        ({"answers": []}, None, ()),
        ({"answer": '["EXIT"]'}, '["EXIT"]', ()),  # a text that looks like a list is a text
        ({"answers": ["B", "A"], "choices": ["red", "blue"]}, "blue", ("red",)),
        ({"groundtruth": "EXIT"}, "EXIT", ()),
        ({"ground_truth": ["EXIT", "Exit"]}, "EXIT", ("Exit",)),
        ({"solution": "<answer> EXIT </answer>"}, "EXIT", ()),
        ({"answer": "EXIT", "solution": "by reading"}, "EXIT", ()),
        ({"reward_model": {"style": "rule", "ground_truth": "EXIT"}}, "EXIT", ()),
        ({"extra_info": {"answer": "EXIT"}}, "EXIT", ()),
    ],
)
def test_several_truths_and_their_names(tmp_path, given, answer, aliases):
    (item,) = read(tmp_path, ASKED | given)
    assert (item.question.answer, item.question.aliases) == (answer, aliases)


@pytest.mark.parametrize("metric", ["match", "anls", "relaxed", "iou"])
def test_a_metric(tmp_path, metric):
    (item,) = read(tmp_path, ASKED | {"metric": metric, "answer": "1, 2, 3, 4"})
    assert item.question.metric == metric


def test_boxes_as_truths(tmp_path):
    first, second = read(
        tmp_path,
        ASKED | {"metric": "iou", "answer": [1, 2, 3, 4]},
        ASKED | {"metric": "iou", "answers": [[1, 2, 3, 4], [5, 6, 7, 8]]},
    )
    assert (first.question.answer, first.question.aliases) == ("[1, 2, 3, 4]", ())
    assert (second.question.answer, second.question.aliases) == ("[1, 2, 3, 4]", ("[5, 6, 7, 8]",))


@pytest.mark.parametrize(
    ("given", "boxes"),
    [
        ({"targets": [[0.1, 0.1, 0.5, 0.5]], "targets_unit": "part"}, (Box(4, 3, 20, 15),)),
        (
            {"targets": [[0, 0, 1, 1], [0.5, 0, 1, 0.5]], "targets_unit": "part"},
            (Box(0, 0, 40, 30), Box(20, 0, 40, 15)),
        ),
        ({"targets": [[0, 0, 1, 1]], "targets_unit": "pixel"}, (Box(0, 0, 1, 1),)),
        ({"targets": [[0, 0, 1, 1], [3, 3, 9, 9]]}, (Box(0, 0, 1, 1), Box(3, 3, 9, 9))),
        ({"targets": [[0.2, 0.2, 1.5, 1.5]]}, (Box(0.2, 0.2, 1.5, 1.5),)),
        ({"targets": []}, ()),
        ({"targets": [], "targets_unit": "part"}, ()),
    ],
)
def test_targets_in_pixels_or_parts(tmp_path, given, boxes):
    (item,) = read(tmp_path, ASKED | given)
    assert [box.as_tuple() for box in item.question.targets] == [pytest.approx(box.as_tuple()) for box in boxes]


def test_targets_of_several_pictures(tmp_path):
    Image.new("RGB", (80, 60)).save(tmp_path / "second.png")
    row = ASKED | {"image": ["lake.jpg", "second.png"], "question": "Is <image 2> red?"}
    boxes = {"targets": [[0, 0, 1, 1], [0, 0, 0.5, 0.5]], "targets_unit": "part", "targets_in": [2, 1]}
    (item,) = read(tmp_path, row | boxes)
    assert item.question.targets == (Box(0, 0, 80, 60, picture=1), Box(0, 0, 20, 15))
    trace = run(
        ScriptedModel(["<answer>no</answer>"]),
        item.question,
        [picture.image for picture in item.pictures],
        Setting(policy=policy_named("oracle")),
    )
    assert [view.picture for view in trace.views] == [1, 0]


@pytest.mark.parametrize("text", ["<image>\n{}", "{}\n<image>", "<image> {}", "{} <image 1>", "Question: {}", " {} \n"])
def test_what_is_no_part_of_the_question_goes(tmp_path, text):
    (item,) = read(tmp_path, ASKED | {"question": text.format(ASKED["question"])})
    assert item.question.text == ASKED["question"]


def test_a_placeholder_between_two_lines_goes(tmp_path):
    (item,) = read(tmp_path, ASKED | {"question": "Look.\n<image>\nWhat colour?"})
    assert item.question.text == "Look.\nWhat colour?"


def test_o3_bench_and_vlmevalkit_and_cof(tmp_path):
    (tmp_path / "lake.jpg").write_bytes(picture())
    o3 = {
        "file_name": "lake.jpg",
        "subset": "chart",
        "question": "W?",
        "options": "A. −1\nB. No right choice",
        "answer": "B",
    }
    cof = {"image_name": "lake.jpg", "groundtruth": "A", "question": "W?\n(A) x\n(B) y", "data_source": "s"}
    first, second = check(read(tmp_path, o3, cof))
    assert (first.question.choices, first.question.category) == (("−1", "No right choice"), "chart")
    assert (second.question.answer, second.question.category) == ("x", "s")
    row = {"index": 5, "image": in_base64(), "question": "W?", "A": "x", "B": "y", "answer": "B", "category": "c"}
    (third,) = check(jsonl.items(write_tsv(tmp_path / "VStarBench.tsv", [row]), 0))
    assert (third.question.id, third.question.answer, third.question.category) == ("5", "y", "c")


PROMPT = [{"role": "system", "content": "sys"}, {"role": "user", "content": "<image>\nQuestion: Which?"}]


@pytest.mark.parametrize(
    "image",
    [[{"bytes": picture(), "path": None}], [{"image": "lake.jpg"}], [{"path": "lake.jpg"}], ["lake.jpg"], "file"],
)
@pytest.mark.parametrize("extra", [{"question": "Which?", "index": "7"}, {"index": 7}])
def test_the_parquet_of_deepeyes_and_verl(tmp_path, image, extra):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "lake.jpg").write_bytes(picture())
    row = {"data_source": "vstar", "prompt": PROMPT, "reward_model": {"ground_truth": "red", "style": "model"}}
    row |= {"images": [f"file://{tmp_path / 'lake.jpg'}"] if image == "file" else image, "extra_info": extra}
    parquet.write_table(arrow.Table.from_pylist([row]), tmp_path / "train.parquet")
    (item,) = check(jsonl.items(tmp_path / "train.parquet", 0))
    asked = item.question
    assert (asked.id, asked.text, asked.answer, asked.category) == ("7", "Which?", "red", "vstar")


def test_thyme(tmp_path):
    row = {"messages": PROMPT, "images": ["lake.jpg"], "solution": "red", "question": "Which?"}
    (item,) = check(read(tmp_path, row))
    assert (item.question.text, item.question.answer) == ("Which?", "red")


def test_a_picture_is_found_from_any_folder(tmp_path, monkeypatch):
    read(tmp_path, ASKED)
    monkeypatch.chdir(tmp_path)
    (item,) = jsonl.items(Path("mine.jsonl"), 0)
    monkeypatch.chdir("/")
    assert item.question.image == str(tmp_path / "lake.jpg")
    assert Path(item.question.image).is_file()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"options": ["red"]}, "field 'options' has 1 options"),
        ({"options": "red or blue"}, "field 'options' has 0 options"),
        ({"options": {"A": "red", "C": "blue"}}, "has the letters A, C; want A, B and so on"),
        ({"options": ["red", "red"]}, "want two or more different texts"),
        ({"options": [str(n) for n in range(30)]}, "has 30 options; want at most 26"),
        ({"A": "red"}, "want two or more different texts"),
        ({"choices": ["a", "b"], "options": ["c", "d"]}, "different options in choices and options"),
        ({"options": ["red", "blue"], "answer": "C"}, "field 'answer' is 'C'; want one of A, B"),
        ({"question": "Which?\n(A) 1\n(B) 2", "answer": "C"}, "has the answer 'C'; want one of A, B"),
        ({"option": ["red", "blue"]}, "has a field 'option'; want 'options'"),
        ({"answers": "EXIT"}, "field 'answers' is 'EXIT'; want a list"),
        ({"answers": [["EXIT"]]}, "want a list of texts"),
        ({"answers": [True]}, "want a list of texts"),
        ({"metric": "iou", "answer": "left"}, "has the answer 'left'; want x0, y0, x1, y1 in pixels"),
        ({"metric": "iou", "answer": [0.1, 0.1, 0.4, 0.4]}, "want x0, y0, x1, y1 in pixels"),
        ({"metric": "iou", "answer": [4, 4, 1, 1]}, "is empty or reversed"),
        ({"metric": "bleu"}, "field 'metric' is 'bleu'; want one of match, anls, relaxed, iou"),
        ({"targets": [[0.1, 0.1, 0.4, 0.4]]}, 'has no number above 1; want pixels, or "targets_unit": "part"'),
        ({"targets": [[0, 0, 1, 1]]}, "has no number above 1"),
        ({"targets": [[1, 1, 4, 4]], "targets_unit": "part"}, "numbers outside 0 to 1"),
        ({"targets": [[-0.1, 0, 1, 1]], "targets_unit": "part"}, "numbers outside 0 to 1"),
        ({"targets": [[1, 1, 4, 4]], "targets_unit": "thousand"}, "want one of pixel, part"),
        ({"targets": [[1, 1, 4, 4]], "targets_in": [2]}, "for each of 1 targets, from 1 to 1"),
        ({"targets": [[1, 1, 4, 4]], "targets_in": [1, 1]}, "for each of 1 targets"),
        ({"targets": [[1, 1, 4, 4]], "targets_in": [True]}, "want the number of its picture"),
        ({"targets_in": [1]}, "for each of 0 targets"),
        ({"question": "<image>\n<image>\nWhich is red?"}, "about several pictures"),
        ({"question": "Is <image 2> red?"}, "about several pictures"),
        ({"question": "What is in <image> here?"}, "has <image> inside a sentence"),
        ({"question": "<image>"}, "has a question without words"),
        ({"image": ["lake.jpg", 5]}, "gives its picture as 5; want a path"),
        ({"image": "https://example.org/lake.jpg"}, "by its URL .* want it downloaded"),
        ({"image": {"url": "x"}}, "gives its picture as"),
        ({"image": 5}, "gives its picture as 5"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path, damage, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, ASKED, ASKED | damage)
    assert "mine.jsonl' line 2" in one_line(error)


def test_the_examples_of_the_page_are_read(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "questions.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", page, re.S)
    for name in ("lake.jpg", "chart.png"):
        (tmp_path / name).write_bytes(picture((400, 300)))
    (tmp_path / "page.jsonl").write_text(block)
    boat, sign, bar = (item.question for item in jsonl.items(tmp_path / "page.jsonl", 0))
    assert (boat.choices, boat.answer) == (("red", "blue"), "blue")
    assert (sign.answer, sign.aliases, sign.targets) == ("EXIT", ("Exit sign",), (Box(120, 40, 180, 75),))
    assert (bar.answer, bar.metric, bar.category) == ("41.5", "relaxed", "charts")
    assert all(f"`{name}`" in page for name in jsonl.FIELDS)
    assert all(
        f"`{name}`" in page or name in ("question_id", "index", "doc_id", "ground_truth", "data_source")
        for names in jsonl.OTHER.values()
        for name in names
    )
