"""Where a model is by its name, and that a wrong name takes no half minute. The hub is a server on loopback, or none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from cof.errors import ModelError
from cof.models.named import EMBEDDED, embedded_folder, place_of, source_of
from tests.models.remote.endpoints import by_turn, listening
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub, an empty cache, and a working folder of our own."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def cached(cache: Path, owner: str, model: str) -> Path:
    """A model as the hub's client keeps it."""
    place = cache / f"models--{owner}--{model}"
    folder = place / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_model_of_the_package(name: str) -> None:
    assert source_of(name) == str(embedded_folder(name))
    assert (embedded_folder(name) / "config.json").is_file()


def test_a_folder_is_itself(tmp_path: Path) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    assert place_of("own/model") == "own/model"
    assert place_of(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["runs/packed", "own/none", "./none", "../none", "~/none", "none", "a/b/c", "/none", "bad--owner/x", "a b/c", ""],
)
def test_a_path_is_not_looked_for_on_the_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    with listening(by_turn()) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        with pytest.raises(ModelError, match="there is no such folder; want 'nano'"):
            source_of(name)
        assert not server.asked


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-VL-3B-Instruct", "some/id", "o_1/m.2-x"])
def test_a_hub_that_answers_is_left_to_transformers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(by_turn()) as server:  # it answers HEAD with an error, which is an answer
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        assert source_of(name) == name


def test_without_a_hub_there_is_one_line() -> None:
    with pytest.raises(ModelError) as caught:
        source_of("some/id")
    told = f"cannot load model some/id: there is no such folder, and the hub at {NOBODY} cannot be reached; want 'nano'"
    assert str(caught.value).startswith(told)


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"is switched off \(HF_HUB_OFFLINE\)"):
        source_of("some/id")


def test_without_a_hub_its_cache_is_used(tmp_path: Path) -> None:
    folder = cached(tmp_path / "cache", "some", "id")
    assert Path(source_of("some/id")) == folder
    with pytest.raises(ModelError, match="cannot be reached"):
        source_of("some/other")


def test_a_wrong_name_imports_no_torch() -> None:
    code = (
        "import sys\nfrom cof.models.opening import ModelRef, open_model\n"
        "try: open_model(ModelRef('runs/none'))\nexcept Exception as e: print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print('torch' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert "there is no such folder" in done.stdout
