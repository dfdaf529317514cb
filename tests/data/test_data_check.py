"""What a file holds before anything is trained or asked: counts, reasons, and a good row in 80 columns."""

from __future__ import annotations

import json

import pytest

from cof.data.benchmarks.left_out import LeftOut
from cof.data.check import check, in_columns
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.geometry import Shown
from tests.data.benchmarks.copies import picture
from tests.train.test_traces import write_traces

ASKED = {"question": "What colour? " + "Look well. " * 20, "image": "p.png", "answer": "red"}


def write(folder, *rows, name="mine.jsonl"):
    (folder / "p.png").write_bytes(picture(form="PNG"))
    (folder / "cut.jpg").write_bytes(picture()[:300])
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def test_questions(tmp_path):
    left_out, seen = LeftOut(), []
    file = write(tmp_path, ASKED | {"image": "cut.jpg"}, ASKED, ASKED | {"question": ""}, ASKED)
    found = check(file, COF, left_out, lambda: seen.append(1))
    assert (found.kind, found.good, len(seen)) == ("questions", 2, 2)
    assert (len(left_out), found.question.answer) == (2, "red")
    assert "cut.jpg" in left_out.summary()  # every picture is opened
    assert [message.role for message in found.messages] == ["system", "user"]
    lines = in_columns(found.messages, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "user      [picture 140 x 112]" in lines


def test_conversations_as_a_trainer_sees_them(tmp_path):
    call = '<think>t</think><grounding>{"bbox_2d": [0, 0, 0.5, 0.5], "source": "original_image"}</grounding>'
    texts = ["<image>\nWhich?", call, "<image>", "<think>t</think><answer>red</answer>"]
    said = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    file = write(
        tmp_path, {"messages": said, "images": ["p.png", "p.png"]}, {"messages": said[:2], "images": ["p.png"]}
    )
    left_out = LeftOut()
    found = check(file, dialect_of("mini-o3"), left_out)
    assert (found.kind, found.good, len(left_out)) == ("trajectories", 1, 1)
    assert "line 2: ends without an answer" in left_out.summary()
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert sum(isinstance(part, Shown) for message in found.messages for part in message.parts) == 2
    assert call.partition("{")[0] in in_columns(found.messages, 80)
    with pytest.raises(InputError, match=r"no row can be used; 2 of 2 rows .* not of the dialect cof"):
        check(file, COF, LeftOut())


def test_a_builds_traces(tmp_path):
    file, left_out = write_traces(tmp_path), LeftOut()
    found = check(file, COF, left_out)
    assert (found.kind, found.good, len(left_out)) == ("trajectories", 2, 0)
    (tmp_path / "1.png").unlink()
    assert check(file, COF, left_out).good == 1
    assert "line 2: picture" in left_out.summary()


def test_no_usable_row_says_the_first_reasons(tmp_path):
    with pytest.raises(InputError, match=r"no row can be used; 5 of 5 rows .*line 1: has no 'question'.*and 2 more"):
        check(write(tmp_path, *[{"image": "p.png"}] * 5), COF, LeftOut())
