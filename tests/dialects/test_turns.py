"""What models really write, in every family: thoughts, calls and answers in many forms, and what is none of them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.dialects import turns
from cof.dialects.named import dialect_of, names
from cof.geometry import Box, Shown
from cof.tools.zoom import zooms
from cof.types import Action, Answer, Call, Malformed
from cof.vision import views
from tests.calls import boxes_in
from tests.properties import cases

SIZE = (3840, 2160)
PART = (960, 1080, 1920, 2160)  # source pixels; in thousandths 250, 500, 500, 1000
FAMILIES = names()
BARE = [name for name in FAMILIES if "…" in dialect_of(name).answers]
CALL = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [250, 500, 500, 1000]}}</tool_call>'


def overview(name: str) -> Shown:
    return views.overview(SIZE, dialect_of(name).view)


def read(name: str, text: str) -> Action:
    return dialect_of(name).parse(text, (overview(name),))


def zoom(name: str, text: str, box: tuple[float, ...] = PART) -> tuple[Call, ...]:
    found = read(name, text)
    assert isinstance(found, tuple), found
    assert boxes_in(found)[0].as_tuple() == pytest.approx(box, abs=2)
    return found


def fault(name: str, text: str) -> str:
    found = read(name, text)
    assert isinstance(found, Malformed), found
    return found.fault


def called(arguments: str, tool: str = "image_zoom_in_tool") -> str:
    return f'<tool_call>{{"name": "{tool}", "arguments": {arguments}}}</tool_call>'


# thoughts that the chat template opened


@pytest.mark.parametrize("name", FAMILIES)
def test_a_thought_with_only_its_closing_tag_is_read_in_every_family(name: str) -> None:
    dialect, first = dialect_of(name), overview(name)
    box = Box(960, 540, 1920, 1080)
    bare = dialect.write(Answer("B 2"), (first,)).replace("<think></think>", "")
    assert dialect.parse(f"Could be A.\n</think>\n\n{bare}", (first,)) == Answer("B 2", "Could be A.")
    call = dialect.write(zooms((box,)), (first,)).replace("<think></think>", "")
    found = dialect.parse(f"Too small.\n</think>\n{call}", (first,))
    assert isinstance(found, tuple)
    assert found[0].thought == "Too small."


@pytest.mark.parametrize("name", FAMILIES)
def test_a_call_that_was_only_thought_about_is_no_call(name: str) -> None:
    dialect, first = dialect_of(name), overview(name)
    call = dialect.write(zooms((Box(960, 540, 1920, 1080),)), (first,)).replace("<think></think>", "")
    answer = dialect.write(Answer("blue"), (first,)).replace("<think></think>", "")
    found = dialect.parse(f"I could say {call} but need not.\n</think>\n\n{answer}", (first,))
    assert isinstance(found, Answer)
    assert found.text == "blue"
    assert isinstance(dialect.parse(f"I could say {call} but need not.\n</think>\n", (first,)), Malformed)


@pytest.mark.parametrize(
    ("name", "text", "action"),
    [
        ("qwen3-vl", "Say <answer>red</answer>, no.\n</think>\n\nblue", Answer("blue", "Say <answer>red</answer>, no.")),
        ("qwen3-vl", "The tag <answer> is not needed.\n</think>\n\nblue", Answer("blue", "The tag <answer> is not needed.")),
        ("qwen3-vl", "I open <tool_call> or not.\n</think>\n\nblue", Answer("blue", "I open <tool_call> or not.")),
        ("cof", "Then <answer> comes.\n</think>\n<answer>blue</answer>", Answer("blue", "Then <answer> comes.")),
        ("qwen3-vl", "<think>a</think>\n<think>b</think>\nblue", Answer("blue", "a\nb")),
        ("qwen3-vl", "a</think> b </think> blue", Answer("blue", "a\nb")),
        ("qwen2.5-vl", "<think>Say </think> after it.</think>blue", Answer("blue", "Say\nafter it.")),
        ("plain", "<think>It is left. <think>\n<answer>A</answer>", Answer("A", "It is left.")),
        ("deepeyes", "<think>One. <think> <answer>A</answer> <think>", Answer("A", "One.")),
        ("plain", "<|channel>thought\nHm.<channel|>blue", Answer("blue", "Hm.")),
        ("qwen3-vl", "◁think▷Hm.◁/think▷blue", Answer("blue", "Hm.")),
        ("deepeyes", "<thinking>Hm.</thinking><answer>blue</answer>", Answer("blue", "Hm.")),
        ("plain", "<answer>blue</think></answer>", Answer("blue")),
        ("plain", "<answer></think> blue</answer>", Answer("blue")),
        ("plain", "<answer>blue</think>", Answer("blue")),
        ("qwen3-vl", "blue</answer>", Answer("blue")),
        ("qwen3-vl", "<answer>blue</answer><think>or red", Answer("blue")),
    ],
)  # fmt: skip
def test_thoughts_that_speak_of_tags_and_tags_that_are_left_over(name: str, text: str, action: Answer) -> None:
    assert read(name, text) == action


@pytest.mark.parametrize(
    "text", ["Hm.\n</think>\n", "<think>Hm.", "<think>blue", "</think>", "<think>Hm.</think>", "Hm. <think> blue"]
)
def test_a_thought_alone_is_no_answer(text: str) -> None:
    assert fault("qwen3-vl", text)


# words before a call


@pytest.mark.parametrize("name", ["qwen3-vl", "plain", "qwen2.5-vl", "pixel-reasoner", "qwen3.5"])
def test_plain_words_before_a_call_are_its_thought(name: str) -> None:
    dialect, first = dialect_of(name), overview(name)
    call = dialect.write(zooms((Box(960, 1080, 1920, 2160),)), (first,)).replace("<think></think>", "")
    assert zoom(name, f"I need to read it.\n\n{call}")[0].thought == "I need to read it."
    assert zoom(name, call)[0].thought == ""
    assert zoom(name, f"<think>Small.</think>Let me look.{call}")[0].thought == "Small."
    assert zoom(name, f"Small.</think>{call} Let me look.")[0].thought == "Small."


# calls in other forms

XML = (
    "<tool_call>\n<function=image_zoom_in_tool>\n<parameter=bbox_2d>\n[250, 500, 500, 1000]\n</parameter>\n"
    "<parameter=label>\n%s\n</parameter>\n</function>\n</tool_call>"
)
PAIRS = (
    "<tool_call>image_zoom_in_tool\n<arg_key>bbox_2d</arg_key>\n<arg_value>[250, 500, 500, 1000]</arg_value>\n"
    "<arg_key>label</arg_key>\n<arg_value>%s</arg_value>\n</tool_call>"
)
GEMMA = '<|tool_call>call:image_zoom_in_tool{bbox_2d:[250,500,500,1000],label:<|"|>%s<|"|>}<tool_call|>'
THOUSANDTHS = [
    name
    for name in FAMILIES
    if dialect_of(name).shape in turns.NAMED_SHAPES
    and dialect_of(name).unit == "thousand"
    and dialect_of(name).box == "bbox_2d"
]


@pytest.mark.parametrize("name", THOUSANDTHS)
@pytest.mark.parametrize("form", [XML, PAIRS, GEMMA], ids=["xml", "pairs", "gemma"])
@pytest.mark.parametrize("label", ["sign 2", "2", "[a] sign", 'the "big" sign', "{sign}"])
def test_named_calls_are_read_in_the_forms_of_other_templates(name: str, form: str, label: str) -> None:
    assert zoom(name, form % label)[0].label == label


@pytest.mark.parametrize("label", ["<function=", "<arg_key>", "call:", "</function>"])
def test_a_label_in_json_may_hold_the_signs_of_other_forms(label: str) -> None:
    first = overview("cof")
    assert zoom("cof", dialect_of("cof").write(zooms((Box(*PART),), label), (first,)))[0].label == label


@pytest.mark.parametrize(
    "text",
    [
        XML.replace("image_zoom_in_tool", "search") % "a",
        XML.replace("bbox_2d", "box") % "a",
        XML.replace("1000]", "1000") % "a",
        PAIRS.replace("image_zoom_in_tool", "") % "a",
        PAIRS.replace("[250, 500, 500, 1000]", "250") % "a",
        GEMMA.replace("call:image_zoom_in_tool", "call:") % "a",
        GEMMA.replace("500,500", "500") % "a",
    ],
)
def test_calls_of_other_tools_or_without_a_box_are_told(text: str) -> None:
    assert fault("plain", text)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"bbox_2d": [250, 500, 500, 1000], "label": "a", "img_idx": 0,}',
        "{'bbox_2d': [250, 500, 500, 1000], 'img_idx': 0}",
        "{bbox_2d: [250, 500, 500, 1000], label: red sign, img_idx: 0}",
        '{"bbox_2d": [250, 500, 500, 1000], "img_idx": 0.0}',
        '{"bbox_2d": [250, 500, 500, 1000], "img_idx": "0"}',
        '{"bbox_2d": [250, 500, 500, 1000], "label": None}',
        '{"bbox_2d": [250, 500, 500, 1000,], "label": "the "big" sign"}',
        '{"bbox_2d": [250, 500, 500, 1000], "label": "it\'s"}',
        '"{\\"bbox_2d\\": [250, 500, 500, 1000]}"',
        '{"bbox_2d": [250, 500, 500, 1000]}}',
        '{"box_2d": [500, 250, 1000, 500]}',
        '{"bbox_2d": [250, 500, 500, 1000]',
    ],
)
def test_json_that_can_mean_one_thing_only(arguments: str) -> None:
    found = zoom("qwen3-vl", called(arguments))
    assert not dialect_of("qwen3-vl").well_formed(called(arguments)) or "box_2d" in arguments, found


@pytest.mark.parametrize(
    "arguments",
    [
        '{"bbox_2d": [250, 500, 500, 1000], "img_idx": 0.5}',
        '{"bbox_2d": [250, 500, 500, 1000], "img_idx": "first"}',
        '{"bbox_2d": [250 500 500 1000]}',
        '{"bbox_2d": [250, 500, 500, 10px]}',
        '{"bbox_2d": [250, 500, 500, 1000',
        '{"bbox_2d": [250, 500, 500, 1000], "label": "a}',
        '{"bbox_2d": [250, 500, 500, 500+500]}',
        '{"bbox_2d": [int(250), 500, 500, 1000]}',
        '"250, 500, 500, 1000"',
        '"{}"',
    ],
)
def test_json_that_could_mean_more_is_told(arguments: str) -> None:
    assert fault("qwen3-vl", called(arguments))


def test_a_call_with_parameters_for_arguments() -> None:
    zoom("plain", called("{}").replace('"arguments": {}', '"parameters": {"bbox_2d": [250, 500, 500, 1000]}'))


@pytest.mark.parametrize(
    "source", ["'original_image'", "original_image", '"original_image"', "'original_image',"]
)  # fmt: skip
@pytest.mark.parametrize("key", ["bbox_2d", "'bbox_2d'", '"bbox_2d"'])
def test_quotes_do_not_matter_to_mini_o3(source: str, key: str) -> None:
    said = f"<think>x</think><grounding>{{{key}: [0.25, 0.5, 0.5, 1.0], source: {source}}}</grounding>"
    assert zoom("mini-o3", said)
    assert dialect_of("mini-o3").well_formed(said) is False


def test_a_list_with_a_stray_brace_gives_its_good_boxes() -> None:
    one, other = '{"bbox_2d": [10, 20, 300, 400], "label": "a"}', '{"bbox_2d": [400, 20, 600, 400]}'
    for body in (f"[\n{one},\n{{\n{other}\n]", f"[{one}}},{other}]", f"[[{one},{other}]"):
        found = read("mgpo", f"```json\n{body}\n```")
        assert isinstance(found, tuple)
        assert len(found) == 2
    assert fault("mgpo", '```json\n[{"label": "a"},{]\n```')
    assert fault("mgpo", '```json\n[{"bbox_2d": [10, 20, 300]},{]\n```')
    assert "cut off" in fault("mgpo", f"```json\n[{one},")


@pytest.mark.parametrize("end", ["", "\n", "</tool_", "\n</tool_call", "</"])
def test_a_last_call_without_its_closing_tag(end: str) -> None:
    assert zoom("plain", f"<think>Far off.</think>\n{CALL.removesuffix('</tool_call>')}{end}")
    assert "cut off" in fault("plain", f"<think>Far off.</think>\n{CALL[: CALL.index('1000') + 2]}{end}")


def test_a_call_of_numbers_without_its_closing_tag() -> None:
    assert "cut off" in fault("minicpm-v", "<box>250 500 500 100")
    zoom("internvl2.5", "<box>[[250, 500, 500, 1000]]")
    zoom("internvl2.5", "<box>[[250, 500, 500, 1000]]</bo")


@pytest.mark.parametrize("name", ["plain", "qwen3-vl", "gemini"])
def test_a_call_whose_tags_were_lost(name: str) -> None:
    dialect = dialect_of(name)
    numbers = [500, 250, 1000, 500] if dialect.order == "yx" else [250, 500, 500, 1000]
    body = json.dumps({"name": dialect.tool, "arguments": {dialect.box: numbers}})
    for text in (body, f"```json\n{body}\n```", f"<think>x</think>\n```\n{body}\n```\n"):
        zoom(name, text)
    for form in (XML, PAIRS, GEMMA):
        bare = form % "sign"
        for tag in ("<tool_call>", "</tool_call>", "<|tool_call>", "<tool_call|>", '<|"|>'):
            bare = bare.replace(tag, "")
        for old, new in (
            ("bbox_2d", dialect.box),
            ("[250, 500, 500, 1000]", str(numbers)),
            ("[250,500,500,1000]", str(numbers)),
        ):
            bare = bare.replace(old, new)
        assert zoom(name, bare)[0].label == "sign"
    assert read(name, f"The sign says {body}") == Answer(f"The sign says {body}")
    assert read(name, '{"name": "Bob"}') == Answer('{"name": "Bob"}')


# several answers, answers and calls


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("pixel-reasoner", r"At first \boxed{A}. Looking again: \boxed{B}.", "B"),
        ("pixel-reasoner", r"\boxed{A} or \boxed{\text{red}}", r"\text{red}"),
        ("pixel-reasoner", r"\boxed{\boxed{B}}", "B"),
        ("mgpo", r"Not \boxed{A}</think>\boxed{B}", "B"),
        ("plain", "<answer>\n\\boxed{'B'}\n</answer>", "B"),
        ("plain", '<answer>\\boxed{"B"}</answer>', "B"),
        ("keye-vl", r"<answer>It is \boxed{A}, no, \boxed{B}.</answer>", "B"),
        ("deepeyes", r"<answer>\boxed{B}</answer>", "B"),
        ("plain", r"<answer>'t Hooft</answer>", "'t Hooft"),
        ("deepeyes", called('{"bbox_2d": [9, 9, 99, 99]}') + "<answer>The kite is white.</answer>", "The kite is white."),
        ("plain", CALL + "<tool_response>…</tool_response><think>I see.</think><answer>B</answer>", "B"),
        ("plain", r"<think>x</think>" + CALL + r" so \boxed{B}", "B"),
    ],
)  # fmt: skip
def test_which_answer_counts(name: str, text: str, want: str) -> None:
    found = read(name, text)
    assert isinstance(found, Answer), found
    assert found.text == want
    assert not dialect_of(name).well_formed(text) or text.startswith(("<answer>'t", r"<answer>\boxed{B}"))


@pytest.mark.parametrize("before", [r"\boxed{A}", r"It might be \boxed{A} or \boxed{B}.", r"\boxed{}"])
def test_a_last_call_beats_a_boxed_answer_before_it(before: str) -> None:
    assert zoom("plain", f"<think>x</think>{before} But I look again. {CALL}")
    part = called('{"bbox_2d": [0.25, 0.5, 0.5, 1.0], "target_image": 1}', "crop_image_normalized")
    assert zoom("pixel-reasoner", f"{before} But I look again. {part}")


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize(
    "text",
    [
        "<code>\n```python\nimage_1.crop((10, 20, 300, 400)).show()\n```\n</code>",
        "```python\nprint(1)\n```",
        "I crop it.\n```py\nprint(1)\n```",
        "```tool_code\nprint(1)\n```",
        "<problem> {'dark'} </problem>",
        "I see. <search>red sign</search>",
        "<code>\nprint(1)",
        '<tool name="crop">1, 2</tool>',
        "<ANSWER>B</ANSWER>",
    ],
)
def test_code_and_unknown_blocks_are_no_answers(name: str, text: str) -> None:
    assert "neither a call nor an answer" in fault(name, f"<think>I crop it.</think>\n{text}")
    assert not dialect_of(name).well_formed(f"<think>I crop it.</think>\n{text}")


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "<b>red</b>", "x<y", "```\nred\n```", "<title>", "2<sup>nd</sup>", "if a <b then c> d"]
)
def test_what_only_looks_like_a_block_is_an_answer(text: str) -> None:
    assert read("qwen3-vl", text) == Answer(text)


def test_code_between_the_tags_of_an_answer_is_one() -> None:
    text = "<answer>```python\nprint(1)\n```</answer>"
    assert read("plain", text) == Answer("```python\nprint(1)\n```")


# hostile text

PIECES = st.sampled_from(
    ("<think>", "</think>", "<answer>", "</answer>", "<tool_call>", "</tool_call>", r"\boxed{", "}", "{", "[", "]", "'", '"',
     ",", ":", "<function=image_zoom_in_tool>", "<parameter=bbox_2d>", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>",
     "call:image_zoom_in_tool{", '<|"|>', "<|tool_call>", "<tool_call|>", "<|channel>thought", "<channel|>", "```json", "```",
     "bbox_2d", "[1, 2, 3, 4]", "<box>", "</box>", "<zoom>", "</zoom>", "\\", " ", "\n", "a", "0.5", "<code>", "</code>", CALL),
)  # fmt: skip


@settings(max_examples=cases(1_000), deadline=None)
@given(st.sampled_from(FAMILIES), st.lists(PIECES | st.text(max_size=3), max_size=14).map("".join))
def test_no_text_at_all_does_harm(name: str, text: str) -> None:
    dialect, first = dialect_of(name), overview(name)
    found = dialect.parse(text, (first,))
    assert isinstance(found, tuple | Answer | Malformed)
    if dialect.well_formed(text) and isinstance(found, Answer):
        assert found.text
    box = dialect.answer_box(text, first)
    assert box is None or (0 <= box.x0 < box.x1 <= SIZE[0] and 0 <= box.y0 < box.y1 <= SIZE[1])
    places = [(span.at, turns.end_of(span)) for span in turns.spans(dialect, text) if span.kind != "words"]
    assert all(end <= begin for (_, end), (begin, _) in pairwise(places))


LONG = 10_000
HOSTILE = [
    "<think>" * LONG, "</think>" * LONG, "<answer>" * LONG, "<answer>" * LONG + "</think><answer></answer>",
    "<tool_call>" * LONG,
    "<tool_call>{" * LONG, "\\boxed{" * LONG, "\\boxed{" * LONG + "}" * LONG, "<answer>B" + "</think> " * LONG + "</answer>",
    "</think>" + "<tool_call></tool_call></think>" * LONG, "<a>" * LONG + "</b>" * LONG,
    f"<tool_call>{chr(39) * LONG}</tool_call>",
    "<tool_call>{'a': " + "' " * LONG + "</tool_call>", "<tool_call>" + '<|"|>' * LONG + "</tool_call>",
    "<tool_call><function=" + "<parameter=a>" * LONG + "</tool_call>", "<tool_call>" + "<arg_key>" * LONG + "</tool_call>",
    "<tool_call>" + "{a:" * LONG + "</tool_call>", "```json[" + "{}" * LONG + "{]```", "1 " * LONG + "x", "``` " * LONG,
    "<tool_call>{a:" + " b" * LONG + "}</tool_call>", "<a " + "x" * LONG, "<a " * LONG, "<answer>" + "</think>" * LONG,
]  # fmt: skip


@pytest.mark.parametrize("name", ["cof", "plain", "mgpo", "mini-o3", "qwen3.5", "minicpm-v"])
def test_hostile_texts_are_read_in_no_time(name: str) -> None:
    dialect, first = dialect_of(name), overview(name)
    for text in HOSTILE:  # were one of them quadratic, this test would not end
        dialect.parse(text, (first,))
        dialect.well_formed(text)
        dialect.answer_box(text, first)


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize(
    "text",
    [
        "```\nimage_1.crop((10, 20, 300, 400)).show()\n```",
        'import cv2\nimg = cv2.imread("a.png")\nprint(img)',
        "~~~python\nprint(1)\n~~~",
        "```r\nplot(x)\n```",
    ],
)
def test_code_of_any_language_is_no_answer(name: str, text: str) -> None:
    assert "code" in fault(name, text)


@pytest.mark.parametrize("text", ["```blue```", "import taxes", "```text\nblue\n```", "It is f(x).", "from 1 to 3"])
def test_words_that_look_like_code_are_answers(text: str) -> None:
    assert isinstance(read("plain", f"<think>x</think>{text}"), Answer)


@pytest.mark.parametrize(("open_tag", "close_tag"), [("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]")])
def test_thoughts_of_other_families_are_told_apart(open_tag: str, close_tag: str) -> None:
    assert read("plain", f"{open_tag}could be red{close_tag}blue") == Answer("blue", "could be red")


def test_half_a_call_is_no_answer() -> None:
    text = '{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100,'
    assert "the call is not whole" in fault("qwen3-vl", text)
    assert "the call is not whole" in fault("plain", f"<think>x</think>{text}")
