"""`cof train`: the stages of training, each by a recipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cof.cli.options import needed
from cof.cli.steps import reporting
from cof.config import dump_config, load_config
from cof.runs import RunDir, publish
from cof.trace import Trace
from cof.train.recipes import Recipe, supervised_recipe
from cof.train.reinforce import ReinforceConfig
from cof.train.start import check_start, maker_of, steps_done
from cof.view.browse import ShownTrace, write_pages

app = typer.Typer(no_args_is_help=True, help="Train a model by a recipe.")

RecipeFile = Annotated[Path, typer.Option("--config", help="Recipe (TOML).")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; an interrupted run continues.")]
Overrides = Annotated[list[str], typer.Option("--set", help="key=value over the recipe; repeatable.")]


@app.command()
def sft(config: RecipeFile, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 1: supervised trajectories."""
    recipe = load_config(supervised_recipe(config, set_), config, set_)
    run_stage("sft", config, recipe, out, lambda: stage_of("cof.train.sft").train_supervised)


@app.command()
def grpo(config: RecipeFile, out: Out, set_: Overrides = []) -> None:  # noqa: B006
    """Stage 2: reinforcement that learns when to look."""

    def show(step: int, traces: Sequence[Trace]) -> None:
        rollouts = [ShownTrace(f"{n}", trace) for n, trace in enumerate(traces, 1)]
        write_pages({f"step-{step}": rollouts}, out / "rollouts" / f"{step:06d}")

    recipe = load_config(ReinforceConfig, config, set_)
    run_stage("grpo", config, recipe, out, lambda: partial(stage_of("cof.train.grpo").train_reinforced, show=show))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of training, finished or not.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to draw the curves (PNG); else curves-of-all.png in the first folder.")
    ] = None,
) -> None:
    """Lay training runs side by side: curves, and what their last steps came to."""
    progress, watch = stage_of("cof.train.progress"), stage_of("cof.train.watch")
    logged = {str(run): progress.read_metrics(run) for run in runs}
    out = out or runs[0] / "curves-of-all.png"
    publish(out, progress.plot(logged))
    table = Table("mean of the last steps", *logged)
    for name in dict.fromkeys(name for entries in logged.values() for name in entries[-1]):
        means = [watch.mean([entry.get(name) for entry in entries[-progress.SMOOTH :]]) for entries in logged.values()]
        table.add_row(name, *("" if mean is None else f"{mean:.4g}" for mean in means))
    Console().print(table)
    for run, entries in logged.items():
        for alarm in watch.alarms(entries):
            print(f"{run}: {alarm}")
    print(f"curves in {out}")


def stage_of(module: str) -> Any:
    """A module of training. Raises MissingExtra."""
    return needed(module, "training", "train")


def run_stage(name: str, file: Path, recipe: Recipe, out: Path, stage: Callable[[], Callable[..., Path]]) -> None:
    """Run a stage. Of several processes that a launcher started, the first owns the run folder, and reports.

    What a recipe starts from is checked before `stage` imports the libraries of training, which takes seconds.
    """
    check_start(recipe, maker_of(name, file))
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars
    first = os.environ.get("RANK", "0") == "0"
    with RunDir(out, dump_config(recipe)) if first else nullcontext():
        if first:
            start = recipe.model or "an untrained model"
            print(f"cof: training {start} by {file} in {out}; the libraries load first", file=sys.stderr, flush=True)
        run = stage()
        with reporting(recipe.steps, steps_done(out)) if first else nullcontext(_silent) as report_step:
            model = run(recipe, out, report=report_step)
        if first:
            print(f"trained model in {model}")


def _silent(_step: int, _metrics: object) -> None:
    """Reports nothing: for the processes of a launcher other than the first."""
