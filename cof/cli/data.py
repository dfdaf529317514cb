"""`cof data`: its commands, and what chooses from a set of trajectories or describes one (`select`, `stats`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from cof.cli.build import build
from cof.cli.options import Adapter, ModelName, opened_here
from cof.cli.rows import checked, convert, tell
from cof.data.benchmarks.left_out import LeftOut
from cof.data.describe import describe, plot
from cof.data.select import select, select_random
from cof.data.traces import Kept, read_kept, write_kept
from cof.errors import InputError, InvalidConfig
from cof.models.opening import ModelRef
from cof.view.browse import ShownTrace, write_pages

app = typer.Typer(no_args_is_help=True)

app.command()(convert)
app.command(name="check")(checked)
app.command()(build)


@app.callback()
def data() -> None:
    """Training data by the visual search agent."""


@app.command(name="select")
def choose(
    source: Annotated[Path, typer.Argument(help="A folder with traces.jsonl, such as a build's.")],
    out: Annotated[Path, typer.Option(help="Folder to write traces.jsonl to.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many trajectories to take.")],
    by: Annotated[str, typer.Option(help="coverage: of what the model sees, the hard first; or random.")] = "coverage",
    model: ModelName = "nano",
    adapter: Adapter = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Choose few trajectories that stand for all."""
    found = _kept(source)
    if n > len(found):
        raise InputError(f"--n {n} is more than the {len(found)} trajectories in {source}; want at most as many")
    if by == "random":
        chosen = select_random(len(found), n, seed)
    elif by == "coverage":
        from cof.data.embed import embed

        loaded = opened_here(ModelRef(model, adapter=adapter))
        with Progress(console=Console(stderr=True)) as bar:
            seen = [embed(loaded, each.trace) for each in bar.track(found, description="embedding")]
        chosen = select(np.stack([place for place, _ in seen]), np.array([loss for _, loss in seen]), n, seed)
    else:
        raise InvalidConfig(f"--by {by!r} is not known; want coverage or random")
    out.mkdir(parents=True, exist_ok=True)
    write_kept((found[index] for index in sorted(chosen)), out)
    print(f"{n} of {len(found)} trajectories in {out / 'traces.jsonl'}")


@app.command()
def stats(
    source: Annotated[Path, typer.Argument(help="A folder with traces.jsonl, such as a build's.")],
    out: Annotated[Path | None, typer.Option(help="Folder for stats.png and pages of samples.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="How many trajectories to write as pages.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which samples.")] = 0,
) -> None:
    """Say what a set of trajectories holds, and show some."""
    traces = [each.trace for each in _kept(source)]
    figures = describe(traces, _dropped(source / "stats.json"))
    for name, value in figures.items():
        shown = (
            ", ".join(f"{key}: {count}" for key, count in value.items()) or "-" if isinstance(value, dict) else value
        )
        print(f"{name.replace('_', ' ')}: {shown}")
    if out is not None:
        shown = select_random(len(traces), samples, seed)
        without = list[str]()
        write_pages(
            {"samples": [ShownTrace(traces[index].id, traces[index]) for index in sorted(shown)]}, out, without.append
        )
        plot(figures, out / "stats.png")
        print(f"written to {out}: stats.png, index.html and {len(shown)} pages")
        if without:
            print(f"{len(without)} without a picture; the first: {without[0]}", file=sys.stderr)


def _kept(source: Path) -> list[Kept]:
    """The trajectories in a folder; lines that are none are told on stderr."""
    left_out = LeftOut()
    found = read_kept(source, left_out)
    tell(left_out)
    return found


def _dropped(built: Path) -> dict[str, int]:
    """Why others were dropped, where a build said so."""
    try:
        return {str(reason): int(count) for reason, count in json.loads(built.read_text())["dropped"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
