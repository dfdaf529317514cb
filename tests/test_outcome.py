"""What is said of an evaluation besides its figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from cof.cli.outcome import check_outcome
from cof.errors import ModelError
from cof.evaluate.run import Record
from cof.loop.run import run
from cof.loop.session import NO_VIEW
from cof.models.scripted import ScriptedModel
from cof.trace import Trace
from cof.types import Question, Stop


def record(image: str, said: str = "<answer>red</answer>", arm: str = "own", **changes: object) -> Record:
    trace: Trace = run(ScriptedModel([said]), Question(image, (image,), "What?"), Image.new("RGB", (60, 40)))
    return Record(arm, 0, 0, image, replace(trace, **changes))  # type: ignore[arg-type]


def test_pictures_outside_are_counted_once_however_often_they_are_asked_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_outcome([record("a", outside=True), record("a", outside=True), record("b", outside=False), record("c")])
    assert capsys.readouterr().err.startswith("cof: 1 of 3 pictures: ")


def test_what_failed_is_tried_again_only_where_it_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    failed = record("a", stop=Stop.FAILED, error="broken", turns=())
    check_outcome([failed, record("b")])
    assert capsys.readouterr().err == "cof: 1 of 2 failed; the same command tries them again; the first: broken\n"
    unread = record("a", stop=Stop.FAILED, error="no picture", turns=(), overviews=(NO_VIEW,))
    check_outcome([unread, record("b")])
    assert capsys.readouterr().err == "cof: 1 of 2 failed; the first: no picture\n"
    with pytest.raises(ModelError, match="^all of 1 questions failed; the same command tries them again; the first: b"):
        check_outcome([failed])


def test_one_arm_that_was_read_is_an_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    silent = [record("a", "<zap>", "direct"), record("b", "<zap>", "direct")]
    check_outcome([*silent, record("a")])
    assert "no turn of 2 questions in the arm direct could be read" in capsys.readouterr().err
    check_outcome([*silent, record("c", arm="direct")])
    assert capsys.readouterr().err == ""
    with pytest.raises(ModelError, match="no turn of 2 questions could be read"):
        check_outcome(silent)
