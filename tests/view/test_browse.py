"""The folder of pages: what is in it, that words of models stay words, and that it works in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from cof.dialects.cof import COF
from cof.geometry import Box, ViewSpec
from cof.loop.run import run
from cof.loop.session import NO_VIEW
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.plain import to_json
from cof.tools.zoom import zooms
from cof.types import Answer, Limits, Question, Stop
from cof.view.browse import ShownTrace, write_pages
from cof.vision import views
from cof.vision.load import load
from tests.browsers import CHROMIUM
from tests.commands import cof
from tests.train.test_traces import write_traces

HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">'
SPEC = ViewSpec(max_pixels=168 * 112)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, list[ShownTrace]]:
    """Two runs over two questions: one zooms and is right, the other says something hostile and is wrong."""
    write_traces(tmp_path)
    first = views.overview((336, 224), SPEC)
    zoom = COF.write(zooms((Box(20, 20, 120, 120),), "it", "Closer."), (first,))
    said = {
        "good": [zoom, COF.write(Answer("B", "I see."), (first,))],
        "bad": [COF.write(Answer("C", HOSTILE), (first,))],
    }
    questions = [Question(str(n), (str(tmp_path / f"{n}.png"),), f"Which one? {HOSTILE}", answer="B") for n in range(2)]
    return {
        name: [
            ShownTrace(question.id, run(ScriptedModel(lines), question, load(question.image), Setting(SPEC)))
            for question in questions
        ]
        for name, lines in said.items()
    }


def test_a_folder_holds_an_index_a_page_a_trace_and_the_traces(
    runs: dict[str, list[ShownTrace]], tmp_path: Path
) -> None:
    index = write_pages(runs, tmp_path / "view")
    made = {file.relative_to(tmp_path / "view").as_posix() for file in (tmp_path / "view").rglob("*.*")}
    pages = {f"{name}/{file}" for name in runs for file in ("1.html", "2.html", "traces.jsonl")}
    assert made == {"index.html", *pages}
    entries = entries_of(index)
    assert [entry["right"] for entry in entries] == [True, True, False, False]
    assert [entry["zooms"] for entry in entries] == [1, 1, 0, 0]
    assert [(entry["id"], entry["picture"], entry["size"]) for entry in entries[:2]] == [
        ("0", "0.png", [336, 224]),
        ("1", "1.png", [336, 224]),
    ]
    assert HOSTILE in entries[0]["question"]
    assert HOSTILE not in index.read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_filters_runs_shows_them_side_by_side_and_runs_nothing_of_theirs(
    runs: dict[str, list[ShownTrace]], tmp_path: Path, page: Page
) -> None:
    page.goto(write_pages(runs, tmp_path / "view").as_uri())
    assert page.title() == "good, bad"
    expect(page.get_by_role("status")).to_have_text("2 of 2 questions")
    expect(page.get_by_text("✓ good: B, 1 zoom", exact=True).first).to_be_visible()
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


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_questions_are_told_apart_and_a_refused_zoom_is_no_zoom(
    runs: dict[str, list[ShownTrace]], tmp_path: Path, page: Page
) -> None:
    """The same words about two pictures, one of them at another resolution; no zoom is allowed."""
    asked, first = runs["good"][0].trace.question, runs["good"][0].trace.overview
    zoom = COF.write(zooms((Box(20, 20, 120, 120),), "it", "Closer."), (first,))
    setting = Setting(SPEC, Limits(zooms=0))
    lines = [zoom, COF.write(Answer("B", "I see."), (first,))]
    trace = run(ScriptedModel(lines), asked, load(asked.image), setting)
    shown = [ShownTrace("0", trace, "asked at 448 px"), replace(runs["good"][1])]
    page.goto(write_pages({"one": shown}, tmp_path / "view").as_uri())
    items = page.locator("#list li")
    expect(items.nth(0).locator(".from")).to_have_text("00.png336 × 224 pxasked at 448 px")
    expect(items.nth(1).locator(".from")).to_have_text("11.png336 × 224 px")
    expect(items.nth(0)).to_contain_text("one: B, 1 refused")
    expect(page.locator("figcaption")).to_have_text(
        "one · right · 1 refused · 0 · 0.png · 336 × 224 px · asked at 448 px"
    )
    frame = page.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="Asked to zoom in on “it”: refused")).to_be_visible()
    page.get_by_label("Search").fill("1.png")
    expect(page.get_by_role("status")).to_have_text("1 of 2 questions")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_of_more_than_two_runs_the_two_that_are_chosen_stand_side_by_side(
    runs: dict[str, list[ShownTrace]], tmp_path: Path, page: Page
) -> None:
    four = runs | {"third": runs["bad"][:1], "fourth": runs["good"]}
    page.goto(write_pages(four, tmp_path / "view").as_uri())
    captions = page.locator("figcaption")
    expect(captions).to_have_count(2)
    expect(captions.nth(1)).to_contain_text("bad · wrong")
    page.get_by_label("Right page").select_option("fourth")
    expect(captions.nth(1)).to_contain_text("fourth · right")
    page.get_by_label("Left page").select_option("third")
    expect(captions.nth(0)).to_contain_text("third · wrong")
    page.keyboard.press("Escape")
    page.keyboard.press("j")  # the third run was not asked the second question
    expect(captions).to_have_count(1)
    expect(captions).to_contain_text("fourth")


def test_two_runs_of_one_name_are_two_runs(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "run").mkdir(parents=True)
        lines = [json.dumps({"id": shown.key, "trace": to_json(shown.trace)}) + "\n" for shown in runs["good"]]
        (tmp_path / name / "run" / "traces.jsonl").write_text("".join(lines))
    command = [*VIEW, str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "--out", str(tmp_path / "view")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    entries = entries_of(tmp_path / "view" / "index.html")
    assert [entry["run"] for entry in entries] == ["run", "run", "run (2)", "run (2)"]


def test_no_name_of_a_run_or_an_arm_leads_out_of_the_folder_or_breaks_an_address(
    runs: dict[str, list[ShownTrace]], tmp_path: Path
) -> None:
    odd = ["..", ".", "", "../up", "a/../../../up", "/up", "a#b?c%41", "x\0y", "x\ud800y", "y" * 300]
    odd += ["index.html", "<b>", ".x", "a..b"]
    plain = ["run (2)", "v1.5 focus", "类别", "a-b_c=d,e@f+g"]
    folder = tmp_path / "outer" / "view"
    index = write_pages(dict.fromkeys((*odd, *plain), runs["bad"][:1]), folder)
    entries = entries_of(index)
    assert [entry["run"] for entry in entries] == [*odd, *plain]
    pages = [entry["page"] for entry in entries]
    assert len({*pages}) == len(pages)
    assert all(re.fullmatch(r"run-[0-9a-f]{16}/1\.html", page) for page in pages[: len(odd)])
    assert pages[len(odd) :] == [f"{name}/1.html" for name in plain]
    assert all((folder / page).is_file() for page in pages)
    assert [each.name for each in (tmp_path / "outer").iterdir()] == ["view"]


@pytest.mark.long
def test_a_run_that_lies_above_has_the_name_of_its_folder(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    (tmp_path / "mine" / "below").mkdir(parents=True)
    line = json.dumps({"id": "0", "arm": "../../x", "trace": to_json(runs["bad"][0].trace)})
    (tmp_path / "mine" / "traces.jsonl").write_text(line + "\n")
    done = cof("view", "..", "--out", tmp_path / "made" / "view", cwd=tmp_path / "mine" / "below")
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry["run"] for entry in entries_of(tmp_path / "made" / "view" / "index.html")] == ["mine ../../x"]
    assert [each.name for each in (tmp_path / "made").iterdir()] == ["view"]


def test_a_line_that_is_no_trace_is_named(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text('{"id": "1", "trace": {"version": 2}}\n')
    done = subprocess.run([*VIEW, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "traces.jsonl line 1: this is no trace" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_right_is_what_scoring_takes_for_the_truth_by_any_metric(
    runs: dict[str, list[ShownTrace]], tmp_path: Path
) -> None:
    shown = runs["good"][0]
    said, question = shown.trace.answer or "", replace(shown.trace.question, choices=())
    changed = [
        replace(question, answer="none of it", aliases=(said,)),
        replace(question, answer=said + "!", metric="anls"),
        replace(question, answer=said * 3, metric="anls"),
        replace(question, answer=None, targets=(Box(0, 0, 1, 1),), metric="iou"),
    ]
    traces = [ShownTrace(str(n), replace(shown.trace, question=each)) for n, each in enumerate(changed)]
    failed = replace(shown.trace, turns=(), stop=Stop.FAILED, error="broken")
    index = write_pages({"one": [*traces, ShownTrace("4", failed)]}, tmp_path / "view").read_text()
    assert re.findall(r'"right": (\w+)', index) == ["true", "true", "false", "false", "null"]
    pages = [(tmp_path / "view" / "one" / f"{n}.html").read_text() for n in range(1, 6)]
    marks = [re.findall(r'class="mark".*(Right|Wrong)', page) for page in pages]
    assert marks == [["Right"], ["Right"], ["Wrong"], ["Wrong"], []]


def entries_of(index: Path) -> list[dict[str, Any]]:
    (data,) = re.findall(r'id="data">(.*?)</script>', index.read_text(), re.S)
    found: list[dict[str, Any]] = json.loads(data)
    return found


@pytest.mark.parametrize("how", ["gone", "damaged", "another size", "no picture"])
def test_a_picture_that_cannot_be_read_spoils_its_own_page_alone(
    runs: dict[str, list[ShownTrace]], tmp_path: Path, how: str
) -> None:
    picture, reasons = tmp_path / "0.png", list[str]()
    if how == "gone":
        picture.unlink()
    elif how == "damaged":
        picture.write_bytes(picture.read_bytes()[:80])
    elif how == "another size":
        Image.new("RGB", (400, 400)).save(picture)
    else:
        picture.write_text("hello")
    index = write_pages(runs, tmp_path / "view", reasons.append)
    entries = entries_of(index)
    assert [bool(entry["missing"]) for entry in entries] == [True, False, True, False]
    assert reasons == [entry["missing"] for entry in entries if entry["missing"]]
    for entry in entries:
        page = (tmp_path / "view" / entry["page"]).read_text()
        assert ("Grey is in the place of the picture" in page) == bool(entry["missing"])
        assert "I see." in page or entry["run"] == "bad"


def test_a_question_that_could_not_be_asked_has_a_page(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    """What an evaluation records of a picture that it could not read: no turns, an overview of one pixel."""
    shown = runs["good"][0]
    trace = replace(shown.trace, overviews=(NO_VIEW,), turns=(), stop=Stop.FAILED, error="it cannot be decoded")
    trace = replace(trace, question=replace(trace.question, images=(str(tmp_path / "none.png"),)))
    index = write_pages({"one": [ShownTrace("0", trace), runs["good"][1]]}, tmp_path / "view")
    assert [bool(entry["missing"]) for entry in entries_of(index)] == [True, False]
    page = (tmp_path / "view" / "one" / "1.html").read_text()
    assert "does not exist" in page
    assert "it cannot be decoded" in page
    assert "The model was not asked" in page
    assert "Saw the whole picture" not in page


VIEW = [sys.executable, "-m", "cof", "view"]


@pytest.mark.parametrize("folder", ["data", "elsewhere", "runs/mine"])
@pytest.mark.parametrize("image", ["data/red.png", "red.png"])
def test_runs_are_viewed_from_any_folder(
    runs: dict[str, list[ShownTrace]], tmp_path: Path, folder: str, image: str
) -> None:
    """A run beside its data recorded the picture relative to the folder that both lie in, or to its own."""
    run = tmp_path / "runs" / "mine"
    for made in (run, tmp_path / "elsewhere", tmp_path / "data"):
        made.mkdir(parents=True, exist_ok=True)
    picture = tmp_path / image if image.startswith("data") else run / image
    Image.new("RGB", (336, 224), "red").save(picture)
    trace = runs["good"][0].trace
    trace = replace(trace, question=replace(trace.question, images=(image,)))
    (run / "traces.jsonl").write_text(json.dumps({"id": "0", "trace": to_json(trace)}) + "\n")
    done = subprocess.run(
        [*VIEW, str(run), "--out", str(tmp_path / "view")], capture_output=True, text=True, cwd=tmp_path / folder
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry["missing"] for entry in entries_of(tmp_path / "view" / "index.html")] == [""]


def test_a_picture_that_is_in_no_folder_is_counted_on_stderr(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    found = [runs["good"][0].trace, runs["good"][1].trace]
    found[0] = replace(found[0], question=replace(found[0].question, images=("x" * 5000,)))
    file = tmp_path / "traces.jsonl"
    file.write_text("".join(json.dumps(to_json(trace)) + "\n" for trace in found))
    done = subprocess.run([*VIEW, str(file), "--out", str(tmp_path / "view")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("1 without a picture; the first: picture 'xxx")
    assert "2 traces in" in done.stdout


def test_one_file_asked_about_at_two_resolutions_is_two_pictures(
    runs: dict[str, list[ShownTrace]], tmp_path: Path
) -> None:
    whole, question = runs["bad"][0], runs["bad"][0].trace.question
    small = run(ScriptedModel(["<answer>C</answer>"]), question, load(question.image).resize((168, 112)), Setting(SPEC))
    shown = [replace(whole, cell="asked at 336 px"), ShownTrace("0", small, "asked at 168 px")]
    entries = entries_of(write_pages({"one": shown}, tmp_path / "view"))
    assert [entry["missing"] for entry in entries] == ["", ""]
    assert [entry["size"] for entry in entries] == [[336, 224], [168, 112]]
    assert [entry["cell"] for entry in entries] == ["asked at 336 px", "asked at 168 px"]
    wholes = [
        min(re.findall(r"data:image/jpeg;base64,[\w+/=]+", (tmp_path / "view" / entry["page"]).read_text()), key=len)
        for entry in entries
    ]
    assert wholes[0] != wholes[1]


def test_a_zoom_that_was_not_shown_is_counted_as_refused(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    asked, first = runs["good"][0].trace.question, runs["good"][0].trace.overview
    lines = [
        COF.write(zooms((Box(20, 20, 120, 120),), "it", "Closer."), (first,)),
        COF.write(Answer("B", "I see."), (first,)),
    ]
    trace = run(ScriptedModel(lines), asked, load(asked.image), Setting(SPEC, Limits(zooms=0)))
    found = entries_of(write_pages({"one": [ShownTrace("0", trace), runs["good"][1]]}, tmp_path / "view"))
    assert [(entry["zooms"], entry["refused"]) for entry in found] == [(0, 1), (1, 0)]


def test_what_is_not_scored_says_so(runs: dict[str, list[ShownTrace]], tmp_path: Path) -> None:
    shown = runs["good"][0]
    unknown = ShownTrace("1", replace(shown.trace, question=replace(shown.trace.question, answer=None)))
    index = write_pages({"one": [unknown]}, tmp_path / "view")
    assert '"right": null' in index.read_text()
    assert "runs differ" not in index.read_text()
