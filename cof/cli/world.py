"""`cof world`: pictures and questions of a world as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from cof.cli.options import Budget, split_of
from cof.data.worlds import world_of
from cof.geometry import ViewSpec
from cof.loop.setting import with_budget

app = typer.Typer(no_args_is_help=True)


@app.callback()
def world() -> None:
    """Worlds: synthetic pictures with known answers."""


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write to, in V*Bench's layout.")],
    n: Annotated[int, typer.Option("--n", min=1)] = 10,
    side: Annotated[int, typer.Option(help="Longer side of the pictures in pixels.")] = 1792,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    budget: Budget = None,
    world: Annotated[str, typer.Option(help="needle, another world that is installed, or module:name.")] = "needle",
) -> None:
    """Write pictures and questions of a world to a folder."""
    spec = with_budget(ViewSpec(), budget) if budget else ViewSpec()
    chosen, drawn = split_of(split), world_of(world)
    out.mkdir(parents=True, exist_ok=True)
    found = drawn.examples(chosen, seed, n, (side,), spec)
    with Progress(console=Console(stderr=True)) as bar:
        count = drawn.write(bar.track(found, total=n, description="drawing"), out)
    print(f"{count} pictures in {out}")
