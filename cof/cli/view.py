"""`cof view`: browse runs and traces, as a folder of static pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cof.errors import InputError
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.scoring.traces import score_trace
from cof.serve.browse import Shown, write_pages

TRACES = "traces.jsonl"


def view(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of eval, data build or training, or JSONL files.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("view"),
    n: Annotated[
        int, typer.Option("--n", min=1, help="Most traces of each run, and of each arm of an evaluation.")
    ] = 100,
    arm: Annotated[list[str], typer.Option("--arm", help="Only this arm of evaluations; repeatable.")] = [],  # noqa: B006
    wrong: Annotated[bool, typer.Option("--wrong", help="Only what was answered wrongly.")] = False,
) -> None:
    """Write pages that show every step of runs; two runs, or two arms of one, stand side by side, question by question."""
    found: dict[str, list[Shown]] = {}
    for run in runs:
        for name, shown in _read(run):
            if (not arm or shown.trace.mode in arm) and (not wrong or _wrong(shown)):
                found.setdefault(name, [])
                if len(found[name]) < n:
                    found[name].append(shown)
    if not found:
        raise InputError(f"there are no traces to show in {', '.join(map(str, runs))}; want other runs or filters")
    without = list[str]()
    index = write_pages(found, out, without)
    print(f"{sum(map(len, found.values()))} traces in {index}")
    if without:
        print(f"{len(without)} without a picture; the first: {without[0]}", file=sys.stderr)


def _read(run: Path) -> Iterator[tuple[str, Shown]]:
    """The traces of a run, each with the name that it goes by: the run's, and the arm's in an evaluation."""
    file = run / TRACES if run.is_dir() else run
    if not file.is_file():
        raise InputError(f"{run} holds no traces; want a run folder with {TRACES}, or such a file")
    name = file.parent.name if file.name == TRACES else file.stem
    for record in read_records(file):
        trace = trace_from_json(record.get("trace", record))
        cell = [str(record[part]) for part in ("resolution", "seed") if part in record]
        own = f"{name} {record['arm']}" if "arm" in record else name
        yield own, Shown("/".join([*cell, trace.id]), trace)


def _wrong(shown: Shown) -> bool:
    return score_trace(shown.trace).right is False
