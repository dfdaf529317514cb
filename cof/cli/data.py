"""`cof data`: training data by the visual search agent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

import cof
from cof.cli.options import Adapter, ModelName, opened
from cof.config import load_config
from cof.errors import InputError, InvalidConfig, InvalidImage
from cof.plain import to_json, trace_from_json
from cof.runs import RunDir, publish, read_records
from cof.search.build import METHODS, publish_kept
from cof.search.build import build as run_build
from cof.search.calls import Players, Task
from cof.search.describe import describe, plot
from cof.search.experts import Experts
from cof.search.filters import Filters, picture_hash
from cof.search.formats import read_sharegpt, write_sharegpt, write_trl, write_verl
from cof.search.roles import ModelPlayers, Roles
from cof.search.select import select, select_random
from cof.search.sources import file_tasks, needle_tasks
from cof.search.trajectory import Rules
from cof.serve.samples import write_samples
from cof.types import Trace, ViewSpec
from cof.vision.load import load
from cof.vision.views import PAPER
from cof.worlds.phrases import GRID

app = typer.Typer(no_args_is_help=True)
NEEDLE, EXPERTS = "needle", "experts"


@app.callback()
def data() -> None:
    """Training data by the visual search agent."""


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Run folder; the same command continues a run that was stopped.")],
    source: Annotated[str, typer.Option(help="needle, a JSONL file, or a folder in V*Bench's layout.")] = NEEDLE,
    roles: Annotated[str, typer.Option(help="Who plays the parts: experts (needle only), or a TOML file.")] = EXPERTS,
    method: Annotated[str, typer.Option(help="search; or ground: start from a plain chain of thought.")] = "search",
    concurrency: Annotated[int, typer.Option(min=1, help="Searches that run together.")] = 8,
    n: Annotated[int, typer.Option("--n", min=1, help="needle: how many questions.")] = 300,
    seed: Annotated[
        int, typer.Option(min=0, help="needle: the seed of pictures and questions, and of the experts.")
    ] = 0,
    per_picture: Annotated[int, typer.Option(min=1, help="needle: questions about one picture at most.")] = 1,
    side: Annotated[int, typer.Option(help="needle: longer side of the pictures in pixels.")] = 1792,
    rounds: Annotated[int, typer.Option(min=1, help="Proposals that a search may make.")] = Rules.rounds,
    expert_error: Annotated[
        float, typer.Option(min=0, max=1, help="experts: the share of their replies that is wrong.")
    ] = 0.2,
    budgets: Annotated[
        str, typer.Option(help="Visual tokens of overviews, comma-separated; each question is searched at each.")
    ] = "256",
    against: Annotated[list[Path], typer.Option(help="Folder of evaluation pictures, which are never kept.")] = [],  # noqa: B006
    most_calls: Annotated[int | None, typer.Option(min=1, help="Stop after so many calls to the players.")] = None,
) -> None:
    """Search questions for their answers, and keep one verified trajectory each."""
    rules, tokens, spec = Rules(grid=GRID if source == NEEDLE else 1, rounds=rounds), _budgets(budgets), ViewSpec()
    players = _players(roles, source, expert_error, seed)
    tasks, total = _tasks(source, n, seed, side, spec, tokens, per_picture)
    if method not in METHODS:
        raise InvalidConfig(f"--method {method!r} is not known; want one of {', '.join(METHODS)}")
    filters = Filters(evaluation=frozenset(_hashes(against)))
    asked = {
        "source": source,
        "method": method,
        "seed": seed,
        "budgets": list(tokens),
        "spec": to_json(spec),
        "rules": to_json(rules),
    }
    if source == NEEDLE:
        asked |= {"n": n, "side": side, "per_picture": per_picture}
    manifest = asked | {"roles": roles, "expert_error": expert_error, "version": cof.__version__}
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with RunDir(out, manifest) as run, Progress(*columns, console=Console(stderr=True)) as bar:
        line = bar.add_task("searching", total=total, completed=len(run.journal("searches").done))
        run_build(players, tasks, rules, run, METHODS[method], concurrency, most_calls, lambda: bar.advance(line))
        kept = publish_kept(run, filters)
    _tell(kept, out)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A build's folder, or a ShareGPT file such as the released CoF data.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    to: Annotated[str, typer.Option(help="sharegpt, trl, verl or traces.")] = "sharegpt",
) -> None:
    """Write trajectories in the form that a trainer reads."""
    if to not in FORMS:
        raise InvalidConfig(f"--to {to!r} is not known; want one of {', '.join(FORMS)}")
    out.mkdir(parents=True, exist_ok=True)
    count = FORMS[to](_traces(source, to), out)
    print(f"{count} trajectories in {out}")


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
    records = _records(source)
    if n > len(records):
        raise InputError(f"--n {n} is more than the {len(records)} trajectories in {source}; want at most as many")
    if by == "random":
        chosen = select_random(len(records), n, seed)
    elif by == "coverage":
        from cof.train.embed import embed

        loaded = opened(model, adapter)
        traces = [trace_from_json(record["trace"]) for record in records]
        with Progress(console=Console(stderr=True)) as bar:
            found = [embed(loaded, trace) for trace in bar.track(traces, description="embedding")]
        chosen = select(np.stack([e for e, _ in found]), np.array([loss for _, loss in found]), n, seed)
    else:
        raise InvalidConfig(f"--by {by!r} is not known; want coverage or random")
    out.mkdir(parents=True, exist_ok=True)
    publish(out / "traces.jsonl", "".join(json.dumps(records[index]) + "\n" for index in sorted(chosen)))
    print(f"{n} of {len(records)} trajectories in {out / 'traces.jsonl'}")


@app.command()
def stats(
    source: Annotated[Path, typer.Argument(help="A folder with traces.jsonl, such as a build's.")],
    out: Annotated[Path | None, typer.Option(help="Folder for stats.png and pages of samples.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="How many trajectories to write as pages.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which samples.")] = 0,
) -> None:
    """Say what a set of trajectories holds, and show some."""
    traces = [trace_from_json(record["trace"]) for record in _records(source)]
    built = source / "stats.json"
    figures = describe(traces, json.loads(built.read_text())["dropped"] if built.is_file() else {})
    for name, value in figures.items():
        told = ", ".join(f"{key}: {count}" for key, count in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' ')}: {told}")
    if out is not None:
        shown = select_random(len(traces), samples, seed)
        write_samples([traces[index] for index in sorted(shown)], out)
        plot(figures, out / "stats.png")
        print(f"written to {out}: stats.png, index.html and {len(shown)} pages")


def _records(source: Path) -> list[dict[str, Any]]:
    if not (source / "traces.jsonl").is_file():
        raise InputError(f"{source} holds no traces.jsonl; give a folder of cof data build")
    return list(read_records(source / "traces.jsonl"))


def _traces(source: Path, to: str) -> Iterator[Trace]:
    """Traces of a build or a ShareGPT file; for verl those that the target got neither always right nor always wrong."""
    if source.is_file():
        yield from read_sharegpt(source, PAPER)
        return
    for record in _records(source):
        if to != "verl" or record["pass_rate"] is None or 0 < record["pass_rate"] < 1:
            yield trace_from_json(record["trace"])


def _write_traces(kept: Iterable[Trace], out: Path) -> int:
    lines = [json.dumps({"id": trace.id, "trace": to_json(trace)}) + "\n" for trace in kept]
    publish(out / "traces.jsonl", "".join(lines))
    return len(lines)


FORMS = {"sharegpt": write_sharegpt, "trl": write_trl, "verl": write_verl, "traces": _write_traces}


def _budgets(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise InvalidConfig(f"--budgets {text!r} is not understood; want visual tokens, such as 64,256")
    return found


def _tasks(
    source: str, n: int, seed: int, side: int, spec: ViewSpec, budgets: tuple[int, ...], per_picture: int
) -> tuple[Iterable[Task], int]:
    """The questions to search, and how many there are."""
    if source == NEEDLE:
        return needle_tasks(n, seed, side, spec, budgets, per_picture), n * len(budgets)
    found = list(file_tasks(Path(source), spec, budgets))
    return found, len(found)


def _players(roles: str, source: str, error: float, seed: int) -> Players:
    if roles != EXPERTS:
        return ModelPlayers.of(load_config(Roles, Path(roles)))
    if source != NEEDLE:
        raise InvalidConfig(
            f"--roles {EXPERTS} know the needle world alone; give a TOML file of roles, or --source {NEEDLE}"
        )
    return Experts(error, seed)


def _hashes(folders: Iterable[Path]) -> Iterable[int]:
    """Hashes of the pictures in some folders; what is no picture is passed over."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            try:
                yield picture_hash(load(path))
            except InvalidImage:
                continue


def _tell(stats: dict[str, Any], out: Path) -> None:
    dropped = ", ".join(f"{count} {reason}" for reason, count in stats["dropped"].items() if count)
    print(
        f"{stats['kept']} of {stats['asked']} kept in {out / 'traces.jsonl'}"
        + (f"; dropped: {dropped}" if dropped else "")
    )
    for name in ("box_precision_proposed", "box_precision_kept", "answer_precision_kept"):
        if stats[name] is not None:
            print(f"{name.replace('_', ' ')}: {stats[name]:.3f}")
