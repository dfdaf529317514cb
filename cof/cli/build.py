"""`cof data build`: trajectories by the visual search agent, from questions that are drawn or in files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import cof
from cof.agent.build import METHODS, publish_kept
from cof.agent.build import build as run_build
from cof.agent.calls import Actors
from cof.agent.roles import ModelPlayers, Roles
from cof.agent.sources import Drawn, count, file_examples, world_examples
from cof.agent.trajectory import Rules
from cof.cli.options import numbers
from cof.cli.progress import counting
from cof.cli.rows import Spoken, tell
from cof.config import dump_config, load_config
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import Example
from cof.data.filters import Filters, picture_hash
from cof.data.worlds import is_world, world_of
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidConfig, InvalidImage, ModelError
from cof.geometry import ViewSpec
from cof.plain import to_json
from cof.runs import RunDir, fingerprint, read_records
from cof.vision.load import load
from cof.vision.views import PAPER

SPECS = {"nano": ViewSpec(), "paper": PAPER}
WHOLE = "whole numbers above 0, such as 256,1024"
NEEDLE, EXPERTS = "needle", "experts"

Out = Annotated[Path, typer.Option(help="Run folder; the same command continues a run that was stopped.")]
Source = Annotated[
    str,
    typer.Option(
        help="A world (needle); a .jsonl, .json, .tsv, .parquet or .arrow file of questions or conversations; or a folder."
    ),
]
RolesFile = Annotated[str, typer.Option(help="Who plays the parts: experts (a world's), or a TOML file.")]
MethodName = Annotated[str, typer.Option(help="search; or ground: start from a plain chain of thought.")]
Searches = Annotated[int, typer.Option(min=1, help="Searches that run together.")]
Count = Annotated[int, typer.Option("--n", min=1, help="needle: how many questions.")]
Seed = Annotated[int, typer.Option(min=0, help="needle: the seed of pictures and questions, and of the experts.")]
PerPicture = Annotated[int, typer.Option(min=1, help="needle: questions about one picture at most.")]
Sides = Annotated[
    str, typer.Option(help="needle: longer side of the pictures in pixels; several, comma-separated, in turn.")
]
SpecName = Annotated[str, typer.Option(help="Shown rules: nano's, or those of the paper's 7B checkpoints.")]
Rounds = Annotated[int, typer.Option(min=1, help="Proposals that a search may make.")]
ExpertError = Annotated[float, typer.Option(min=0, max=1, help="experts: the share of their replies that is wrong.")]
Budgets = Annotated[
    str, typer.Option(help="Visual tokens of overviews, comma-separated; each question is searched at each.")
]
Against = Annotated[list[Path], typer.Option(help="Folder of pictures of evaluations, which are never kept.")]
MostCalls = Annotated[int | None, typer.Option(min=1, help="Stop after so many calls to the players.")]


def build(
    out: Out,
    source: Source = NEEDLE,
    dialect: Spoken = COF.name,
    roles: RolesFile = EXPERTS,
    method: MethodName = "search",
    concurrency: Searches = 8,
    n: Count = Drawn.n,
    seed: Seed = Drawn.seed,
    per_picture: PerPicture = Drawn.per_picture,
    side: Sides = ",".join(map(str, Drawn.sides)),
    spec: SpecName = "nano",
    rounds: Rounds = Rules.rounds,
    expert_error: ExpertError = 0.2,
    budgets: Budgets = "",
    against: Against = [],  # noqa: B006
    most_calls: MostCalls = None,
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
    manifest = _questions(source, drawn, method, dialect) | {"budgets": list(tokens), "spec": to_json(view)}
    manifest |= {"rules": to_json(rules), "roles": played, "version": cof.__version__}
    with RunDir(out, manifest) as run:
        with counting("searching", total, len(run.journal("searches").done)) as advance:
            run_build(players, examples, rules, run, METHODS[method], concurrency, most_calls, advance)
        kept = publish_kept(run, filters, len(left_out))
    _tell(kept, out, left_out)


def _questions(source: str, drawn: Drawn, method: str, dialect: str) -> dict[str, Any]:
    """What a run folder must agree on about the questions, and how they are searched."""
    asked = {"source": source, "drawn": to_json(drawn) if is_world(source) else fingerprint(Path(source))}
    return asked | {"method": method} | ({} if dialect == COF.name else {"dialect": dialect})


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
