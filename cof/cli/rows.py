"""`cof data convert` and `cof data check`: trajectories and questions from files, and what in them cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from cof.data.benchmarks.left_out import LeftOut
from cof.data.check import check, in_columns
from cof.data.conversations import Trajectory, trajectories
from cof.data.formats import write_sharegpt, write_trl, write_verl
from cof.data.pictures import can_open
from cof.data.traces import NAME as TRACES
from cof.data.traces import Kept, read_kept, write_kept
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidConfig
from cof.runs import naming
from cof.trace import Trace

FORMS = {"sharegpt": write_sharegpt, "trl": write_trl, "verl": write_verl}
COLUMNS = 80  # of a conversation that is shown

Spoken = Annotated[
    str, typer.Option("--dialect", help="The dialect of conversations in a file; `cof dialect list` names them.")
]


def convert(
    source: Annotated[
        Path, typer.Argument(help="A build's folder, or a file of conversations such as the released CoF data.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    to: Annotated[str, typer.Option(help="sharegpt, trl, verl or traces.")] = "sharegpt",
    dialect: Spoken = COF.name,
) -> None:
    """Write trajectories in the form that a trainer reads."""
    if to not in (*FORMS, "traces"):
        raise InvalidConfig(f"--to {to!r} is not known; want one of {', '.join(FORMS)}, traces")
    left_out, unwritten = LeftOut(), LeftOut()
    found = list(_traces(source, dialect_of(dialect), out, left_out))
    if to == "verl":
        found = _unsure(found)
    out.mkdir(parents=True, exist_ok=True)
    written = write_kept(found, out) if to == "traces" else FORMS[to]((each.trace for each in found), out, unwritten)
    tell(left_out)
    tell(unwritten)
    print(f"{written} trajectories in {out}")


def checked(
    file: Annotated[Path, typer.Argument(help="A file of questions or conversations, or a build's folder.")],
    dialect: Spoken = COF.name,
    show: Annotated[int, typer.Option(min=1, help="How many rows that cannot be used to name.")] = 5,
) -> None:
    """Say which rows of a file cannot be used and why, and show a good one as a model or a trainer sees it."""
    left_out, language = LeftOut(), dialect_of(dialect)
    file, console = file / TRACES if file.is_dir() else file, Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking", total=None)
        found = check(file, language, left_out, lambda: bar.advance(task))
    print(f"{found.good} of {found.good + len(left_out)} {found.kind} in {file} can be used")
    for fault in left_out.first(show):
        print(f"  {fault}")
    if len(left_out) > show:
        print(f"  and {len(left_out) - show} more")
    asked = found.question
    truth = "none: it is asked and not scored" if asked.answer is None else " or ".join((asked.answer, *asked.aliases))
    print(f"\nThe first good one, id {asked.id}, truth {truth}:\n\n{in_columns(found.messages, COLUMNS)}")
    if left_out:
        raise InputError(f"{left_out.summary(1)}; mend these rows, or go on without them")


def tell(left_out: LeftOut) -> None:
    """Say on stderr which rows were left out, if any were."""
    if left_out:
        print(left_out.summary(), file=sys.stderr)


def _traces(source: Path, dialect: Dialect, out: Path, left_out: LeftOut) -> Iterator[Kept]:
    """Traces of a build, or of a file of conversations."""
    if source.is_dir():
        yield from read_kept(source, left_out)
    else:
        yield from (Kept(_with_file(each, out)) for each in trajectories(source, dialect, left_out))


def _with_file(found: Trajectory, out: Path) -> Trace:
    """The trace; a picture that lies inside the file of conversations gets a file of its own."""
    trace = found.trace
    if can_open(trace.question):
        return trace
    (out / "images").mkdir(parents=True, exist_ok=True)
    file = out / "images" / f"{trace.id}.png"
    with naming(file):
        found.picture().save(file)
    return replace(trace, question=replace(trace.question, images=(str(file.resolve()),)))


def _unsure(found: list[Kept]) -> list[Kept]:
    """Those that the target got neither always right nor always wrong: the others teach nothing by their reward."""
    unsure = [each for each in found if each.pass_rate not in (0.0, 1.0)]
    if sure := len(found) - len(unsure):
        print(f"{sure} that the target answered always or never are not written for verl", file=sys.stderr)
    return unsure
