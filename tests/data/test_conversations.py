"""Other people's trajectories: every form that they have, and every row that is none told by its place and its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cof.data.benchmarks.left_out import LeftOut
from cof.data.benchmarks.pictures import in_file
from cof.data.conversations import trajectories
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.types import Answer
from cof.vision.views import PAPER
from tests.calls import boxes_in
from tests.data.benchmarks.copies import in_base64

REMINDER = "Think first, then call the tool or answer."
BOX = '{"bbox_2d": [100, 100, 300, 300], "label": "sign"}'
CALL = f'<think> a </think>\n<tool_call>\n{{"name": "image_zoom_in_tool", "arguments": {BOX}}}\n</tool_call>'
ANSWERED = "<think> b </think>\n<answer> A </answer>"
OPTIONS = "<image> Question: Which?\n(A) red\n(B) blue"


def turns(*texts, system="sys"):
    """Messages: the user's and the assistant's in turn."""
    listed = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *listed] if system else listed


def row(*texts, images=("p.jpg", "crop.jpg")):
    return {"messages": turns(*texts), "images": list(images)}


ZOOMED = row(f"{OPTIONS}\n{REMINDER}", CALL, f"<image>\n\n{REMINDER}", ANSWERED)
PLAIN = row("<image>\nWhat colour is it?", "<think>t</think><answer>red</answer>", images=["p.jpg"])


def read(folder, *found, name="set.json", dialect=COF, left_out=None):
    Image.new("RGB", (900, 600), "grey").save(folder / "p.jpg")
    Image.new("RGB", (280, 224), "red").save(folder / "crop.jpg")
    text = "".join(json.dumps(each) + "\n" for each in found) if name.endswith("l") else json.dumps(list(found))
    (folder / name).write_text(text)
    return [each.trace for each in trajectories(folder / name, dialect, left_out)]


def test_the_released_form(tmp_path):
    (trace,) = read(tmp_path, ZOOMED)
    asked = trace.question
    assert (asked.text, asked.choices, asked.answer) == ("Which?", ("red", "blue"), "red")
    assert asked.image == str(tmp_path / "p.jpg")
    assert (trace.dialect, trace.spec, trace.overview.size, trace.zooms) == ("cof", PAPER, (896, 588), 1)
    first, last = (turn.action for turn in trace.turns)
    assert isinstance(first, tuple)
    assert trace.overview.from_source(boxes_in(first)[0]).as_tuple() == pytest.approx((100, 100, 300, 300))
    assert last == Answer("red", "b")  # the dialect shows its options without letters
    assert trace.turns[0].completion.text == CALL


def test_one_object_a_list_and_lines_are_the_same(tmp_path):
    for name in ("set.json", "set.jsonl"):
        assert [trace.question.text for trace in read(tmp_path, ZOOMED, PLAIN, name=name)] == [
            "Which?",
            "What colour is it?",
        ]
    (tmp_path / "one.json").write_text(json.dumps(ZOOMED))
    assert [each.trace.question.answer for each in trajectories(tmp_path / "one.json", COF)] == ["red"]
    (tmp_path / "lines.json").write_text(f"{json.dumps(ZOOMED)}\n{json.dumps(PLAIN)}\n")  # lines under another name
    assert len(list(trajectories(tmp_path / "lines.json", COF))) == 2


@pytest.mark.parametrize(
    "roles", [("system", "human", "gpt"), ("system", "user", "assistant"), ("system", "Human", "GPT")]
)
def test_from_and_value(tmp_path, roles):
    said = turns("<image>\nWhich?", CALL, "<image>.", ANSWERED.replace("A", "Red."))
    named = dict(zip(("system", "user", "assistant"), roles, strict=True))
    listed = [{"from": named[each["role"]], "value": each["content"]} for each in said]
    (trace,) = read(tmp_path, {"conversations": listed, "images": ["p.jpg", "crop.jpg"]})
    assert (trace.question.text, trace.answer, trace.zooms) == ("Which?", "Red.", 1)


def test_a_tools_message_is_the_turn_after_a_call(tmp_path):
    said = turns("<image>\nWhich?", CALL, "<image>", ANSWERED)
    said[3]["role"] = "tool"
    said.insert(4, {"role": "user", "content": "Go on."})
    (trace,) = read(tmp_path, {"messages": said, "images": ["p.jpg", "crop.jpg"]})
    assert trace.zooms == 1


MINI = '<think>a</think><grounding>{"bbox_2d": [0.1, 0.1, 0.4, 0.4], "source": "original_image"}</grounding>'
AGAIN = '<think>a</think><grounding>{"bbox_2d": [0, 0, 0.5, 0.5], "source": "observation_1"}</grounding>'
PIXEL = "Look.\n<tool_call>\n{}\n</tool_call>".format(
    json.dumps({"name": "crop_image_normalized", "arguments": {"bbox_2d": [0.1, 0.1, 0.4, 0.4], "target_image": 1}})
)


def test_turns_are_read_in_the_dialect_that_is_named(tmp_path):
    said = row(
        "<image>\nWhich?", MINI, "Observation 1:\n<image>.", AGAIN, "<image>", "<think>b</think><answer>Red</answer>"
    )
    said["images"] += ["crop.jpg"]
    (trace,) = read(tmp_path, said, dialect=dialect_of("mini-o3"))
    assert (trace.dialect, trace.zooms, trace.answer) == ("mini-o3", 2, "Red")
    (first, second) = trace.requested_boxes
    assert first.as_tuple() == pytest.approx((90, 60, 360, 240))
    assert second.as_tuple() == pytest.approx((90, 60, 225, 150), abs=2)  # a half of what the first one showed
    with pytest.raises(InputError, match="turn 1 is not of the dialect cof"):
        read(tmp_path, said)


def test_parts_with_text_and_image(tmp_path):
    def part(text=None, image=None):
        return {"text": text, "image": image}

    listed = [
        {"role": "user", "content": [part("Which?"), part(image="p.jpg")]},
        {"role": "assistant", "content": [part(PIXEL)]},
        {"role": "user", "content": [part(image="crop.jpg")]},
        {"role": "assistant", "content": [part("It is \\boxed{red}")]},
    ]
    (trace,) = read(tmp_path, {"message_list": listed}, dialect=dialect_of("pixel-reasoner"))
    assert (trace.question.text, trace.answer, trace.zooms) == ("Which?", "red", 1)


def test_parts_with_types(tmp_path):
    listed = turns([{"type": "image"}, {"type": "text", "text": "Which?"}], [{"type": "text", "text": ANSWERED}])
    (trace,) = read(tmp_path, {"messages": listed, "images": ["p.jpg"]})
    assert (trace.question.text, trace.answer) == ("Which?", "A")
    listed[1]["content"][0] = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + in_base64()}}
    (found,) = read(tmp_path, {"messages": listed})
    assert found.question.image.endswith("set.json#1")


@pytest.mark.parametrize("images", ["p.jpg", ["p.jpg"], [{"path": "p.jpg", "bytes": None}], [{"image": "p.jpg"}]])
@pytest.mark.parametrize("field", ["images", "image"])
def test_the_picture_of_a_row_in_its_forms(tmp_path, images, field):
    (trace,) = read(tmp_path, {"messages": PLAIN["messages"], field: images})
    assert trace.question.image == str(tmp_path / "p.jpg")
    assert in_file(Path(trace.question.image))().size == (900, 600)


def test_a_picture_without_a_placeholder_is_the_first_turns(tmp_path):
    (trace,) = read(tmp_path, row("What colour?", ANSWERED, images=["p.jpg"]))
    assert trace.question.text == "What colour?"


OUTSIDE = CALL.replace("[100, 100, 300, 300]", "[2000, 100, 2300, 300]")
REVERSED = CALL.replace("[100, 100, 300, 300]", "[300, 100, 100, 300]")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (row("<image>Which?", OUTSIDE, "<image>", ANSWERED), r"turn 1 is not of the dialect cof .*2000.* outside"),
        (row("<image>Which?", REVERSED, "<image>", ANSWERED), "turn 1 is not of the dialect cof"),
        (row("<image>Which?", MINI, "<image>", ANSWERED), "turn 1 is not of the dialect cof"),
        (row("<image>Which?", CALL, "<image>", "It is red."), "turn 2 is not of the dialect cof"),
        (row("<image>Which?", CALL, "<image>"), "ends with a user turn"),
        (row("<image>Which?", CALL, images=["p.jpg"]), "ends without an answer"),
        (row("<image>Which?", ANSWERED, "<image>And now?", ANSWERED), "answers in turn 1 of 2"),
        (row("<image>Which?", CALL, "Go on.", ANSWERED, images=["p.jpg"]), "asks for 1 crops and is shown 0"),
        (row("<image><image>Which is red?", ANSWERED), "shows 2 pictures in its first turn; want one"),
        (row("Which?", CALL, "<image><image>", ANSWERED), "shows 0 pictures in its first turn"),
        (row("<image>Which?", ANSWERED, images=[]), "shows more pictures than the 0"),
        (row("<image>Which?", ANSWERED), "has 2 pictures, and <image> 1 times"),
        (row("Which?", ANSWERED), "has 2 pictures, and <image> 0 times"),
        (row("<image>Which?", ANSWERED, images=["none.jpg"]), "names the picture 'none.jpg', which is not in"),
        (row("<image>Which?", ANSWERED, images=["set.json"]), "picture"),
        (row("<image>Which?", ANSWERED, images=["https://a.b/c.jpg"]), "by its URL"),
        (row("<image>Which?", images=["p.jpg"]), "has no assistant turn"),
        (row("<image> \n", ANSWERED, images=["p.jpg"]), "a question without words"),
        (row("<image>What <|im_end|>?", ANSWERED, images=["p.jpg"]), "control token"),
        (row("<image>Which?", CALL, "<image><|image_pad|>", ANSWERED), "control token"),
        (
            row("<image>Which?", "<think>the <image> shows</think><answer>A</answer>", images=["p.jpg"]),
            "holds '<image>', which models read as a control token",
        ),
        ({"messages": [{"role": "critic", "content": "x"}]}, "has the role 'critic'"),
        ({"messages": [{"role": "user", "content": 3}]}, "want text, or parts"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "want a text or an image"),
        ({"messages": ["hello"]}, "want role and content"),
        ({"messages": [*turns("<image>W?", "x"), {"role": "assistant", "content": "y"}]}, "more pictures than the 0"),
        ({"question": "Which?", "image": "p.jpg"}, "has no assistant turn"),
        ("hello", "want a JSON object"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_named(tmp_path, bad, why):
    left_out = LeftOut()
    assert len(read(tmp_path, PLAIN, bad, ZOOMED, left_out=left_out)) == 2
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(left_out.summary())
    assert left_out.summary().startswith(f"1 of 3 rows were left out of '{tmp_path / 'set.json'}': row 2: ")
    assert "\n" not in left_out.summary()
    with pytest.raises(InputError, match="set.json' row 2"):
        read(tmp_path, PLAIN, bad, ZOOMED)


@pytest.mark.parametrize("content", ["", "[]", "3", '[{"messages": [], "images": []}]', "[3]", "{}"])
def test_a_file_without_a_usable_row_is_an_error(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match="x.json"):
        list(trajectories(tmp_path / "x.json", COF, LeftOut()))


def answered(question, answer="red"):
    return row(question, f"<think>b</think><answer>{answer}</answer>", images=["p.jpg"])


def zoomed(question, after, answer="red"):
    return row(question, CALL, after, f"<think>b</think><answer>{answer}</answer>")


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        # the same words after every crop, on a line or in the question's own; rows without a crop too
        (
            [zoomed(f"<image>W1?\n{REMINDER}", f"<image>{REMINDER}"), answered(f"<image>W2?\n{REMINDER}")],
            ["W1?", "W2?"],
        ),
        ([zoomed(f"<image>Which? {REMINDER}", f"<image>\n{REMINDER}")], ["Which?"]),
        ([zoomed(f"<image>Which?\nBe brief.\n{REMINDER}", f"<image>Here.\nBe brief.\n{REMINDER}")], ["Which?"]),
        # the question repeated after the crop is no reminder, nor are its options or a word of another row alone
        ([zoomed("<image>Which?", "<image>Which?")], ["Which?"]),
        ([zoomed("<image>In a word.\nWhich?", "<image>Which?")], ["In a word.\nWhich?"]),
        (
            [zoomed(f"<image>Which?\n(A) red\n(B) blue\n{REMINDER}", f"<image>(A) red\n(B) blue\n{REMINDER}")],
            ["Which?"],
        ),
        ([zoomed("<image>Which? Look.", "<image>Here it is.")], ["Which? Look."]),
        (
            [zoomed("<image>W1?\nLook.", "<image>Look."), zoomed("<image>W2?\nHm.", "<image>Hm.")],
            ["W1?\nLook.", "W2?\nHm."],
        ),
    ],
)
def test_what_is_repeated_after_every_crop_is_no_part_of_a_question(tmp_path, rows, texts):
    assert [trace.question.text for trace in read(tmp_path, *rows)] == texts


@pytest.mark.parametrize(
    ("question", "answer", "text", "choices", "truth"),
    [
        ("<image>Which?\nA. red\nB. blue", "B", "Which?", ("red", "blue"), "blue"),
        ("<image>Which?\n(A) red\n(B) blue", "blue", "Which?", ("red", "blue"), "blue"),
        ("<image>Which? (A) red (B) blue", "(B) blue", "Which?", ("red", "blue"), "blue"),
        ("<image>Who?\nA. Pfund\nB. Ohm", "nobody", "Who?\nA. Pfund\nB. Ohm", (), "nobody"),
        ("QUESTION: Which?<image>", "red", "Which?", (), "red"),
        ("<image>Questionable?", "red", "Questionable?", (), "red"),
    ],
)
def test_options_and_labels_in_the_question(tmp_path, question, answer, text, choices, truth):
    (trace,) = read(tmp_path, answered(question, answer))
    assert (trace.question.text, trace.question.choices, trace.question.answer) == (text, choices, truth)
    assert trace.answer == truth


def test_an_answer_by_a_letter_that_no_option_has_is_left_out(tmp_path):
    with pytest.raises(InputError, match="answer 'C'; want one of A, B"):
        read(tmp_path, answered("<image>Which?\n(A) red\n(B) blue", "C"))


def test_more_crops_than_were_asked_for_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (900, 600)).save(tmp_path / "p.png")
    body = json.dumps({"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 300, 300]}})
    call = f"<think>a</think><tool_call>{body}</tool_call>"
    turns = [("user", "<image>Which?"), ("assistant", call), ("user", "<image><image>")]
    turns.append(("assistant", "<think>b</think><answer>red</answer>"))
    row = {"messages": [{"role": r, "content": c} for r, c in turns], "images": ["p.png"] * 3}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match="asks for 1 crops and is shown 2"):
        list(trajectories(tmp_path / "t.jsonl", COF))
    with pytest.raises(InputError, match="no row can be used; 1 of 1 row was"):
        list(trajectories(tmp_path / "t.jsonl", COF, LeftOut()))
