"""The server on loopback, with the embedded model, asked by the official client for Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.serve.test_api import ANSWER, EXAMPLES, QUESTION

pytestmark = pytest.mark.long

HERE = Path(__file__).parent / "node"
INSTALL = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]


@pytest.fixture(scope="module")
def told(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client was told: the `whole` reply, and the same question's in `pieces`."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    folder = shutil.copytree(HERE, tmp_path_factory.mktemp("node") / "client")
    subprocess.run(INSTALL, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    command = ["node", "client.js", url, str(EXAMPLES / "plaza.jpg"), QUESTION]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_node_gets_the_answer(told: dict[str, Any]) -> None:
    choice = told["whole"]["choices"][0]
    assert choice["message"]["content"] == ANSWER
    assert choice["finish_reason"] == "stop"
    assert told["whole"]["cof"]["zooms"] >= 1


def test_node_gets_the_answer_in_pieces(told: dict[str, Any]) -> None:
    deltas = [piece["choices"][0]["delta"] for piece in told["pieces"]]
    assert "".join(delta.get("content", "") for delta in deltas) == ANSWER
    assert sum("reasoning_content" in delta for delta in deltas) >= 2
    assert told["pieces"][-1]["choices"][0]["finish_reason"] == "stop"
