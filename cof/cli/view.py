"""`cof view`: browse runs and traces, as a folder of static pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cof.errors import InputError
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.scoring.traces import score_trace
from cof.serve.browse import Shown, write_pages
from cof.types import Trace

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
    missing = list[str]()
    index = write_pages(found, out, missing.append)
    if missing:
        print(f"{len(missing)} without a picture; the first: {missing[0]}", file=sys.stderr)
    print(f"{sum(map(len, found.values()))} traces in {index}")


def _read(run: Path) -> Iterator[tuple[str, Shown]]:
    """The traces of a run, each with the name that it goes by: the run's, and the arm's in an evaluation."""
    file = run / TRACES if run.is_dir() else run
    if not file.is_file():
        raise InputError(f"{run} holds no traces; want a run folder with {TRACES}, or such a file")
    name = file.parent.name if file.name == TRACES else file.stem
    for record in read_records(file):
        trace = _located(trace_from_json(record.get("trace", record)), file)
        cell = [str(record[part]) for part in ("resolution", "seed") if part in record]
        own = f"{name} {record['arm']}" if "arm" in record else name
        yield own, Shown("/".join([*cell, trace.id]), trace)


def _located(trace: Trace, file: Path) -> Trace:
    """The trace with the path of its picture where a run recorded it relative to another folder: the one of `file`, or one that
    holds it. Unchanged where there is none."""
    question = trace.question
    if Path(question.image).is_absolute() or not question.image:
        return trace
    for folder in file.resolve().parents:
        if os.path.isfile(picture := folder / question.image):
            return replace(trace, question=replace(question, image=str(picture)))
    return trace


def _wrong(shown: Shown) -> bool:
    return score_trace(shown.trace).right is False
