"""Recipes that come with the clone: all are read, the smoke ones run from what the package carries."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cof.cli.steps import line_of
from cof.config import load_config
from cof.errors import InvalidConfig, ModelError
from cof.models.named import EMBEDDED
from cof.nano.recipes import PerceptionConfig
from cof.train.recipes import Recipe, SupervisedConfig, supervised_recipe
from cof.train.reinforce import ReinforceConfig
from cof.train.start import check_start, maker_of

ROOT = Path(__file__).parents[2]
KINDS: dict[str, type[Recipe]] = {"perception": PerceptionConfig, "grpo": ReinforceConfig}
RECIPES = sorted((ROOT / "recipes").glob("*/*.toml"))
SMOKE = [path for path in RECIPES if path.parent.name == "smoke"]
HEAVY = ("torch", "transformers", "trl", "datasets", "peft", "accelerate")


def read(path: Path) -> Recipe:
    return load_config(KINDS.get(path.stem) or supervised_recipe(path), path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_recipe_is_read(path: Path) -> None:
    assert read(path).steps > 0


def test_each_stage_has_a_smoke_recipe_and_the_documents_name_its_command() -> None:
    assert [path.stem for path in SMOKE] == ["grpo", "perception", "sft"]
    page = (ROOT / "docs" / "train.md").read_text()
    for path in SMOKE:
        command = f"cof train {path.stem} --config recipes/smoke/{path.name} --out runs/smoke-{path.stem}"
        assert f"$ {command}\n" in page
        assert f"# {command}\n" in path.read_text()


@pytest.mark.parametrize("path", SMOKE, ids=lambda path: path.stem)
def test_a_smoke_recipe_starts_from_what_the_package_carries(path: Path) -> None:
    recipe = read(path)
    assert recipe.model in EMBEDDED
    check_start(recipe, "")


@pytest.mark.parametrize(
    ("stage", "recipe", "says"),
    [
        (
            "sft",
            "nano/sft.toml",
            "`cof train perception --config {0}/nano/perception.toml --out runs/perception` makes it",
        ),
        (
            "sft",
            "nano/agent.toml",
            "`cof train perception --config {0}/nano/perception.toml --out runs/perception` makes it",
        ),
        ("grpo", "cof-7b/grpo.toml", "`cof train sft --config {0}/cof-7b/sft.toml --out runs/cof-7b` makes it"),
    ],
)
def test_a_recipe_that_needs_an_earlier_stage_names_its_command(
    stage: str, recipe: str, says: str, tmp_path: Path
) -> None:
    """In one line, and before anything heavy is imported."""
    code = (
        "import sys; from cof.cli import main\n"
        f"sys.argv = ['cof', 'train', {stage!r}, '--config', {str(ROOT / 'recipes' / recipe)!r}, '--out', 'run']\n"
        "try: main()\n"
        f"finally: print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("cof: model runs/")
    assert says.format(ROOT / "recipes") in line
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert not (tmp_path / "run").exists()


def test_a_start_without_a_recipe_beside_it_is_named_without() -> None:
    assert maker_of("grpo") == "cof train sft --config RECIPE"
    with pytest.raises(
        ModelError, match=re.escape("`cof train sft --config RECIPE --out a/run` makes it: run that first")
    ):
        check_start(ReinforceConfig("a/run/model"), maker_of("grpo"))


@pytest.mark.parametrize(
    "config",
    [SupervisedConfig("nano", traces="no.jsonl"), ReinforceConfig("nano", questions="no.jsonl")],
    ids=["traces", "questions"],
)
def test_a_file_that_is_not_there_is_named_with_what_writes_it(config: Recipe) -> None:
    with pytest.raises(InvalidConfig, match=r"'no.jsonl' does not exist; want a JSONL file of traces: `cof data build"):
        check_start(config, "")


def test_perception_starts_from_a_model_or_from_sizes() -> None:
    sizes = {"hidden_size": 8}
    PerceptionConfig(text=sizes, vision=sizes)
    for wrong in ({}, {"text": sizes}, {"model": "nano", "text": sizes, "vision": sizes}):
        with pytest.raises(InvalidConfig, match=r"want either model, or both \[text\] and \[vision\]"):
            PerceptionConfig(**wrong)  # type: ignore[arg-type]


def test_a_line_of_metrics_is_short_and_leaves_out_what_is_not_known() -> None:
    metrics = {"loss": 0.12345, "reward": float("nan"), "zooms": None, "accuracy": 1, "grad_norm": 3.0}
    assert line_of(metrics) == "loss 0.123, accuracy 1"


@pytest.mark.long
@pytest.mark.parametrize("path", SMOKE, ids=lambda path: path.stem)
def test_a_smoke_recipe_runs(path: Path, tmp_path: Path) -> None:
    """By its own command, to the end: readable lines, no dicts, metrics, curves and a model."""
    (words,) = re.findall(r"# cof (train .*)", path.read_text())
    command = shlex.split(words.replace("--config ", f"--config {ROOT}/"))
    done = subprocess.run(
        [sys.executable, "-m", "cof", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "runs" / f"smoke-{path.stem}"
    assert done.stdout == f"trained model in runs/smoke-{path.stem}/model\n"
    first, *lines = done.stderr.splitlines()
    assert first.startswith(f"cof: training {read(path).model} by ")
    shown = [line for line in lines if line.startswith("step ")]
    assert re.match(rf"step {read(path).steps} of {read(path).steps}: loss [\d.e-]+, ", shown[-1])
    assert not [line for line in lines if "{" in line or "it/s" in line]
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"] == read(path).steps
    assert (out / "model" / "model.safetensors").is_file()
    assert (out / "curves.png").is_file()


def test_a_recipe_weighs_a_reward_from_outside_and_refuses_an_unknown_one(tmp_path: Path) -> None:
    recipe = tmp_path / "own.toml"
    recipe.write_text('model = "nano"\n[rewards]\naccuracy = 1.0\n"tests.scoring.test_rewards:brevity" = 0.5\n')
    weights = {"accuracy": 1.0, "tests.scoring.test_rewards:brevity": 0.5}
    assert load_config(ReinforceConfig, recipe).rewards == weights
    assert load_config(ReinforceConfig, recipe, ["rewards.accuracy=2"]).rewards == weights | {"accuracy": 2.0}
    with pytest.raises(InvalidConfig, match="unknown reward 'speed'"):
        load_config(ReinforceConfig, recipe, ["rewards.speed=1"])
