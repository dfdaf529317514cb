"""`cof train`: the stages of training, each by a recipe."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cof.config import dump_config, load_config
from cof.errors import MissingExtra
from cof.runs import RunDir

app = typer.Typer(no_args_is_help=True, help="Train a model by a recipe.")

Recipe = Annotated[Path, typer.Option("--config", help="Recipe (TOML).")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an interrupted run continues.")]
Overrides = Annotated[list[str], typer.Option("--set", help="key=value over the recipe; repeatable.")]


@app.command()
def perception(config: Recipe, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 0: teach visual tokens what they show."""
    stage = _stage("cof.train.perception")
    _train(stage.train_perception, load_config(stage.PerceptionConfig, config, set_), out)


@app.command()
def sft(config: Recipe, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 1: supervised trajectories."""
    stage = _stage("cof.train.sft")
    _train(stage.train_supervised, load_config(stage.SupervisedConfig, config, set_), out)


@app.command()
def grpo(config: Recipe, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 2: reinforcement that learns when to look."""
    stage = _stage("cof.train.grpo")
    _train(stage.train_reinforced, load_config(stage.ReinforceConfig, config, set_), out)


@app.command()
def pack(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a finished training run.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
) -> None:
    """Write a trained nano in bfloat16, as the package carries it."""
    _stage("cof.train.nano").pack(model, out)
    print(f"packed in {out}")


def _stage(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}; install chain-of-focus[train]") from None


def _train(stage: Callable[[Any, Path], Path], config: Any, out: Path) -> None:
    with RunDir(out, dump_config(config)):
        print(f"trained model in {stage(config, out)}")
