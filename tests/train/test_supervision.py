"""Supervised examples from outside the package: a recipe names them by their Python path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cof.config import load_config
from cof.errors import InvalidConfig
from cof.nano.recipes import NanoSupervisedConfig
from cof.train.recipes import SupervisedConfig, supervised_recipe
from tests.tiny import write_checkpoint

ROOT = Path(__file__).parents[2]
OTHERS = '''
"""Supervision by one conversation without a picture, again and again."""
from dataclasses import dataclass
from typing import ClassVar

from cof.train.recipes import SupervisedConfig


@dataclass(frozen=True)
class Recipe(SupervisedConfig):
    source: ClassVar[str] = "supervision_of_others:supervise"
    answer: str = "red"


def supervise(config, tokenizer, processor):
    from cof.data import sequences
    from cof.dialects.base import Message
    from cof.models.local.model import Card
    from cof.train.sft import Supervised

    said = Message("user", ("What?",)), Message("assistant", (config.answer,))
    row = sequences.row([sequences.Dialogue(said)], tokenizer, 28)
    return Supervised(lambda steps: sequences.collate([row], tokenizer.pad_token_id), Card(config.spec))
'''


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "supervision_of_others.py").write_text(OTHERS)
    file = tmp_path / "sft.toml"
    file.write_text(
        'model = "m"\nsupervision = "supervision_of_others:Recipe"\nanswer = "blue"\nsteps = 4\nsave_every = 1\nwarmup = 0\n'
    )
    return file


def test_a_recipe_names_who_makes_its_examples(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(recipe.parent))
    found = load_config(supervised_recipe(recipe), recipe)
    assert isinstance(found, SupervisedConfig)
    assert (found.source, getattr(found, "answer", "")) == ("supervision_of_others:supervise", "blue")
    assert supervised_recipe(recipe, ["seed=1", "supervision=nano"]) is NanoSupervisedConfig
    assert supervised_recipe(ROOT / "recipes" / "cof-7b" / "sft.toml") is SupervisedConfig
    for name, told in (
        ("lessons", "unknown supervision 'lessons'; want one of nano, traces"),
        ("os:sep", "is no recipe"),
    ):
        with pytest.raises(InvalidConfig, match=told):
            supervised_recipe(recipe, [f"supervision={name}"])


@pytest.mark.long
def test_examples_from_outside_the_package_are_trained_on(recipe: Path, tmp_path: Path) -> None:
    model, out = write_checkpoint("qwen2_5_vl", tmp_path / "checkpoint"), tmp_path / "run"
    command = ["train", "sft", "--config", str(recipe), "--out", str(out), "--set", f"model={model}"]
    done = subprocess.run(
        [sys.executable, "-m", "cof", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert json.loads((out / "manifest.json").read_text())["answer"] == "blue"
