"""Rewards on traces that a scripted model made in the real loop, and policies that try to be paid for nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cof.dialects.cof import COF
from cof.errors import InvalidConfig, ModelError
from cof.geometry import Box, ViewSpec
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import Line, ScriptedModel
from cof.scoring.answers import Score
from cof.scoring.rewards import REWARDS, Rollout, Weights, advantages_of, graded, parts, reward_named, total
from cof.trace import Trace
from cof.types import Question
from cof.vision import boxes

PICTURE = Image.new("RGB", (896, 896))
TARGET = Box(400, 400, 500, 500)  # source pixels; the overview shows them at half the size
OPEN = Question("1", ("",), "What color is the kite?", answer="red", depth=1, targets=(TARGET,))
CHOICE = replace(OPEN, choices=("red", "green", "blue", "white", "black"))


def say(thought: str, answer: str) -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def call(*numbers: float, thought: str = "too small") -> str:
    body = json.dumps({"name": COF.tool, "arguments": {"bbox_2d": list(numbers), "label": "kite"}})
    return f"<think>{thought}</think><tool_call>{body}</tool_call>"


LOOK = call(200, 200, 250, 250)  # the target in the overview's pixels
RIGHT, WRONG = say("It is red.", "red"), say("It is blue.", "blue")


def trace_of(*lines: Line, question: Question = OPEN) -> Trace:
    return run(ScriptedModel(lines), question, PICTURE, Setting(ViewSpec()))


def worth(name: str, *traces: Trace) -> list[float | None]:
    return REWARDS[name]([graded(trace) for trace in traces])


@pytest.mark.parametrize("name", ["accuracy", "exact", "f1", "anls", "notes", "agar"])
def test_any_true_answer_earns_the_same(name: str) -> None:
    several = replace(OPEN, aliases=("crimson", "scarlet"))
    assert worth(name, trace_of(say("It is crimson.", "crimson"), question=several)) == [1.0]
    assert worth(name, trace_of(say("It is crimson.", "crimson"))) != [1.0]


def test_a_box_answer_earns_its_iou_and_is_right_from_a_half() -> None:
    where = replace(OPEN, answer=None, metric="iou")
    said = ("[200, 200, 250, 250]", "[200, 200, 250, 225]", "[200, 200, 250, 220]", "there")
    traces = [trace_of(say("Here.", text), question=where) for text in said]
    assert worth("accuracy", *traces) == pytest.approx([1.0, 0.5, 0.4, 0.0])
    assert worth("agar", *traces) == [1.0, 1.0, 0.1, 0.1]


@pytest.mark.parametrize(
    ("name", "lines", "value"),
    [
        ("accuracy", (RIGHT,), 1.0),
        ("accuracy", (LOOK, WRONG), 0.0),
        ("exact", (say("So.", "the red"),), 0.0),
        ("exact", (RIGHT,), 1.0),
        ("f1", (say("So.", "red kite"),), pytest.approx(2 / 3)),
        ("anls", (say("So.", "rad"),), pytest.approx(2 / 3)),
        ("number", (RIGHT,), None),
        ("format", (LOOK, RIGHT), 1.0),
        ("format", ("<answer>red</answer>",), 0.0),  # no thought
        ("format", ("red", RIGHT), 0.0),
        ("format", (LOOK,), 0.0),  # never answers
        ("iou", (LOOK, RIGHT), 1.0),
        ("iou", (call(0, 0, 448, 448), RIGHT), pytest.approx(100**2 / 896**2)),
        ("iou", (RIGHT,), 0.0),
        ("giou", (LOOK, RIGHT), 1.0),
        ("giou", (RIGHT,), -1.0),
        ("count", (LOOK, RIGHT), 1.0),
        ("count", (LOOK, LOOK, RIGHT), 0.5),
        ("count", (RIGHT,), 0.0),
        ("notes", (LOOK, RIGHT), 1.0),
        ("notes", (LOOK, say("I see it.", "red")), 0.0),
        ("notes", (LOOK, say("It is red.", "blue")), 0.0),
        ("notes", (RIGHT,), 1.0),
        ("zooms", (LOOK, LOOK, RIGHT), -0.5),
        ("zooms", (RIGHT,), 0.0),
        ("length", (RIGHT,), pytest.approx(-RIGHT.count(" ") / 2048, abs=1e-3)),
    ],
)
def test_what_a_rollout_earns(name: str, lines: Sequence[Line], value: float | None) -> None:
    assert worth(name, trace_of(*lines)) == [value]


def test_the_generalised_iou_tells_a_near_miss_from_a_far_one() -> None:
    near, far = trace_of(call(260, 200, 310, 250), RIGHT), trace_of(call(390, 200, 440, 250), RIGHT)
    assert worth("iou", near, far) == [0.0, 0.0]
    (one, other) = worth("giou", near, far)
    assert one is not None
    assert other is not None
    assert -1 < other < one < 0
    assert boxes.giou(TARGET, TARGET) == 1.0


def test_boxes_earn_nothing_where_no_zoom_is_needed_or_nothing_is_known() -> None:
    for question in (replace(OPEN, depth=0), replace(OPEN, targets=())):
        assert worth("iou", trace_of(LOOK, RIGHT, question=question)) == [None]
    assert worth("count", trace_of(LOOK, RIGHT, question=replace(OPEN, depth=None))) == [None]


def test_without_a_truth_nothing_is_known() -> None:
    unknown = trace_of(LOOK, RIGHT, question=replace(OPEN, answer=None))
    for name in ("accuracy", "exact", "f1", "anls", "notes", "agar"):
        assert worth(name, unknown) == [None]


def test_the_adaptive_reward_looks_at_the_whole_group() -> None:
    zoomed, direct, wrong = trace_of(LOOK, RIGHT), trace_of(RIGHT), trace_of(WRONG)
    assert worth("agar", zoomed, wrong) == [1.0, 0.1]
    assert worth("agar", zoomed, direct, wrong) == [0.8, 1.0, 0.1]
    assert worth("agar_released", trace_of(LOOK, WRONG), wrong) == [0.5, 0.1]


def failed(_request: object) -> str:
    raise ModelError("out of memory")


def test_a_failed_rollout_earns_no_reward_and_is_not_wrong() -> None:
    group = [graded(trace) for trace in (trace_of(RIGHT), trace_of(failed), trace_of(WRONG))]
    weights = {"agar": 1.0, "format": 0.1, "iou": 0.5}
    assert total(parts(group, weights), weights) == [pytest.approx(1.1 - 0), None, pytest.approx(0.2)]


def test_a_part_that_nobody_has_counts_for_nobody() -> None:
    group = [graded(trace_of(RIGHT, question=replace(OPEN, targets=()))) for _ in range(2)]
    for weights, sums in (({"iou": 1.0, "accuracy": 0.5}, [0.5, 0.5]), ({"iou": 1.0}, [None, None])):
        assert total(parts(group, weights), weights) == sums


def test_a_judge_may_score_what_the_layers_cannot_read() -> None:
    trace = trace_of(say("So.", "crimson"))
    assert graded(trace).right == 0.0
    assert graded(trace, lambda _question, _answer: Score(1.0, "judge")).right == 1.0


def test_what_weighs_nothing_is_not_computed() -> None:
    assert parts([graded(trace_of(RIGHT))], {}) == {}
    assert list(parts([graded(trace_of(RIGHT))], {"agar": 0.0, "exact": 1.0})) == ["exact"]


def brevity(group: Sequence[Rollout]) -> list[float | None]:
    """A reward that is no part of the package."""
    return [1 / len(one.trace.turns) for one in group]


def short(group: Sequence[Rollout]) -> list[float | None]:
    return [1.0] * (len(group) - 1)


def raising(_group: Sequence[Rollout]) -> list[float | None]:
    raise ZeroDivisionError("division by zero")


def counted(group: Sequence[Rollout]) -> list[Any]:
    return [np.float32(0.5), *([np.int64(2)] * (len(group) - 1))]


def test_a_reward_may_give_numbers_of_numpy_and_one_that_raises_is_one_line() -> None:
    group = [graded(trace_of(RIGHT)), graded(trace_of(WRONG))]
    assert parts(group, {f"{__name__}:counted": 1.0})[f"{__name__}:counted"] == [0.5, 2.0]
    with pytest.raises(InvalidConfig, match=r"failed \(ZeroDivisionError: division by zero\); want it corrected"):
        parts(group, {f"{__name__}:raising": 1.0})


def infinite(group: Sequence[Rollout]) -> list[float | None]:
    return [float("inf") for _ in group]


def long(group: Sequence[Rollout]) -> list[float | None]:
    return [1.0] * (len(group) + 1)


def endless(group: Sequence[Rollout]) -> list[float | None]:
    return [float("nan") for _ in group]


def test_a_reward_from_outside_counts_beside_the_others() -> None:
    group = [graded(trace_of(RIGHT)), graded(trace_of(LOOK, RIGHT))]
    weights = {"accuracy": 1.0, f"{__name__}:brevity": 0.5}
    assert parts(group, weights)[f"{__name__}:brevity"] == [1.0, 0.5]
    assert total(parts(group, weights), weights) == [1.5, 1.25]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acuracy", "unknown reward 'acuracy'; want one of accuracy, agar,"),
        ("no.such:reward", "is not there"),
        (f"{__name__}:OPEN", "is Question; want a function of a group of rollouts"),
    ],
)
def test_what_is_no_reward_is_one_line(name: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        reward_named(name)


@pytest.mark.parametrize("name", ["short", "long", "endless", "infinite"])
def test_a_reward_without_a_number_for_each_rollout_is_one_line(name: str) -> None:
    with pytest.raises(InvalidConfig, match="for 2 rollouts; want a finite number or None for each"):
        parts([graded(trace_of(RIGHT)), graded(trace_of(WRONG))], {f"{__name__}:{name}": 1.0})


def test_advantages() -> None:
    assert advantages_of([1.0, 0.0], scale=False) == [0.5, -0.5]
    assert advantages_of([1.0, 0.0, None], scale=True) == [pytest.approx(2**-0.5), pytest.approx(-(2**-0.5)), None]
    assert advantages_of([1.0, 0.5, 0.0], scale=False) == [0.5, 0.0, -0.5]
    assert advantages_of([0.8, 0.8, 0.8], scale=True) == [None] * 3
    assert advantages_of([None, None], scale=True) == [None, None]


CHEATS: Mapping[str, Sequence[Line]] = {
    "an empty answer": (say("So.", " "),),
    "every option": (say("So.", "red green blue white black"),),
    "every option, with commas": (say("So.", "red, green, blue, white or black"),),
    "the whole picture as box": (call(0, 0, 448, 448), WRONG),
    "a zoom on nothing": (call(2, 2, 30, 30), WRONG),
    "a call in the text": (say(LOOK, "blue"),),
    "a call after the answer": (WRONG + LOOK,),
    "the same zoom again and again": (LOOK, LOOK, LOOK, LOOK, LOOK, LOOK, WRONG),
    "several boxes at once": (LOOK + call(2, 2, 30, 30).split("</think>")[1] * 8, WRONG),
    "a box without a size": (call(200, 200, 200, 200), WRONG),
    "a box that is not a number": (call(float("nan"), 0, 1, 1), WRONG),
    "the tags of the prompt": (COF.system,),
    "the tags of the prompt, then an answer": (COF.system + WRONG,),
    "the answer in the note": (LOOK, say("It is red.", "blue")),
    "the answer in the label": (LOOK.replace("kite", "red kite"), WRONG),
    "the answer in the thought alone": (say("red", "I cannot tell"),),
    "no thought": ("<answer>blue</answer>",),
    "a thought of spaces": (say("  ", "blue"),),
    "a special token": (say("So.<|im_end|>", "blue"),),
    "never an answer": (LOOK,),
}
MIXES = {
    "paper, v1": {"accuracy": 1.0, "format": 1.0},
    "released": {"accuracy": 0.9, "format": 0.1},
    "AGAR": {"agar": 1.0},
    "AGAR with boxes and notes": {"agar": 1.0, "iou": 0.3, "notes": 0.3, "zooms": 0.05, "length": 0.05},
    "text": {"f1": 0.5, "anls": 0.5, "format": 0.1},
}


@pytest.mark.parametrize("weights", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("question", [OPEN, CHOICE], ids=["open", "choice"])
@pytest.mark.parametrize("lines", CHEATS.values(), ids=CHEATS)
def test_no_cheat_earns_more_than_an_honest_wrong_answer(
    lines: Sequence[Line], question: Question, weights: Weights
) -> None:
    """The honest one looks where the thing is, keeps to the form and reads it wrongly. An honest right one beats both."""
    cheat, wrong, right = (trace_of(*each, question=question) for each in (lines, (LOOK, WRONG), (LOOK, RIGHT)))
    for others in ([], [trace_of(RIGHT, question=question)]):
        group = [graded(trace) for trace in (cheat, wrong, right, *others)]
        paid, honest, best = (value or 0.0 for value in total(parts(group, weights), weights)[:3])
        assert paid <= honest < best


def test_the_released_adaptive_reward_pays_for_zooming_on_nothing() -> None:
    """Why it is not the default: a zoom and a wrong answer are worth five honest wrong answers."""
    group = [Rollout(trace_of(call(2, 2, 30, 30), WRONG), 0.0), Rollout(trace_of(WRONG), 0.0)]
    assert total(parts(group, {"agar_released": 1.0}), {"agar_released": 1.0}) == [0.5, 0.1]
