"""The folder of pages: what is in it, that words of models stay words, and that it works in a real browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cof.dialects.cof import COF
from cof.focus.loop import run
from cof.focus.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.serve.browse import Shown, write_pages
from cof.types import Answer, Box, Question, ViewSpec, Zoom
from cof.vision import views
from cof.vision.load import load
from tests.serve.conftest import CHROMIUM
from tests.train.test_traces import write_traces

HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">'
SPEC = ViewSpec(max_pixels=168 * 112)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, list[Shown]]:
    """Two runs over two questions: one zooms and is right, the other says something hostile and is wrong."""
    write_traces(tmp_path)
    first = views.overview((336, 224), SPEC)
    zoom = COF.write(Zoom((Box(20, 20, 120, 120),), "it", "Closer."), first)
    said = {
        "good": [zoom, COF.write(Answer("B", "I see."), first)],
        "bad": [COF.write(Answer("C", HOSTILE), first)],
    }
    questions = [Question(str(n), str(tmp_path / f"{n}.png"), f"Which one? {HOSTILE}", answer="B") for n in range(2)]
    return {
        name: [
            Shown(question.id, run(ScriptedModel(lines), question, load(question.image), Setting(SPEC)))
            for question in questions
        ]
        for name, lines in said.items()
    }


def test_a_folder_holds_an_index_a_page_a_trace_and_the_traces(runs: dict[str, list[Shown]], tmp_path: Path) -> None:
    index = write_pages(runs, tmp_path / "view")
    made = {file.relative_to(tmp_path / "view").as_posix() for file in (tmp_path / "view").rglob("*.*")}
    pages = {f"{name}/{file}" for name in runs for file in ("1.html", "2.html", "traces.jsonl")}
    assert made == {"index.html", *pages}
    (data,) = re.findall(r'id="data">(.*?)</script>', index.read_text(), re.S)
    entries = json.loads(data)
    assert [entry["right"] for entry in entries] == [True, True, False, False]
    assert [entry["zooms"] for entry in entries] == [1, 1, 0, 0]
    assert HOSTILE in entries[0]["question"]
    assert HOSTILE not in index.read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_filters_runs_shows_them_side_by_side_and_runs_nothing_of_theirs(
    runs: dict[str, list[Shown]], tmp_path: Path, page: Page
) -> None:
    page.goto(write_pages(runs, tmp_path / "view").as_uri())
    assert page.title() == "good, bad"
    expect(page.get_by_role("status")).to_have_text("2 of 2 questions")
    expect(page.get_by_text("✓ good: B, 1 zooms").first).to_be_visible()
    expect(page.get_by_text("✗ bad: C, 0 zooms").first).to_be_visible()
    assert page.locator("iframe").count() == 2
    page.get_by_label("Answer").select_option("not scored")
    expect(page.get_by_role("status")).to_have_text("0 of 2 questions")
    page.get_by_label("Answer").select_option("runs differ")
    page.get_by_label("Zooms").select_option("1")
    expect(page.get_by_role("status")).to_have_text("2 of 2 questions")
    page.get_by_label("Search").fill("nowhere")
    expect(page.get_by_role("status")).to_have_text("0 of 2 questions")
    page.get_by_label("Search").fill("which")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#list [aria-current]")).to_have_count(1)
    frame = page.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="Zoomed in")).to_be_visible()
    assert page.title() == "good, bad"


def test_what_is_not_scored_says_so(runs: dict[str, list[Shown]], tmp_path: Path) -> None:
    shown = runs["good"][0]
    unknown = Shown("1", replace(shown.trace, question=replace(shown.trace.question, answer=None)))
    index = write_pages({"one": [unknown]}, tmp_path / "view")
    assert '"right": null' in index.read_text()
    assert "runs differ" not in index.read_text()
