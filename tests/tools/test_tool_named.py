"""Tools by name, one of them from outside the package: the loop runs it, and pages and traces show what it said."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.plain import to_json, trace_from_json
from cof.tools.known import tool_named
from cof.types import Limits, Question, Stop
from tests.tools.outside import MEASURE

TOML = """
like = "cof"
[[tools]]
tool = "tests.tools.outside:MEASURE"
name = "measure"
arguments = []
"""
CALL = '<think>How large?</think><tool_call>{"name": "measure", "arguments": {}}</tool_call>'
ANSWER = "<think>So.</think><answer>30</answer>"


def test_a_tool_from_outside_is_run_counted_and_shown(tmp_path: Path) -> None:
    (tmp_path / "measuring.toml").write_text(TOML)
    image = Image.new("RGB", (30, 20), "red")
    setting = Setting(dialect=dialect_of(str(tmp_path / "measuring.toml")))
    model = ScriptedModel([CALL, ANSWER])
    trace = run(model, Question("1", ("",), "How wide is it?"), image, setting)
    assert (trace.answer, dict(trace.tools), trace.views) == ("30", {MEASURE.name: 1}, ())
    assert model.requests[1].messages[-1].parts == ("It has 30 x 20 pixels.",)
    assert trace_from_json(to_json(trace)) == trace
    assert "It has 30 x 20 pixels." in trace.to_html(image)


def test_a_tool_is_not_run_beyond_its_limit(tmp_path: Path) -> None:
    (tmp_path / "measuring.toml").write_text(TOML)
    ran = MEASURE.runs
    setting = Setting(dialect=dialect_of(str(tmp_path / "measuring.toml")), limits=Limits(calls=0))
    trace = run(
        ScriptedModel([CALL, ANSWER]), Question("1", ("",), "How wide is it?"), Image.new("RGB", (30, 20)), setting
    )
    assert (trace.stop, dict(trace.tools), MEASURE.runs) == (Stop.CALLS, {}, ran)


def test_tools_are_found_by_name() -> None:
    assert tool_named("zoom").name == "zoom"
    assert tool_named("rotate").name == "rotate"
    assert tool_named("tests.tools.outside:MEASURE") is MEASURE


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fly", "want one of rotate, zoom, or module:name"),
        ("base", "unknown tool"),
        ("", "unknown tool"),
        ("a b", "unknown tool"),
        ("no.such:TOOL", "is not there"),
        ("tests.tools.outside:NO_TOOL", "is int; want a value with name"),
    ],
)
def test_what_is_no_tool_is_one_line(name: str, told: str) -> None:
    with pytest.raises(InvalidConfig, match=told):
        tool_named(name)
