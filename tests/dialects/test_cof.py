"""The CoF grammar: what each turn means, and that no text at all can do harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cof.dialects.base import Message
from cof.dialects.cof import COF
from cof.geometry import Box, Shown
from cof.tools.zoom import observed, zooms
from cof.trace import Observation, Turn
from cof.types import Answer, Call, Completion, Malformed, Question
from cof.vision import boxes
from tests.calls import boxes_in
from tests.properties import cases

MAIN = settings(max_examples=cases(10_000), deadline=None)

FIRST = Shown(Box(0, 0, 1344, 1008), (448, 336))  # three source pixels a pixel
QUESTION = Question("1", ("a.jpg",), "What letter is on the red circle?")


def call(box: object, **more: object) -> str:
    body = json.dumps({"name": "image_zoom_in_tool", "arguments": {"bbox_2d": box, **more}})
    return f"<tool_call>{body}</tool_call>"


def raw_call(numbers: str) -> str:
    return f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {{"bbox_2d": {numbers}}}}}</tool_call>'


def zoom(text: str) -> tuple[Call, ...]:
    found = COF.parse(text, (FIRST,))
    assert isinstance(found, tuple), found
    return found


def answer(text: str) -> Answer:
    found = COF.parse(text, (FIRST,))
    assert isinstance(found, Answer), found
    return found


def fault(text: str) -> str:
    found = COF.parse(text, (FIRST,))
    assert isinstance(found, Malformed), found
    assert found.raw == text
    assert found.fault
    assert "\n" not in found.fault
    return found.fault


# what a turn means


def test_a_thought_and_a_call() -> None:
    found = zoom("<think> It is small. </think>" + call([10, 20, 30, 40], label="circle"))
    assert found == zooms((Box(30, 60, 90, 120),), "circle", "It is small.")


def test_a_thought_and_an_answer() -> None:
    assert answer("<think>I see.</think><answer> B </answer>") == Answer("B", "I see.")


def test_no_thought_is_needed() -> None:
    assert answer("<answer>B</answer>") == Answer("B")
    assert boxes_in(zoom(call([0, 0, 448, 336]))) == (FIRST.region,)


def test_the_released_checkpoints_compact_call() -> None:
    body = '{"name":"image_zoom_in_tool","arguments":{"bbox_2d":[1,2,3,4],"label":"x"}}'
    assert boxes_in(zoom(f"<think>…</think><tool_call>{body}</tool_call>")) == (Box(3, 6, 9, 12),)


def test_several_calls_in_order_with_a_label_each() -> None:
    found = zoom(call([10, 10, 20, 20], label="a") + "\n" + call([30, 30, 40, 40], label="b"))
    assert found == (*zooms([Box(30, 30, 60, 60)], "a"), *zooms([Box(90, 90, 120, 120)], "b"))


def test_the_same_box_twice_is_one_look() -> None:
    assert len(zoom(call([10, 10, 20, 20]) * 2)) == 1


def test_one_bad_call_among_good_ones_is_told() -> None:
    assert "bbox_2d" in fault(call([10, 10, 20, 20]) + call([1, 2, 3]))


@pytest.mark.parametrize("label", [None, 3, ["x"], {}])
def test_a_missing_or_odd_label_is_an_empty_one(label: object) -> None:
    assert zoom(call([1, 1, 9, 9]))[0].label == ""
    assert zoom(call([1, 1, 9, 9], label=label))[0].label == ""


def test_half_a_character_in_a_label_can_be_sent_on() -> None:
    assert zoom(call([1, 1, 90, 90], label="a \ud800 b"))[0].label == "a ? b"


def test_unknown_arguments_do_no_harm() -> None:
    assert boxes_in(zoom(call([1, 1, 9, 9], img_idx=0, why="…"))) == (Box(3, 3, 27, 27),)


def test_words_around_a_call_or_an_answer_are_passed_over() -> None:
    assert boxes_in(zoom(f"Let me see. {call([1, 1, 9, 9])} There!")) == (Box(3, 3, 27, 27),)
    assert answer("Well: <answer>B</answer> as I said.") == Answer("B")


def test_an_answer_between_tags_ends_the_episode_whatever_was_called() -> None:
    assert answer(call([1, 1, 9, 9]) + "<answer>B</answer>") == Answer("B")
    assert answer("<answer>B</answer>" + call([1, 1, 9, 9])) == Answer("B")
    assert answer("<think>a</think>" + call([1, 1, 9, 9]) + "<think>so</think><answer>B</answer>") == Answer(
        "B", "a\nso"
    )
    assert isinstance(zoom(call([1, 1, 9, 9]) + "<answer></answer>"), tuple)


def test_the_last_of_several_answers_counts() -> None:
    assert answer("<answer>A</answer> No. <answer>B</answer>") == Answer("B")


def test_a_thought_after_the_action_changes_nothing() -> None:
    assert answer("<answer>B</answer><think>or") == Answer("B")
    assert answer("<answer>B</answer><think>or</think>") == Answer("B")
    assert zoom(call([1, 1, 9, 9]) + "<think>so</think>")[0].thought == ""


def test_what_stands_in_the_thought_is_no_action() -> None:
    inside = f"<think>I could say {call([1, 1, 9, 9])} or <answer>A</answer></think>"
    assert answer(inside + "<answer>B</answer>").text == "B"
    assert boxes_in(zoom(inside + call([2, 2, 9, 9]))) == (Box(6, 6, 27, 27),)
    assert "neither a call nor an answer" in fault(inside)


def test_an_unclosed_thought_is_told() -> None:
    assert "</think>" in fault("<think>I wonder")
    assert "</think>" in fault("<think>I wonder" + call([1, 1, 9, 9]))


def test_a_thought_within_a_thought() -> None:
    assert answer("<think>a<think>b</think></think><answer>B</answer>") == Answer("B", "a<think>b")


@pytest.mark.parametrize("tag", ["<answer>", "<tool_call>", "</tool_call>", "<think>", "</think>"])
def test_a_tag_in_the_answer_is_told(tag: str) -> None:
    assert "another tag" in fault(f"<answer>B{tag}C</answer>")


@pytest.mark.parametrize(
    "text", ["<answer></answer>", "<answer> \n</answer>", "<answer>", "<think>x</think><answer></answer>B"]
)
def test_an_empty_answer_is_told(text: str) -> None:
    assert "empty" in fault(text)


def test_an_answer_may_end_with_its_text_where_the_closing_tag_was_a_stop_string() -> None:
    assert answer("<think>x</think><answer>B") == Answer("B", "x")


@pytest.mark.parametrize("text", ["", "B", "\0", "<think></think>", "</answer>", "[1, 2, 3, 4]", "<ANSWER>B</ANSWER>"])
def test_neither_call_nor_answer_is_told(text: str) -> None:
    assert "neither a call nor an answer" in fault(text)


def test_unicode_passes_through() -> None:
    found = zoom("<think>Ein Größenvergleich 🔎</think>" + call([1, 1, 9, 9], label="看板 é"))
    assert (found[0].label, found[0].thought) == ("看板 é", "Ein Größenvergleich 🔎")
    assert answer("<answer>\u202eΩ\u200d</answer>").text == "\u202eΩ\u200d"


# what a call may hold


WHOLE = call([10, 20, 30, 40], label="x")


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_call_is_read_where_its_json_is_whole_and_malformed_where_it_was_cut(cut: int) -> None:
    if cut >= WHOLE.index("</tool_call>"):
        assert zoom(WHOLE[:cut]) == zoom(WHOLE)
    else:
        assert fault(WHOLE[:cut])


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", "3", '"x"', "{'name': 'image_zoom_in_tool'}", "{} {}", "__import__('os')", '{"name": NaN}'],
)
def test_a_body_that_is_no_call_is_malformed(body: str) -> None:
    assert fault(f"<tool_call>{body}</tool_call>")


@pytest.mark.parametrize("name", ["zoom", "image_zoom_in_tool ", "", None, 3, ["image_zoom_in_tool"]])
def test_another_tool_is_told_the_right_name(name: object) -> None:
    body = json.dumps({"name": name, "arguments": {"bbox_2d": [1, 1, 9, 9]}})
    assert "image_zoom_in_tool" in fault(f"<tool_call>{body}</tool_call>")


@pytest.mark.parametrize("arguments", ["null", "[1, 2, 3, 4]", '"{}"', "3"])
def test_arguments_are_an_object(arguments: str) -> None:
    text = f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {arguments}}}</tool_call>'
    assert "arguments" in fault(text)
    assert "arguments" in fault('<tool_call>{"name": "image_zoom_in_tool"}</tool_call>')


def test_a_call_within_a_call_is_told() -> None:
    assert "cut off" in fault(f"<tool_call>{call([1, 1, 9, 9])}</tool_call>")


@pytest.mark.parametrize(
    "box",
    [
        None,
        [],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        ["1", "2", "3", "4"],
        [1, 2, 3, "4"],
        [True, True, False, 9],
        [0, 0, True, 9],
        [None, 0, 9, 9],
        [[1, 2, 3, 4]],
        [[1, 2], [3, 4]],
        "[1, 2, 3, 4]",
        {"x1": 1, "y1": 2, "x2": 3, "y2": 4},
    ],
)
def test_a_box_is_four_numbers(box: object) -> None:
    assert "four numbers" in fault(call(box))
    assert "four numbers" in fault('<tool_call>{"name": "image_zoom_in_tool", "arguments": {}}</tool_call>')


@pytest.mark.parametrize(
    "numbers",
    [
        "[NaN, 0, 9, 9]",
        "[0, 0, Infinity, 9]",
        "[-Infinity, 0, 9, 9]",
        "[0, 0, 1e999, 9]",
        "[-1e999, 0, 9, 9]",
        "[0, 0, 9, 1e308]",
        f"[0, 0, {'9' * 400}, 9]",
        f"[0, 0, {'9' * 4301}, 9]",
        f"[-{'9' * 100_000}, 0, 9, 9]",
    ],
)
def test_numbers_that_are_not_finite_or_huge_are_malformed(numbers: str) -> None:
    assert fault(raw_call(numbers))


@pytest.mark.parametrize(
    "box",
    [
        [30, 40, 10, 20],
        [30, 10, 10, 40],
        [10, 40, 30, 20],
        [10, 10, 10, 40],
        [10, 10, 30, 10],
        [0, 0, 0, 0],
        [500, 10, 600, 40],
        [-30, -30, -1, -1],
        [448, 0, 460, 10],
        [0, 336, 10, 400],
        [-5, 0, 0, 9],
    ],
)
def test_reversed_empty_and_outside_boxes_are_told_the_picture_size(box: list[int]) -> None:
    assert "448 x 336" in fault(call(box))


@pytest.mark.parametrize(
    ("box", "want"),
    [
        ([440, 330, 460, 350], Box(1320, 990, 1344, 1008)),
        ([-3, -3, 30, 30], Box(0, 0, 90, 90)),
        ([-1000, -1000, 1000, 1000], Box(0, 0, 1344, 1008)),
        ([0.5, 1.5, 2.25, 3], Box(1.5, 4.5, 6.75, 9)),
        ([1e1, 1, 2e1, 9], Box(30, 3, 60, 27)),
    ],
)
def test_a_box_is_cut_at_the_picture_and_may_be_fractional(box: list[float], want: Box) -> None:
    assert boxes_in(zoom(call(box))) == (want,)


@pytest.mark.parametrize(
    "numbers",
    [
        "[0, 0, 1e-320, 1]",
        "[0, 0, 5e-324, 5e-324]",
        "[447, 1, 447.00000000000006, 2]",
        "[0, 1, 1e-30, 2]",
        "[9, 9, 9.001, 9.001]",
    ],
)
@pytest.mark.parametrize("side", [1, 1000, 1344, 60_000])
def test_a_tiny_box_is_a_box_or_told(numbers: str, side: int) -> None:
    first = Shown(Box(0, 0, side, side), (448, 448))
    match COF.parse(raw_call(numbers), (first,)):
        case (Call() as one,):
            box = one.arguments["box"]
            assert boxes.contains(first.region, box, slack=0)
        case found:
            assert isinstance(found, Malformed)


@pytest.mark.parametrize(
    "bomb", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "<tool_call>" * 10_000]
)
def test_deeply_nested_json_is_malformed(bomb: str) -> None:
    assert fault(bomb)
    assert fault(f"<tool_call>{bomb}</tool_call>")
    assert fault(f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {bomb}}}</tool_call>')
    assert fault(raw_call(bomb))


def test_a_thousand_calls_are_read() -> None:
    assert len(zoom("".join(call([i % 400, i // 400, 448, 336]) for i in range(1000)))) == 1000


# what is written


def test_what_is_written() -> None:
    assert COF.write(Answer("B", "I see."), (FIRST,)) == "<think>I see.</think><answer>B</answer>"
    body = '{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 20, 30, 40], "label": "é"}}'
    found = COF.write(zooms((Box(30, 60, 90, 120.4),), "é", "x"), (FIRST,))
    assert found == f"<think>x</think><tool_call>{body}</tool_call>"
    assert '"label"' not in COF.write(zooms((FIRST.region,)), (FIRST,))


def test_the_opening_messages() -> None:
    system, user = COF.messages(QUESTION, (FIRST,))
    assert system == Message("system", (COF.system,))
    assert user == Message("user", (FIRST, QUESTION.text))


def test_choices_and_the_order_to_answer_at_once() -> None:
    question = Question("1", ("a.jpg",), "Which?", ("left", "right"))
    assert COF.ask(question, direct=True).splitlines() == [
        "Which?",
        "Choose one of: left, right.",
        COF.answer_now,
    ]


def test_what_comes_back_after_a_turn() -> None:
    close = Shown(Box(0, 0, 90, 90), (56, 56))
    looked = Turn(Completion("z"), zooms((Box(0, 0, 90, 90),)), observed((close,)))
    wrong = Turn(Completion("w"), Malformed("no", "w"), note=COF.complain("no"))
    said = Turn(Completion("a"), Answer("B"))
    assert COF.messages(QUESTION, (FIRST,), (looked, wrong, said))[2:] == (
        Message("assistant", ("z",)),
        Message("user", (close, COF.closer)),
        Message("assistant", ("w",)),
        Message("user", ("That did not work: no.",)),
        Message("assistant", ("a",)),
    )


# properties

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")
PIECES = st.sampled_from(
    (
        *TAGS,
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        "0",
        "-1",
        "1e-320",
        "1e999",
        "NaN",
        "true",
        "null",
        "\\u0000",
        "\\ud800",
        "\n",
    )
)
LINES = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)
SIDES = st.integers(1, 4000)


def overview_of(width: int, height: int, columns: int, rows: int) -> Shown:
    return Shown(Box(0, 0, width, height), (columns * 28, rows * 28))


OVERVIEWS = st.builds(overview_of, SIDES, SIDES, st.integers(1, 40), st.integers(1, 40))


def plain(text: str) -> bool:
    """Whether a text comes back from between tags as it was put there."""
    return text.strip() == text and not any(tag in text for tag in TAGS)


WORDS = st.text(max_size=12).filter(plain)


@st.composite
def written(draw: st.DrawFn) -> tuple[tuple[Call, ...] | Answer, Shown]:
    """An action with the overview it is about; each box rounds to other whole pixels of it."""
    first = draw(OVERVIEWS)
    if draw(st.booleans()):
        return Answer(draw(WORDS.filter(bool)), draw(WORDS)), first
    (width, height), found = first.size, {}
    for _ in range(draw(st.integers(1, 3))):
        x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        whole = (x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))
        off = draw(st.tuples(*[st.floats(-0.49, 0.49)] * 4))
        near = [min(max(n + d, 0), side) for n, d, side in zip(whole, off, (width, height) * 2, strict=True)]
        found[whole] = first.to_source(Box(*near))
    return zooms(tuple(found.values()), draw(WORDS), draw(WORDS)), first


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Shown]:
    """A valid text that was cut, doubled or spliced in a few places."""
    action, first = draw(written())
    text = COF.write(action, (first,))
    for _ in range(draw(st.integers(1, 4))):
        a, b = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        text = text[:a] + draw(st.one_of(LINES, st.just(text[a:b] * 2), st.just(""))) + text[b:]
    return text, first


def check(text: str, first: Shown) -> None:
    match COF.parse(text, (first,)):
        case tuple() as found:
            assert found
            assert all(boxes.contains(first.region, box, slack=0) for box in boxes_in(found))
        case Answer(said):
            assert said.strip()
        case Malformed(fault, raw):
            assert fault
            assert raw == text


@MAIN
@given(st.text() | LINES, OVERVIEWS)
@example("\ud800", FIRST)
def test_any_text_is_an_action(text: str, first: Shown) -> None:
    check(text, first)


@MAIN
@given(mutated())
def test_any_damaged_text_is_an_action(case: tuple[str, Shown]) -> None:
    check(*case)


@MAIN
@given(st.tuples(*[st.floats() | st.floats(-10, 1200) | st.integers()] * 4), OVERVIEWS)
def test_every_box_lies_within_the_picture(numbers: tuple[float, float, float, float], first: Shown) -> None:
    check(call(list(numbers)), first)


@MAIN
@given(written())
def test_what_is_written_is_read_as_it_was_meant(case: tuple[tuple[Call, ...] | Answer, Shown]) -> None:
    action, first = case
    back = COF.parse(COF.write(action, (first,)), (first,))
    if isinstance(action, Answer):
        assert back == action
        return
    assert isinstance(back, tuple), back
    assert (back[0].label, back[0].thought) == (action[0].label, action[0].thought)
    for box, meant in zip(boxes_in(back), boxes_in(action), strict=True):
        pairs = zip(first.from_source(box).as_tuple(), first.from_source(meant).as_tuple(), strict=True)
        assert all(abs(a - b) <= 0.5 + 1e-6 for a, b in pairs)


CLOSE = Shown(Box(0, 0, 90, 90), (56, 56))
ACTIONS = st.sampled_from((zooms((Box(0, 0, 90, 90),)), Answer("B"), Malformed("no", "w")))
SHOWN = st.sampled_from(((), observed((CLOSE,)), observed((CLOSE, FIRST)), (Observation(words="none"),)))
TURNS = st.builds(
    Turn, st.builds(Completion, st.text(max_size=4)), ACTIONS, SHOWN, st.sampled_from(("", "no", COF.answer_now))
)


@MAIN
@given(st.lists(TURNS, max_size=4), st.booleans(), st.text(max_size=8))
def test_messages_only_grow(turns: list[Turn], direct: bool, text: str) -> None:
    question = Question("1", ("a.jpg",), text, (text, "B"))
    whole = COF.messages(question, (FIRST,), turns, direct)
    for k in range(len(turns) + 1):
        part = COF.messages(question, (FIRST,), turns[:k], direct)
        assert repr(part) == repr(whole[: len(part)])


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("<think>I see.</think><answer>B</answer>", True),
        ("<think>I see.</think>\n<answer>B</answer>\n", True),
        ("<think>a < b</think><answer>1 < 2</answer>", True),
        ("<answer>B</answer>", False),
        ("<think> </think><answer>B</answer>", False),
        ("<think>I see.</think><answer> </answer>", False),
        ("<think>I see.</think>So: <answer>B</answer>", False),
        ("<think>I see.</think><answer>B</answer> indeed", False),
        ("<think>I see.</think><answer>B</answer><answer>C</answer>", False),
        ("<think><think>I see.</think><answer>B</answer>", False),
        ("<think>I see.<|im_end|></think><answer>B</answer>", False),
        ("<think>I see.</think><answer>B", False),
    ],
)
def test_the_form_of_a_turn(text: str, formed: bool) -> None:
    assert COF.well_formed(text) is formed


def test_what_is_written_has_the_form() -> None:
    first = Shown(Box(0, 0, 448, 448), (448, 448))
    two = (Box(0, 0, 10, 10), Box(20, 20, 40, 40))
    assert COF.well_formed(COF.write(zooms(two, "a sign", "too small"), (first,)))
    assert COF.well_formed(COF.write(Answer("B", "I see"), (first,)))
    assert not COF.well_formed("<think>" * 20_000)  # in no time
