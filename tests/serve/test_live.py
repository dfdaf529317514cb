"""The page at `/` in a real browser: ask, watch the steps arrive, open a crop."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import CHROMIUM
from tests.serve.conftest import start
from tests.serve.test_api import ANSWER, EXAMPLES, QUESTION

WATCHER = """
new MutationObserver(() => (window.seen ??= []).push(document.querySelectorAll("#steps li").length))
  .observe(document.getElementById("steps"), { childList: true })
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def ask(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Picture", exact=True).set_input_files(EXAMPLES / "plaza.jpg")
    page.get_by_label("Question").fill(QUESTION)
    page.evaluate(WATCHER)
    page.get_by_role("button", name="Ask").click()


def test_the_steps_arrive_one_by_one(page: Page, url: str) -> None:
    ask(page, url)
    expect(page.get_by_role("status")).to_contain_text("answered, ", timeout=240_000)
    steps = page.get_by_role("list").get_by_role("listitem")
    assert steps.count() >= 3
    assert page.evaluate("window.seen")[-1] == steps.count()
    assert len(page.evaluate("window.seen")) >= 2
    assert steps.last.locator(".answer").inner_text() == ANSWER
    assert page.locator("#boxes g").count() == page.get_by_role("button", name="Open the crop").count() >= 2


def test_a_crop_opens_and_closes_by_keyboard(page: Page, url: str) -> None:
    ask(page, url)
    crop = page.get_by_role("button", name="Open the crop").first
    crop.focus()
    expect(page.locator("#boxes g.lit")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.locator("dialog canvas").evaluate("one => one.width") > 100
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_trace_is_saved_and_a_phone_is_wide_enough(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    ask(page, url)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the trace").click(timeout=240_000)
    assert ANSWER in Path(download.value.path()).read_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_what_is_no_picture_is_said(page: Page, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    page.goto(url)
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "a.png")
    expect(page.get_by_role("alert")).to_contain_text("want a JPEG, PNG or WEBP")
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()


def test_a_server_with_a_key_asks_for_it(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    server, url = start("--key-file", str(tmp_path / "key"))
    page = browser.new_page()
    try:
        ask(page, url)
        expect(page.get_by_role("alert")).to_contain_text("the key is missing or wrong")
        page.get_by_label("Key", exact=True).fill("secret")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_contain_text("answered, ", timeout=240_000)
    finally:
        page.close()
        server.kill()
        server.wait()
