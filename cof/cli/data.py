"""`cof data`: training data by the visual search agent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

import cof
from cof.agent.build import METHODS, publish_kept
from cof.agent.build import build as run_build
from cof.agent.calls import Actors
from cof.agent.roles import ModelPlayers, Roles
from cof.agent.sources import Drawn, count, file_examples, world_examples
from cof.agent.trajectory import Rules
from cof.cli.options import Adapter, ModelName, numbers, opened_here
from cof.cli.progress import counting
from cof.cli.rows import Spoken, checked, convert, tell
from cof.config import dump_config, load_config
from cof.data.benchmarks.left_out import LeftOut
from cof.data.describe import describe, plot
from cof.data.example import Example
from cof.data.filters import Filters, picture_hash
from cof.data.select import select, select_random
from cof.data.traces import Kept, read_kept, write_kept
from cof.data.worlds import is_world, world_of
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidConfig, InvalidImage, ModelError
from cof.geometry import ViewSpec
from cof.models.opening import ModelRef
from cof.plain import to_json
from cof.runs import RunDir, fingerprint, read_records
from cof.view.browse import ShownTrace, write_pages
from cof.vision.load import load
from cof.vision.views import PAPER

app = typer.Typer(no_args_is_help=True)
SPECS = {"nano": ViewSpec(), "paper": PAPER}
WHOLE = "whole numbers above 0, such as 256,1024"
NEEDLE, EXPERTS = "needle", "experts"

app.command()(convert)
app.command(name="check")(checked)


@app.callback()
def data() -> None:
    """Training data by the visual search agent."""


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Run folder; the same command continues a run that was stopped.")],
    source: Annotated[
        str,
        typer.Option(
            help="A world (needle); a .jsonl, .json, .tsv, .parquet or .arrow file of questions or conversations; or a folder."
        ),
    ] = NEEDLE,
    dialect: Spoken = COF.name,
    roles: Annotated[str, typer.Option(help="Who plays the parts: experts (a world's), or a TOML file.")] = EXPERTS,
    method: Annotated[str, typer.Option(help="search; or ground: start from a plain chain of thought.")] = "search",
    concurrency: Annotated[int, typer.Option(min=1, help="Searches that run together.")] = 8,
    n: Annotated[int, typer.Option("--n", min=1, help="needle: how many questions.")] = Drawn.n,
    seed: Annotated[
        int, typer.Option(min=0, help="needle: the seed of pictures and questions, and of the experts.")
    ] = Drawn.seed,
    per_picture: Annotated[
        int, typer.Option(min=1, help="needle: questions about one picture at most.")
    ] = Drawn.per_picture,
    side: Annotated[
        str, typer.Option(help="needle: longer side of the pictures in pixels; several, comma-separated, in turn.")
    ] = ",".join(map(str, Drawn.sides)),
    spec: Annotated[str, typer.Option(help="Shown rules: nano's, or those of the paper's 7B checkpoints.")] = "nano",
    rounds: Annotated[int, typer.Option(min=1, help="Proposals that a search may make.")] = Rules.rounds,
    expert_error: Annotated[
        float, typer.Option(min=0, max=1, help="experts: the share of their replies that is wrong.")
    ] = 0.2,
    budgets: Annotated[
        str, typer.Option(help="Visual tokens of overviews, comma-separated; each question is searched at each.")
    ] = "",
    against: Annotated[list[Path], typer.Option(help="Folder of pictures of evaluations, which are never kept.")] = [],  # noqa: B006
    most_calls: Annotated[int | None, typer.Option(min=1, help="Stop after so many calls to the players.")] = None,
) -> None:
    """Search questions for their answers, and keep one verified trajectory each."""
    if method not in METHODS:
        raise InvalidConfig(f"--method {method!r} is not known; want one of {', '.join(METHODS)}")
    drawn_by = world_of(source) if is_world(source) else None
    rules, view = Rules(grid=drawn_by.grid if drawn_by else 1, rounds=rounds), _spec(spec)
    tokens, sides = numbers("--budgets", budgets, 1, WHOLE), numbers("--side", side, 1, WHOLE)
    drawn = Drawn(n, seed, sides or Drawn.sides, per_picture)
    if drawn_by is None and drawn != Drawn():
        raise InvalidConfig(f"--n, --seed, --side and --per-picture apply to {NEEDLE} alone; leave them out")
    players, played = _players(roles, source, expert_error, seed)
    filters, left_out = Filters(evaluation=frozenset(_hashes(against))), LeftOut()
    examples, total = _examples(source, drawn, view, tokens, dialect_of(dialect), left_out)
    asked = {
        "source": source,
        "drawn": to_json(drawn) if drawn_by else fingerprint(Path(source)),
        "method": method,
    }
    asked |= {} if dialect == COF.name else {"dialect": dialect}
    asked |= {"budgets": list(tokens), "spec": to_json(view), "rules": to_json(rules), "roles": played}
    with RunDir(out, asked | {"version": cof.__version__}) as run:
        with counting("searching", total, len(run.journal("searches").done)) as advance:
            run_build(players, examples, rules, run, METHODS[method], concurrency, most_calls, advance)
        kept = publish_kept(run, filters, len(left_out))
    _tell(kept, out, left_out)


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


def _spec(name: str) -> ViewSpec:
    if name not in SPECS:
        raise InvalidConfig(f"--spec {name!r} is not known; want one of {', '.join(SPECS)}")
    return SPECS[name]


def _examples(
    source: str, drawn: Drawn, spec: ViewSpec, budgets: tuple[int, ...], dialect: Dialect, left_out: LeftOut
) -> tuple[Iterable[Example], int]:
    """The questions to search, and how many there are. Raises InputError where there is none."""
    if is_world(source):
        return world_examples(world_of(source), drawn, spec, budgets), drawn.n * max(1, len(budgets))
    found = count(Path(source), dialect, left_out)
    if not found:
        raise InputError(f"--source {source} has no question with an answer to search for; want 'answer' in its rows")
    return file_examples(Path(source), spec, budgets, dialect, left_out), found * max(1, len(budgets))


def _players(roles: str, source: str, error: float, seed: int) -> tuple[Actors, dict[str, Any]]:
    """Who plays the parts, and what a run folder must agree on about them."""
    if roles != EXPERTS:
        chosen = load_config(Roles, Path(roles))
        return ModelPlayers.of(chosen), dump_config(chosen)
    if is_world(source):
        return world_of(source).experts(error, seed), {EXPERTS: error}
    if not Path(source).exists():
        raise InputError(f"--source {source} does not exist; want {NEEDLE}, a file or a folder")
    raise InvalidConfig(f"--roles {EXPERTS} know a world alone; give a TOML file of roles, or --source {NEEDLE}")


def _hashes(folders: Iterable[Path]) -> Iterator[int]:
    """Hashes of the pictures in some folders; other files are passed over, a folder without pictures is an error."""
    for folder in folders:
        found = 0
        for path in sorted(folder.rglob("*")):
            with suppress(InvalidImage):
                yield picture_hash(load(path))
                found += 1
        if not found:
            raise InputError(f"--against {folder} holds no picture; give a folder of JPEG, PNG or WEBP files")


def _tell(stats: dict[str, Any], out: Path, left_out: LeftOut) -> None:
    """Raises InputError or ModelError where nothing was searched."""
    failed = stats["dropped"]["failed"]
    if not stats["asked"] and failed:
        first = next(read_records(out / "failures.jsonl"))["error"]
        raise ModelError(f"every search failed ({failed}); the first: {first}; the same command tries them again")
    if not stats["asked"]:
        why = left_out.summary() if left_out else "--most-calls was spent before the first search ended"
        raise InputError(f"no question was searched: {why}")
    tell(left_out)
    dropped = ", ".join(f"{count} {reason}" for reason, count in stats["dropped"].items() if count)
    print(
        f"{stats['kept']} of {stats['asked'] + failed} kept in {out / 'traces.jsonl'}"
        + (f"; dropped: {dropped}" if dropped else "")
    )
    for name in ("box_precision_proposed", "box_precision_kept", "answer_precision_kept"):
        if stats[name] is not None:
            print(f"{name.replace('_', ' ')}: {stats[name]:.3f}")
    if failed:
        first = next(read_records(out / "failures.jsonl"))["error"]
        print(f"{failed} failed; the first: {first}; the same command tries them again", file=sys.stderr)
