"""The commands of `cof train` by which the embedded model is made: perception, and packing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cof.cli.train import Out, Overrides, RecipeFile, run_stage, stage_of
from cof.config import load_config
from cof.nano.recipes import PerceptionConfig


def perception(config: RecipeFile, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 0: teach visual tokens what they show."""
    recipe = load_config(PerceptionConfig, config, set_)
    run_stage("perception", config, recipe, out, lambda: stage_of("cof.nano.perception").train_perception)


def pack(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a finished training run.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
) -> None:
    """Write a trained nano in bfloat16, as the package carries it."""
    stage_of("cof.nano.architecture").pack(model, out)
    print(f"packed in {out}")
