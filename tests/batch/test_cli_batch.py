"""`cof batch` at the command line: what it prints, its exit codes, and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import cof
from tests.models.remote.endpoints import Reply, by_turn, listening, models

ANSWER = "<answer>B</answer>"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    rows = [{"image": "a.png", "question": f"What is {n}?"} for n in range(3)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "in.jsonl"


def test_answers_and_what_they_cost_are_printed_within_80_columns(source: Path, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('currency = "USD"\n[m]\ninput = 1\noutput = 1000000\n')
    with listening(by_turn(ANSWER)) as server:
        server.listing = models("m")
        at = ["--url", server.url, "--model", "m", "--dialect", "cof", "--prices", tmp_path / "prices.toml"]
        done = cof("batch", source, "--out", "run", *at, cwd=tmp_path)
        assert (done.returncode, len(server.asked)) == (0, 3), done.stderr
        again = cof("batch", source, "--out", "run", *at, cwd=tmp_path)
        assert (again.returncode, len(server.asked), again.stdout) == (0, 3, done.stdout)
        other = cof("batch", source, "--out", "run", *at, "--policy", "direct", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "answered  3 of 3 rows, 0 failed"
    assert done.stdout.splitlines()[-1] == "answers   run/answers.jsonl"
    assert "USD" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert (other.returncode, "other settings: setting.policy" in other.stderr) == (2, True)
    viewed = cof("view", tmp_path / "run", "--out", tmp_path / "pages", cwd=tmp_path)
    assert viewed.returncode == 0, viewed.stderr


def test_a_row_that_failed_is_exit_code_1(source: Path, tmp_path: Path) -> None:
    with listening(lambda _: Reply(ANSWER)) as server:
        server.listing = models("m")
        at = ["--url", server.url, "--model", "m", "--dialect", "cof", "--concurrency", "1"]
        with source.open("a") as file:
            file.write('{"image": "none.png", "question": "What?"}\n')
        done = cof("batch", source, "--out", tmp_path / "run", *at)
    lost = f"file {str(source)!r} line 4 names the picture 'none.png', which is not in {str(tmp_path)!r}; "
    lost += "put it there, or give its path relative to the file"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"cof: 1 row failed: its error is in answers.jsonl; the same command tries again; the first: {lost}",
    )
    lines = (tmp_path / "run" / "answers.jsonl").read_text().splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["B", "B", "B", None]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cap", "money=1"], "--cap money=N needs the model's price; want --prices FILE"),
        (["--cap", "tokens=0"], "cap tokens = 0 leaves nothing to do"),
        (["--policy", "oracle"], "needs true boxes"),
        (["--dialect", "none"], "none"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_folder(
    source: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = cof("batch", source, "--out", tmp_path / "run", "--url", "http://127.0.0.1:9/v1", "--model", "m", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_file_without_rows_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n\n")
    done = cof("batch", tmp_path / "in.jsonl", "--out", tmp_path / "run")
    assert (done.returncode, done.stderr) == (2, f"cof: {tmp_path}/in.jsonl has no rows; want a question per line\n")


def test_a_cap_that_was_reached_is_exit_code_1_and_a_larger_one_goes_on(source: Path, tmp_path: Path) -> None:
    """Every answer has one zoom, and one question is asked at a time."""
    zoom = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [5, 5, 30, 30]}}</tool_call>'
    source.write_text(source.read_text() * 6)
    with listening(by_turn(f"<think>Closer.</think>{zoom}", ANSWER)) as server:
        server.listing = models("m")
        at = ["--url", server.url, "--model", "m", "--dialect", "cof", "--concurrency", "1", "--out", tmp_path / "run"]
        done = cof("batch", source, *at, "--cap", "zooms=2")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("cof: the cap on zooms (")
        assert done.stderr.splitlines()[-1].endswith(" rows are left; a larger --cap goes on")
        assert len((tmp_path / "run" / "answers.jsonl").read_text().splitlines()) < 18
        assert cof("batch", source, *at, "--cap", "zooms=100").returncode == 0
    assert len((tmp_path / "run" / "answers.jsonl").read_text().splitlines()) == 18
