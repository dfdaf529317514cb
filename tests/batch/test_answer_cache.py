"""The answers that jobs share: found by pictures, words and settings, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cof.batch.cache import AnswerCache
from cof.errors import InputError
from cof.loop.run import run
from cof.models.scripted import ScriptedModel
from cof.plain import to_json
from cof.types import Question

QUESTION = Question("1", ("a.png",), "What?", ("x", "y"))
PICTURE = [b"hash"]


def test_a_question_is_found_under_another_name_and_path(tmp_path: Path) -> None:
    trace = run(ScriptedModel(["<answer>B</answer>"]), QUESTION, Image.new("RGB", (40, 30)))
    first, second = AnswerCache(tmp_path, {"model": "m"}), AnswerCache(tmp_path, {"model": "m"})
    other = replace(QUESTION, id="2", images=("b.png",), answer="x", category="c")
    assert first.find(first.key(QUESTION, PICTURE), QUESTION) is None
    first.keep(first.key(QUESTION, PICTURE), to_json(trace))
    first.keep(first.key(QUESTION, PICTURE), to_json(replace(trace, id="later")))
    found = second.find(second.key(other, PICTURE), other)
    assert found is not None
    assert (found.id, found.question, found.answer) == ("2", other, "B")


def test_another_picture_word_or_setting_is_another_answer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, {"model": "m"})
    key = cache.key(QUESTION, PICTURE)
    others = [
        cache.key(QUESTION, [b"other"]),
        cache.key(QUESTION, [b"hash", b"hash"]),
        cache.key(replace(QUESTION, text="Where?"), PICTURE),
        cache.key(replace(QUESTION, choices=("y", "x")), PICTURE),
        cache.key(replace(QUESTION, system="Be brief."), PICTURE),
        AnswerCache(tmp_path, {"model": "n"}).key(QUESTION, PICTURE),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_a_cache_that_fails_later_costs_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = run(ScriptedModel(["<answer>B</answer>"]), QUESTION, Image.new("RGB", (40, 30)))
    cache = AnswerCache(tmp_path, {})
    cache.keep("damaged", {"no": "trace"})
    assert cache.find("damaged", QUESTION) is None
    cache.close()
    cache.keep("key", to_json(trace))
    assert cache.find("key", QUESTION) is None
    assert capsys.readouterr().err.count("the job goes on without what it cannot share") == 1


def test_a_place_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "answers.sqlite").write_text("no database, but long enough to be read as one" * 20)
    for folder in ("file", "broken"):
        with pytest.raises(InputError, match="cannot be used"):
            AnswerCache(tmp_path / folder, {})
