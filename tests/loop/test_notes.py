"""The sentences about a run: word for word, with their counts and sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cof.dialects.named import dialect_of
from cof.geometry import ViewSpec
from cof.loop.notes import limit_notes, notes, stop_note, unreadable
from cof.loop.run import run
from cof.loop.setting import Setting, with_budget
from cof.models.scripted import Line, ScriptedModel
from cof.trace import Trace
from cof.types import Limits, Question
from tests.tools.outside import MEASURE

ANSWER = "<think>So.</think><answer>B</answer>"
LOOK = '<think>Closer.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 1, 30, 30]}}</tool_call>'
MEASURED = '<think>How large?</think><tool_call>{"name": "measure", "arguments": {}}</tool_call>'
WIDE = Image.new("RGB", (1400, 560))


def played(*lines: Line, pictures: int = 1, setting: Setting | None = None, **limits: int) -> Trace:
    chosen = setting or Setting(ViewSpec(), Limits(**limits))
    return run(ScriptedModel(lines), Question("1", ("a.png",) * pictures, "What?"), [WIDE] * pictures, chosen)


def test_a_smaller_overview_has_both_sizes_and_what_kept_its_pixels() -> None:
    (note,) = limit_notes(played(ANSWER, pixels=100_000))
    natural, shown = played(ANSWER).overview.size, played(ANSWER, pixels=100_000).overview.size
    assert note == (
        f"The overview has {shown[0]} x {shown[1]} pixels instead of {natural[0]} x {natural[1]}: "
        "the limit pixels = 100,000 keeps room for 4 crops."
    )
    assert shown[0] > shown[1]


def test_that_pictures_share_the_pixels_is_said_of_several_alone() -> None:
    assert "share the rest" not in limit_notes(played(ANSWER, pixels=100_000))[0]
    assert "and 2 pictures share the rest" in limit_notes(played(ANSWER, pictures=2, pixels=100_000))[0]


def test_a_call_beyond_its_limit_is_counted(tmp_path: Path) -> None:
    tool = f'like = "cof"\n[[tools]]\ntool = "{MEASURE.name}"\nname = "measure"\narguments = []\n'
    (tmp_path / "measuring.toml").write_text(tool)
    setting = Setting(dialect=dialect_of(str(tmp_path / "measuring.toml")), limits=Limits(calls=0))
    assert "1 call was not followed: the limit calls = 0 was reached." in notes(
        played(MEASURED, ANSWER, setting=setting)
    )


@pytest.mark.parametrize(("boxes", "said"), [(1, "1 requested box was"), (2, "2 requested boxes were")])
def test_boxes_beyond_their_limit_are_counted(boxes: int, said: str) -> None:
    second = LOOK.partition("</think>")[2].replace("30, 30", "90, 90") * (boxes - 1)
    assert f"{said} not shown: the limit zooms = 0 was reached." in notes(played(LOOK + second, ANSWER, zooms=0))


@pytest.mark.parametrize(("turns", "said"), [(1, "none of 1 turn was"), (3, "none of 3 turns was")])
def test_turns_that_cannot_be_read_are_counted(turns: int, said: str) -> None:
    trace = played("nonsense", turns=turns - 1 or 1) if turns > 1 else played("nonsense", setting=one_turn())
    assert len(trace.model_turns) == turns
    assert unreadable(trace).startswith(said)


def one_turn() -> Setting:
    from cof.loop.policies.direct import POLICY

    return Setting(policy=POLICY)


def test_a_limit_that_gave_no_answer_is_named_and_is_not_the_policy() -> None:
    assert stop_note(played("nonsense", tokens=1)).startswith("The model reached its limit on tokens (1), was asked")
    assert stop_note(played(LOOK, zooms=0)).startswith("The model reached its limit on zooms (0), was asked")
    assert stop_note(played("nonsense", turns=2)).startswith("The model reached its limit on turns (2), was asked")
    assert stop_note(played("nonsense", ANSWER, turns=1)) == (
        "The model reached its limit on turns (1), then answered when asked to."
    )


def test_without_tools_the_policy_asked_from_the_start_whatever_the_limits_are() -> None:
    for setting in (replace(one_turn(), limits=Limits(turns=1)), replace(one_turn(), limits=Limits(zooms=0))):
        assert stop_note(played("nonsense", setting=setting)).startswith(
            "The policy direct asked the model for its answer"
        )
        assert notes(played(LOOK, setting=setting)) == (
            "The policy direct asked the model for its answer, and it called a tool.",
        )


def test_two_crops_that_shared_pixels_are_two() -> None:
    twice = played(LOOK, LOOK.replace("30, 30", "40, 40"), ANSWER, pixels=60_000)
    assert any(note.startswith("2 of 2 crops were shrunk to fit the limit pixels = 60,000.") for note in notes(twice))


def test_a_budget_is_a_number_of_tokens() -> None:
    assert with_budget(ViewSpec(), 10).max_pixels == 10 * ViewSpec().factor ** 2
