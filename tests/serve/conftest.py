"""One server with the embedded model and one browser for the tests of this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.patience import PATIENCE
from tests.test_served import free_port, wait_for

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is seen in a browser takes long."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.long)


def start(*options: str) -> tuple[subprocess.Popen[bytes], str]:
    """`cof serve` on a free port: its process, and its address once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "cof", "serve", "--port", str(port), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/health", server)
    return server, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    server, url = start("--waiting", "64", "--limit", "turns=4")
    yield url
    server.terminate()
    assert server.wait(30) in (0, -15)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one file at a time: while it lives, its event loop runs in this thread."""
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may not complain."""
    page, said = browser.new_page(), list[str]()
    page.set_default_timeout(1000 * PATIENCE)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.close()
    assert said == []
