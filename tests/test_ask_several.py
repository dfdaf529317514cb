"""Several pictures and questions in one start of `cof ask`: what is asked, in which order it is answered, and what fails."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof.cli.asking import AnsweredQuestion, Questionnaire, ask_all, is_single, pictures_in, questions_in, split_words
from cof.cli.several import ask_several
from cof.data.outside import OUTSIDE
from cof.errors import InputError
from cof.loop.setting import Setting
from cof.models.base import Conversation, ModelInfo
from cof.models.scripted import ScriptedModel
from cof.vision.load import LoadLimits
from tests.commands import cof
from tests.models.remote.endpoints import ANSWER, Reply, by_turn, listening, models
from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
QUESTIONS = ["What is it?", "What colour is it?"]
CHOICES = ("red", "blue")
TWO_TURNS = "<answer>red</answer>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of which is cut off, and what is no picture."""
    pictures = tmp_path / "pictures"
    (pictures / "below").mkdir(parents=True)
    for n, name in enumerate(("c.png", "a.jpg")):
        Image.new("RGB", (300 + n, 200), "red").save(pictures / name)
    (pictures / "b.png").write_bytes((pictures / "c.png").read_bytes()[:60])
    (pictures / "notes.txt").write_text("hello")
    (pictures / ".hidden").write_text("hello")
    Image.new("RGB", (30, 20)).save(pictures / "below" / "d.png")
    return pictures


@pytest.mark.parametrize(
    ("words", "further", "images", "questions"),
    [
        (["a.jpg", "What?"], [], ["a.jpg"], ["What?"]),
        (["a.jpg", "b.jpg", "What?"], [], ["a.jpg", "b.jpg"], ["What?"]),
        (["a.jpg", "What?"], ["Why?"], ["a.jpg"], ["What?", "Why?"]),
        (["a.jpg"], ["Why?"], ["a.jpg"], ["Why?"]),
        (["a.jpg", "b.jpg"], ["Why?"], ["a.jpg", "b.jpg"], ["Why?"]),
        (["a.jpg", "-"], ["Why?"], ["a.jpg", "-"], ["Why?"]),
        (["a.jpg", "https://example.org/b"], ["Why?"], ["a.jpg", "https://example.org/b"], ["Why?"]),
        (["a.jpg", "这是什么?"], ["Why?"], ["a.jpg"], ["这是什么?", "Why?"]),
        (["a.jpg", "Is it e.g. red or blue?"], ["Why?"], ["a.jpg"], ["Is it e.g. red or blue?", "Why?"]),
        (["a.jpg", str(ROOT / "docs")], ["Why?"], ["a.jpg", str(ROOT / "docs")], ["Why?"]),
    ],
)
def test_words_are_pictures_and_a_question(
    words: list[str], further: list[str], images: list[str], questions: list[str]
) -> None:
    assert split_words(words, further) == (images, questions)


def test_a_question_is_missing() -> None:
    with pytest.raises(InputError, match=r"'a.jpg' is all that was given; want .* cof ask PICTURE... QUESTION"):
        split_words(["a.jpg"], [])


def test_questions_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text("What?\n\n  Why?  \n")
    assert questions_in(file) == ["What?", "Why?"]
    assert questions_in(None) == []
    file.write_text("\n")
    with pytest.raises(InputError, match="holds no question"):
        questions_in(file)
    with pytest.raises(InputError, match="cannot be read"):
        questions_in(tmp_path / "none")
    file.write_text("What?\n", encoding="utf-8-sig")
    assert questions_in(file) == ["What?"]
    file.write_text("What?\n", encoding="utf-16")
    with pytest.raises(InputError, match="it is not UTF-8"):
        questions_in(file)


def test_a_picture_in_the_place_of_the_question_is_no_question(folder: Path) -> None:
    for last in (folder / "a.jpg", folder):
        with pytest.raises(InputError, match=r"is a file or a folder; want a question last"):
            split_words([str(folder / "c.png"), str(last)], [])


def test_no_name_is_not_this_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert pictures_in([""], LoadLimits()) == [""]
    assert is_single([""], ["What?"])
    assert split_words(["a.jpg", ""], ["Why?"]) == (["a.jpg"], ["", "Why?"])


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii"])
def test_names_and_questions_that_the_output_cannot_take_are_escaped(folder: Path, encoding: str) -> None:
    name, text = os.fsdecode(b"b\xffd.png"), "Größe \N{EARTH GLOBE EUROPE-AFRICA}?"
    (folder / name).write_bytes((folder / "c.png").read_bytes())
    with listening(by_turn(ANSWER)) as server:
        options = ["--url", server.url, "--model", "m", "--dialect", "cof"]
        command = [sys.executable, "-m", "cof", "ask", name, "c.png", text, *options]
        environment = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C.UTF-8"}
        for rest in ([], ["--json"]):
            done = subprocess.run([*command, *rest], capture_output=True, cwd=folder, env=environment)
            assert (done.returncode, done.stderr) == (0, b"")
            if rest:
                found = [json.loads(line) for line in done.stdout.decode().splitlines()]
                assert [each["image"] for each in found] == [name, "c.png"]
                assert {each["question"] for each in found} == {text}
        written = subprocess.run(
            [*command[:5], text, *options, "--trace", "t.json"], capture_output=True, cwd=folder, env=environment
        )
    assert (written.returncode, written.stderr) == (0, b"")
    assert json.loads((folder / "t.json").read_text())["question"]["images"][0] == str(folder / name)


def test_a_folder_is_its_pictures_and_names_what_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = pictures_in(["x.jpg", str(folder)], LoadLimits())
    assert found == ["x.jpg", str(folder / "a.jpg"), str(folder / "b.png"), str(folder / "c.png")]
    said = capsys.readouterr().err
    assert said.startswith("cof: left out of the folders: 1 file that cannot be read as pictures; the first: picture ")
    assert "notes.txt" in said
    assert not is_single([str(folder / "below")], ["What?"])
    assert is_single([str(folder / "a.jpg")], ["What?"])
    (folder / "none").mkdir()
    with pytest.raises(InputError, match="holds no picture that can be read"):
        pictures_in([str(folder / "none")], LoadLimits())
    with pytest.raises(InputError, match="given twice"):
        pictures_in(["-", "-"], LoadLimits())


class Backwards:
    """A model that takes in all conversations, and answers the last one first."""

    info = ModelInfo("backwards")

    def converse(self, conversations: Iterable[Conversation]) -> None:
        ScriptedModel([TWO_TURNS]).converse(list(conversations)[::-1])


@pytest.mark.parametrize("model", [ScriptedModel([TWO_TURNS]), Backwards()])
def test_answers_come_in_the_order_of_the_questions_and_a_bad_picture_spoils_its_own(model: Any, folder: Path) -> None:
    images = [str(folder / name) for name in ("a.jpg", "none.jpg", "b.png", "c.png")]
    found = list[AnsweredQuestion]()
    ask_all(model, Questionnaire(images, QUESTIONS, CHOICES), Setting(), found.append)
    assert [(each.asked.image, each.asked.text) for each in found] == [(i, q) for i in images for q in QUESTIONS]
    assert found[0].trace.question.choices == CHOICES
    assert [each.trace.answer for each in found] == ["red", "red", None, None, None, None, "red", "red"]
    assert [bool(each.trace.error) for each in found] == [each.trace.answer is None for each in found]
    assert "does not exist" in str(found[2].trace.error)
    assert "cannot be decoded" in str(found[4].trace.error)
    assert found[0].picture is found[1].picture


def test_several_answers_have_headings_pages_and_a_count_of_failures(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text(QUESTIONS[1])
    pages = tmp_path / "pages"
    with listening(by_turn(ANSWER)) as server:
        server.listing = models("m")
        options = ["--url", server.url, "--dialect", "cof", "--questions", tmp_path / "q.txt", "--trace", pages]
        done = cof("ask", folder, QUESTIONS[0], *options)
    assert len(server.asked) == 4
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cof: 2 of 6 questions failed; the first: picture '")
    headings = [f"{folder / name}: {text}" for name in ("a.jpg", "b.png", "c.png") for text in QUESTIONS]
    blocks = done.stdout.split("\n\n")
    assert [block.splitlines()[0] for block in blocks[:-1]] == headings
    assert [block.splitlines()[1].split()[:2] for block in blocks[:2]] == [["answer", "B"]] * 2
    assert all("error " in block for block in blocks[2:4])
    assert blocks[-1] == f"6 pages in {pages / 'index.html'}\n"
    kept = [json.loads(line) for line in (pages / "answers" / "traces.jsonl").read_text().splitlines()]
    assert [each["id"] for each in kept] == [each["trace"]["id"] for each in kept] == list("123456")
    unread = (pages / "answers" / "3.html").read_text()
    assert "The picture cannot be read." in unread
    assert unread.count("cannot be decoded") == 1


def test_each_of_several_answers_says_whether_its_picture_is_outside(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flat pictures are outside what cof-nano knows; of a model that claims no world nothing is said."""
    images = [str(folder / "a.jpg"), str(folder / "c.png")]
    for name, count in (("nano", 2), ("a 7B model", 0)):
        model = ScriptedModel([TWO_TURNS], ModelInfo(name))
        ask_several(model, Questionnaire(images, QUESTIONS[:1], ()), Setting(), False, None)
        assert " ".join(capsys.readouterr().out.split()).count(OUTSIDE) == count


def test_several_answers_are_a_line_of_json_each(folder: Path) -> None:
    with listening(by_turn(ANSWER)) as server:
        options = ["--url", server.url, "--model", "m", "--dialect", "cof", "--json"]
        done = cof("ask", folder / "a.jpg", folder / "b.png", "-q", "What?", *options)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["image"], each["question"], each["answer"]) for each in found] == [
        (str(folder / "a.jpg"), "What?", "B"),
        (str(folder / "b.png"), "What?", None),
    ]
    assert found[0]["error"] is None
    assert "cannot be decoded" in found[1]["error"]
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_one_picture_and_one_question_print_no_heading(folder: Path, options: list[str]) -> None:
    with listening(by_turn(ANSWER)) as server:
        model = ["--url", server.url, "--model", "m", "--dialect", "cof"]
        done = cof("ask", folder / "a.jpg", "What?", *model, *options)
    assert done.stderr == ""
    if options:
        assert not {"image", "question"} & {*json.loads(done.stdout)}
    else:
        want = r"answer     B\nstop       answer, 0 zooms, \d+ visual tokens, \d\.\d s\n"
        assert re.fullmatch(want, done.stdout)


def test_a_file_for_several_traces_is_refused_before_a_model_is_opened(folder: Path, tmp_path: Path) -> None:
    done = cof("ask", folder, "What?", "--url", "http://127.0.0.1:9/v1", "--trace", tmp_path / "t.html")
    assert done.returncode == 2
    assert "is one file for 3 answers; want a folder" in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_ctrl_c_keeps_what_was_printed(folder: Path, tmp_path: Path) -> None:
    """The second picture takes long; the first is printed, and has its page."""

    def say(body: dict[str, Any]) -> Reply:
        time.sleep(3 * ("colour" in json.dumps(body)))
        return Reply(ANSWER)

    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs of a shell ignore it
    with listening(say) as server:
        options = ["--url", server.url, "--model", "m", "--dialect", "cof", "--trace", str(tmp_path / "pages")]
        command = [
            sys.executable,
            "-m",
            "cof",
            "ask",
            str(folder / "a.jpg"),
            QUESTIONS[0],
            "-q",
            QUESTIONS[1],
            *options,
        ]
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding
        )
        assert running.stdout is not None
        first = [running.stdout.readline() for _ in range(3)]
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=PATIENCE)
    assert first[1] == "answer     B\n"
    assert running.returncode == 130
    assert "Traceback" not in said
    assert "1 pages" not in rest
    assert (tmp_path / "pages" / "index.html").exists()


def test_a_terminal_shows_life_first_and_keeps_nothing_of_it(folder: Path) -> None:
    with listening(by_turn(ANSWER)) as server:
        options = ["--url", server.url, "--model", "m", "--dialect", "cof"]
        shown = on_terminal("ask", str(folder / "a.jpg"), "What?", *options)
    assert shown.startswith(b"\r\x1b[Kcof: starting ...")
    assert [line.split()[0] for line in left_of(shown)] == [b"answer", b"stop"]


def test_every_command_shows_life_on_a_terminal() -> None:
    with listening(by_turn(ANSWER)) as server:
        shown = on_terminal("check", "--url", server.url, "--model", "m", "--dialect", "cof")
    assert shown.startswith(b"\r\x1b[Kcof: starting ...")
    assert b"\x1b[Kcof: asking m ..." in shown
    assert not any(b"asking" in line for line in left_of(shown))


def on_terminal(*words: str) -> bytes:
    """What a command writes to a terminal."""
    terminal, end = pty.openpty()
    running = subprocess.Popen([sys.executable, "-m", "cof", *words], stdout=end, stderr=end)
    os.close(end)
    shown = b""
    while part := _read(terminal):
        shown += part
    running.wait()
    os.close(terminal)
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:  # the other side has closed it
        return b""


def left_of(shown: bytes) -> list[bytes]:
    """The lines that stay on the terminal."""
    lines = [line.rpartition(b"\x1b[K")[2].rstrip(b"\r") for line in shown.split(b"\n")]
    return [line for line in lines if line]
