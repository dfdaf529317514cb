"""The examples for people: each is short, runs from any folder, and gives what it says."""

from __future__ import annotations

import json
import random
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cof.probe.pictures import draw
from tests.models.remote.endpoints import Reply, listening, models
from tests.probe.seeing import Seeing, thousandths

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOK: dict[str, Any] = json.loads((EXAMPLES / "ask_trace_page.ipynb").read_text())
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
MOST_LINES = 39
ANSWER = (EXAMPLES / "plaza.answer").read_text().strip()

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs an example in an empty folder, and gives what it and its processes print."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def play(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capfd.readouterr().out

    return play


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_an_example_is_short_and_is_in_the_documents(script: Path) -> None:
    assert len(script.read_text().splitlines()) <= MOST_LINES
    assert f'--8<-- "examples/{script.name}"' in (ROOT / "docs" / "examples.md").read_text()


def test_a_model_of_your_own_is_shown_the_crop_that_it_named(run: Run) -> None:
    assert run("own_model.py") == "its mean brightness is 196 of 255\n"


def test_a_policy_of_your_own_shows_the_quarters(run: Run, tmp_path: Path) -> None:
    draw((1600, 1200), "red", random.Random(1)).image.save(tmp_path / "photo.png")
    with listening(lambda _: Reply("<answer>red</answer>")) as server:
        server.listing = models("some-model")
        said = run("own_policy.py", "photo.png", "What colour is it?", server.url)
    assert said == "4 crops; answer red\n"


def test_a_dialect_of_your_own_is_read(run: Run) -> None:
    looked, answer = run("own_dialect.py").splitlines()
    assert looked.startswith("looked at Box(x0=864.0, y0=864.0, ")
    assert answer == "answer    EXIT"


def test_a_photograph_is_asked_about_behind_an_endpoint(run: Run, tmp_path: Path) -> None:
    draw((1600, 1200), "red", random.Random(1)).image.save(tmp_path / "photo.png")
    with listening(Seeing(thousandths, looks="the sign say")) as server:
        server.listing = models("some-model")
        said = run("ask_a_picture.py", "photo.png", "What does the sign say?", server.url)
    assert said.startswith("looked at Box(")
    assert said.endswith("answer    red\n")
    assert "<html" in (tmp_path / "trace.html").read_text()


@pytest.mark.long
def test_a_picture_is_asked_about_without_an_endpoint(run: Run) -> None:
    assert run("ask_a_picture.py").endswith(f"answer    {ANSWER}\n")


@pytest.mark.long
def test_questions_of_your_own_are_evaluated(run: Run) -> None:
    first = run("evaluate_own_questions.py")
    assert "own: 100% of 2 right, 1.5 zooms each\n" in first
    assert run("evaluate_own_questions.py").splitlines()[-2:] == first.splitlines()[-2:]


@pytest.mark.long
def test_data_is_built_and_looked_at(run: Run, tmp_path: Path) -> None:
    said = run("build_data.py")
    assert "user: <image>" in said
    assert "<answer>" in said
    assert (tmp_path / "runs" / "own-data" / "pages" / "index.html").is_file()


@pytest.mark.long
def test_the_notebook_runs_cell_by_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook does: one set of names, in the folder of the picture."""
    for name in ("plaza.jpg", "plaza.txt"):
        shutil.copy(EXAMPLES / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in CELLS:
        exec(compile(cell, "cell", "exec"), names)
    assert names["trace"].answer == ANSWER
    assert "<html" in (tmp_path / "trace.html").read_text()


def test_the_notebook_is_a_notebook_without_outputs() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    assert sum(len(cell.splitlines()) for cell in CELLS) <= MOST_LINES
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
