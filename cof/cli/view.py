"""`cof view`: browse runs and traces, as a folder of static pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cof.cli.progress import counted
from cof.data.example import NATIVE
from cof.errors import InputError, InvalidRun
from cof.plain import POLICY_OF_MODE, checked_trace
from cof.runs import read_records
from cof.scoring.traces import score_trace
from cof.trace import Trace
from cof.view.browse import ShownTrace, write_pages

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
    """Write pages that show every step of runs; two runs, or two arms of one, are side by side, question by question."""
    found: dict[str, list[ShownTrace]] = {}
    for run, called in zip(runs, _names(runs), strict=True):
        for name, shown in _read(run, called, arm):
            if not wrong or _wrong(shown):
                found.setdefault(name, []).append(shown)
    found = _first(found, n)
    if not found:
        raise InputError(f"there are no traces to show in {', '.join(map(str, runs))}; want other runs or filters")
    missing, total = list[str](), sum(map(len, found.values()))
    with counted("writing pages", total) as advance:
        index = write_pages(found, out, missing.append, advance)
    if missing:
        print(f"{len(missing)} without a picture; the first: {missing[0]}", file=sys.stderr)
    print(f"{total} trace{'s' * (total != 1)} in {index}")


def _first(found: dict[str, list[ShownTrace]], n: int) -> dict[str, list[ShownTrace]]:
    """The first `n` of each run, and the same questions of each. The first run's questions come first."""
    rank = {key: place for place, key in enumerate(dict.fromkeys(each.key for run in found.values() for each in run))}
    return {name: sorted(run, key=lambda each: rank[each.key])[:n] for name, run in found.items()}


def _names(runs: Sequence[Path]) -> list[str]:
    """What runs are called: their folders, with a number where another has that name."""
    files = [Path(os.path.abspath(_file(run))) for run in runs]  # also of ".."
    names = [file.parent.name if file.name == TRACES else file.stem for file in files]
    return [name if name not in names[:n] else f"{name} ({names[:n].count(name) + 1})" for n, name in enumerate(names)]


def _file(run: Path) -> Path:
    return run / TRACES if run.is_dir() else run


def _read(run: Path, name: str, arms: Sequence[str]) -> Iterator[tuple[str, ShownTrace]]:
    """The traces of a run, each under the `name` of the run, with the arm's in an evaluation; of some `arms`, or of all."""
    file = _file(run)
    if not file.is_file():
        raise InputError(f"{run} holds no traces; want a run folder with {TRACES}, or such a file")
    for number, record in enumerate(read_records(file), 1):
        try:
            trace = _located(checked_trace(record.get("trace", record)), file)
        except InvalidRun as error:
            raise InvalidRun(f"{file} line {number}: {error}") from None
        arm = POLICY_OF_MODE.get(record.get("arm", ""), record.get("arm", trace.policy))
        if arms and arm not in arms:
            continue
        cell = [str(record[part]) for part in ("resolution", "seed") if part in record]
        own = f"{name} {arm}" if "arm" in record else name
        yield own, ShownTrace("/".join([*cell, trace.id]), trace, _in_words(record))


def _in_words(record: dict[str, Any]) -> str:
    """The cell of an evaluation's plan: the resolution, and the seed where it is not the first."""
    side, seed = record.get("resolution", NATIVE), record.get("seed", 0)
    return ", ".join([*([f"asked at {side} px"] if side != NATIVE else []), *([f"seed {seed}"] if seed else [])])


def _located(trace: Trace, file: Path) -> Trace:
    """The trace with the whole path of its picture, where that was recorded relative to a folder that contains `file`.

    Unchanged where no such folder has the picture.
    """
    question = trace.question
    if Path(question.image).is_absolute() or not question.image:
        return trace
    for folder in file.resolve().parents:
        if os.path.isfile(picture := folder / question.image):
            return replace(trace, question=replace(question, images=(str(picture),)))
    return trace


def _wrong(shown: ShownTrace) -> bool:
    return score_trace(shown.trace).right is False
