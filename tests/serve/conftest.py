"""One server with the embedded model for the tests of this folder, and a browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.browsers import browser, page  # noqa: F401
from tests.test_served import free_port, wait_for


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
