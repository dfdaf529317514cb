"""`cof train`: the stages of training, each by a recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cof.cli.options import needed
from cof.config import dump_config, load_config
from cof.runs import RunDir, publish
from cof.serve.browse import Shown, write_pages
from cof.types import Trace

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

    def show(step: int, traces: Sequence[Trace]) -> None:
        rollouts = [Shown(f"{n}", trace) for n, trace in enumerate(traces, 1)]
        write_pages({f"step-{step}": rollouts}, out / "rollouts" / f"{step:06d}")

    _train(partial(stage.train_reinforced, show=show), load_config(stage.ReinforceConfig, config, set_), out)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of training, finished or not.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to draw the curves (PNG); else curves-of-all.png in the first folder.")
    ] = None,
) -> None:
    """Lay training runs side by side: curves, and what their last steps came to."""
    progress, watch = _stage("cof.train.progress"), _stage("cof.train.watch")
    logged = {str(run): progress.read_metrics(run) for run in runs}
    out = out or runs[0] / "curves-of-all.png"
    publish(out, progress.plot(logged))
    table = Table("mean of the last steps", *logged)
    for name in dict.fromkeys(name for entries in logged.values() for name in entries[-1]):
        means = [watch.mean([entry.get(name) for entry in entries[-progress.SMOOTH :]]) for entries in logged.values()]
        table.add_row(name, *("" if mean is None else f"{mean:.4g}" for mean in means))
    Console().print(table)
    for run, entries in logged.items():
        for told in watch.alarms(entries):
            print(f"{run}: {told}")
    print(f"curves in {out}")


@app.command()
def pack(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a finished training run.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
) -> None:
    """Write a trained nano in bfloat16, as the package carries it."""
    _stage("cof.train.nano").pack(model, out)
    print(f"packed in {out}")


def _stage(module: str) -> Any:
    return needed(module, "training", "train")


def _train(stage: Callable[[Any, Path], Path], config: Any, out: Path) -> None:
    """Run a stage. Of several processes that a launcher started, the first owns the run folder, and speaks."""
    first = os.environ.get("RANK", "0") == "0"
    with RunDir(out, dump_config(config)) if first else nullcontext():
        model = stage(config, out)
        if first:
            print(f"trained model in {model}")
