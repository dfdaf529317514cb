"""The judge is asked what the layers left open, once, and its silence is no verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cof.errors import ModelError
from cof.models.base import Request
from cof.models.scripted import ScriptedModel
from cof.runs import RunDir
from cof.scoring import verdicts
from cof.scoring.judge import judged
from cof.types import Question
from tests.models.remote.endpoints import by_turn, listening, model_at

OPEN = Question("1", ("",), "What animal?", (), "a domestic cat")
CHOICE = Question("2", ("",), "Which?", ("red", "blue"), "red")
RIGHT, WRONG = '{"right": true}', 'Well: {"right": false}.'


def scores(folder: Path, lines, asked):
    model = ScriptedModel(lines)
    with RunDir(folder, {}) as run:
        scored = judged(model, asked, run.journal("verdicts"))
        return [scored(*each) for each in asked], model


@pytest.mark.parametrize(("line", "value"), [(RIGHT, 1.0), (WRONG, 0.0), ("I cannot say.", None)])
def test_the_verdict_is_the_score(tmp_path, line, value):
    (score,), model = scores(tmp_path / "run", [line], [(OPEN, "a kitty")])
    assert (score.value, score.by) == (value, "judge")
    assert len(model.requests) == 1


def test_a_judge_behind_an_endpoint_is_asked(tmp_path):
    with listening(by_turn(RIGHT)) as server, RunDir(tmp_path / "run", {}) as run:
        scored = judged(model_at(server), [(OPEN, "a kitty")], run.journal("verdicts"))
    assert scored(OPEN, "a kitty").value == 1.0


def test_what_the_layers_can_tell_is_not_asked(tmp_path):
    asked = [(OPEN, "A domestic cat."), (CHOICE, "red"), (CHOICE, "blue"), (OPEN, None), (OPEN, "")]
    found, model = scores(tmp_path / "run", [RIGHT], asked)
    assert model.requests == []
    assert [score.value for score in found] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_judge_sees_question_options_and_both_answers(tmp_path):
    _, model = scores(tmp_path / "run", [RIGHT], [(CHOICE, "the colour of blood")])
    told = json.loads(model.requests[0].messages[-1].parts[0])
    assert told == {
        "question": "Which?",
        "options": ["red", "blue"],
        "true_answer": "red",
        "given_answer": "the colour of blood",
    }


def test_the_judge_sees_further_true_answers_and_is_asked_anew_where_there_are_more(tmp_path):
    several = replace(OPEN, aliases=("a house cat",))
    asked = [(OPEN, "a kitty"), (several, "a kitty"), (several, "House cat")]

    def cats(request: Request) -> str:
        return RIGHT if "house cat" in str(request.messages) else WRONG

    found, model = scores(tmp_path / "run", [cats], asked)
    assert [score.value for score in found] == [0.0, 1.0, 1.0]
    told = json.loads(model.requests[1].messages[-1].parts[0])
    assert (told["true_answer"], told["other_true_answers"]) == ("a domestic cat", ["a house cat"])


@pytest.mark.parametrize("metric", ["anls", "relaxed", "iou"])
def test_another_metric_is_not_judged(tmp_path, metric):
    asked = replace(OPEN, answer="[1, 2, 3, 4]" if metric == "iou" else "12", metric=metric)
    found, model = scores(tmp_path / "run", [RIGHT], [(asked, "a dozen")])
    assert (model.requests, found[0].value) == ([], 0.0)


def test_a_verdict_is_asked_for_once_and_a_missing_one_again(tmp_path):
    asked = [(OPEN, "a kitty"), (OPEN, "a kitty"), (OPEN, "a dog")]

    def only_dogs(request: Request) -> str:
        if "kitty" in str(request.messages):
            raise ModelError("out of reach")
        return WRONG

    first, one = scores(tmp_path / "run", [only_dogs], asked)
    second, two = scores(tmp_path / "run", [RIGHT], asked)
    assert [score.value for score in first] == [None, None, 0.0]
    assert [score.value for score in second] == [1.0, 1.0, 0.0]
    assert (len(one.requests), len(two.requests)) == (2, 1)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('```json\n{"right": true}\n```', True),
        ('First {"right": false}, no: {"right": true}', True),
        ('{"right": "yes"}', None),
        ('{"right": NaN}', None),
        ("[true]", None),
        ("{" * 5000, None),
    ],
)
def test_a_verdict_is_json_and_nothing_else(text, right):
    assert verdicts.verdict(text) is right
