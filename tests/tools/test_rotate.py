"""The second tool: what was shown, turned. It is known to dialects by a few lines of TOML, and counted by its own limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.dialects.native import tools
from cof.geometry import Box, Rotate, Shown
from cof.loop.notes import limit_notes
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.base import Request
from cof.models.scripted import ScriptedModel
from cof.plain import to_json, trace_from_json
from cof.tools.base import InvalidCall, State
from cof.tools.rotate import TOOL
from cof.trace import Trace
from cof.types import Call, Limits, Question, Stop
from cof.vision import views

TOML = """
like = "{like}"
[[tools]]
tool = "rotate"
name = "image_rotate_tool"
arguments = [["degrees", "angle"], ["of", "img_idx"]]
"""
QUESTION = Question("1", ("",), "What is written there?", answer="K")
ANSWER = "<think>So.</think><answer>K</answer>"


def picture() -> Image.Image:
    """A picture whose left half is red."""
    image = Image.new("RGB", (400, 200), "blue")
    image.paste("red", (0, 0, 200, 200))
    return image


def rotating(folder: Path, like: str = "cof") -> Dialect:
    file = folder / f"{like}-rotates.toml"
    file.write_text(TOML.format(like=like))
    return dialect_of(str(file))


def call(angle: object, **more: object) -> str:
    given = ", ".join(f'"{key}": {value}' for key, value in {"angle": angle, **more}.items())
    return f'<think>Turned.</think><tool_call>{{"name": "image_rotate_tool", "arguments": {{{given}}}}}</tool_call>'


def zoom(numbers: str) -> str:
    body = f'{{"name": "image_zoom_in_tool", "arguments": {{"bbox_2d": {numbers}}}}}'
    return f"<think>Closer.</think><tool_call>{body}</tool_call>"


def test_a_picture_is_shown_turned_and_counted(tmp_path: Path) -> None:
    seen = list[Image.Image]()

    def look(request: Request) -> str:
        parts = [part for message in request.messages for part in message.parts]
        seen.extend(request.pixels[part] for part in parts if isinstance(part, Shown))
        return ANSWER

    model = ScriptedModel([call(90), look])
    trace = run(model, QUESTION, picture(), Setting(dialect=rotating(tmp_path)))
    assert (trace.answer, trace.zooms, dict(trace.tools)) == ("K", 0, {"rotate": 1})
    (shown,) = trace.views
    assert (shown.edits, shown.made_by, shown.id, shown.region) == ((Rotate(90),), "rotate", 1, trace.overview.region)
    assert shown.size == trace.overview.size[::-1]
    first, turned = seen
    assert ImageChops.difference(turned, first.transpose(Image.Transpose.ROTATE_270)).getbbox() is None
    assert trace_from_json(to_json(trace)) == trace
    assert "Called rotate" in trace.to_html(picture())


def test_a_box_in_a_turned_picture_is_the_right_one_of_the_source(tmp_path: Path) -> None:
    """In the picture turned by 90 degrees the upper half is what was left; the crop is turned as well."""
    dialect = replace(rotating(tmp_path), source="img_idx")
    first = views.overview((400, 200), Setting().spec)
    width, height = first.size[::-1]
    upper = zoom(f'[0, 0, {width}, {height // 2}], "img_idx": 1')
    trace = run(ScriptedModel([call(90), upper, ANSWER]), QUESTION, picture(), Setting(dialect=dialect))
    (asked,) = trace.requested_boxes
    assert asked.as_tuple() == pytest.approx((0, 0, 200, 200), abs=1e-6)
    crop = trace.views[1]
    assert (crop.edits, crop.made_by) == ((Rotate(90),), "zoom")
    assert dict(trace.tools) == {"rotate": 1, "zoom": 1}


@pytest.mark.parametrize("angle", ["45", '"90"', "null", "[90]", "true", "0"])
def test_what_is_no_quarter_is_told(angle: str, tmp_path: Path) -> None:
    trace = run(ScriptedModel([call(angle), ANSWER]), QUESTION, picture(), Setting(dialect=rotating(tmp_path)))
    assert (trace.answer, trace.views) == ("K", ())
    assert "want 90, 180 or 270, clockwise" in trace.turns[0].note


def test_its_calls_have_a_limit_of_their_own(tmp_path: Path) -> None:
    setting = Setting(dialect=rotating(tmp_path), limits=Limits(calls=1))
    trace = run(ScriptedModel([call(90), call(180), ANSWER]), QUESTION, picture(), setting)
    assert (trace.stop, trace.answer, dict(trace.tools)) == (Stop.CALLS, "K", {"rotate": 1})
    assert "1 call was not followed: the limit calls = 1 was reached." in limit_notes(trace)


@pytest.mark.parametrize("angle", ["[" * 600 + "]" * 600, "1e999", '{"a": [1e999]}'])
def test_arguments_that_no_trace_can_keep_are_told(angle: str, tmp_path: Path) -> None:
    trace = run(ScriptedModel([call(angle), ANSWER]), QUESTION, picture(), Setting(dialect=rotating(tmp_path)))
    assert (trace.answer, trace.turns[0].kind) == ("K", "malformed")
    json.dumps(to_json(trace), allow_nan=False)


def test_half_a_character_in_an_argument_is_replaced(tmp_path: Path) -> None:
    trace = run(ScriptedModel([call('"a \\ud800"'), ANSWER]), QUESTION, picture(), Setting(dialect=rotating(tmp_path)))
    assert trace.turns[0].calls[0].arguments == {"degrees": "a ?"}
    json.dumps(to_json(trace), ensure_ascii=False).encode()


def test_a_subject_that_was_never_shown_is_told() -> None:
    first = views.overview((400, 200), Setting().spec)
    trace = Trace("1", QUESTION, "m", "cof", Setting().spec, Setting().sampling, Limits(), (first,))
    with pytest.raises(InvalidCall, match="names none of the 1 pictures"):
        TOOL.run(Call("rotate", {"degrees": 90, "of": 1}), State(trace), Limits())
    assert TOOL.run(Call("rotate", {"degrees": 90}), State(trace), Limits(pixels=first.pixels)) is None


@pytest.mark.parametrize("like", ["cof", "qwen3-vl", "glm-v", "qwen3.5"])
def test_it_is_written_read_and_declared_in_every_form_of_named_calls(like: str, tmp_path: Path) -> None:
    dialect, first = rotating(tmp_path, like), views.overview((400, 200), Setting().spec)
    asked = (Call("rotate", {"degrees": 180}, "", "It is upside down."),)
    text = dialect.write(asked, (first,))
    assert dialect.parse(text, (first,)) == asked
    assert dialect.well_formed(text)
    declared = tools(dialect)[1]["function"]
    assert (declared["name"], declared["parameters"]["required"]) == ("image_rotate_tool", ["angle"])
    assert declared["parameters"]["properties"]["angle"]["enum"] == [90, 180, 270]


def test_a_dialect_without_it_does_not_know_it() -> None:
    action = dialect_of("cof").parse(call(90), (views.overview((400, 200), Setting().spec),))
    assert "names no known tool" in action.fault  # type: ignore[union-attr]


@given(
    st.lists(st.sampled_from((90, 180, 270)), max_size=4),
    st.tuples(*[st.integers(0, 40)] * 2),
    st.tuples(*[st.integers(1, 40)] * 2),
)
def test_boxes_of_turned_pictures_come_back(
    quarters: list[int], corner: tuple[int, int], size: tuple[int, int]
) -> None:
    edits = tuple(map(Rotate, quarters))
    shown = Shown(Box(10, 20, 410, 220), (280, 140), edits)
    box = Box(10 + corner[0], 20 + corner[1], 10 + corner[0] + size[0], 20 + corner[1] + size[1])
    back = shown.to_source(shown.from_source(box))
    assert back.as_tuple() == pytest.approx(box.as_tuple())
