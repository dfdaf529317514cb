"""`cof report`: evaluations side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cof.cli.options import Details
from cof.cli.tables import own_pairs, print_brief, print_details, run_pairs
from cof.errors import InputError
from cof.evaluate.compare import ReportRow, markdown, markdown_table, names_of, read_report, read_runs
from cof.evaluate.inspect_log import PICTURES, write_logs
from cof.evaluate.pairs import HEADINGS, VERDICTS, Pair, as_json, read_pairs
from cof.runs import publish
from cof.scoring.judge import remembered


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished evaluations.")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.md, comparison.json and plots.")] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Also the mean of the others, as of seeds of one training.")
    ] = False,
    inspect: Annotated[Path | None, typer.Option(help="Folder for logs of inspect-ai, one of every arm.")] = None,
    pictures: Annotated[
        int | None,
        typer.Option(min=0, help=f"--inspect: samples of a log that show what the model saw, else {PICTURES}."),
    ] = None,
    details: Details = False,
) -> None:
    """Lay evaluations side by side, with published figures where the protocol is the same, and pair them with the first."""
    if pictures is not None and inspect is None:
        raise InputError(f"--pictures {pictures} is for --inspect alone; want both, or neither")
    rows = read_runs(runs)
    pairs, apart = read_pairs(runs, mean)
    several = len(runs) > 1
    own = [
        line
        for folder, name in zip(runs, names_of(runs), strict=True)
        for line in own_pairs(name if several else "", read_report(folder))
    ]
    print_brief(rows, [*own, *run_pairs(pairs, details)], several)
    if details:
        print_details(rows, several)
    for reason in apart:
        print(reason, file=sys.stderr)
    if out is not None:
        _write_comparison(rows, pairs, out)
    if inspect is not None:
        for run in runs:
            shown = PICTURES if pictures is None else pictures
            for path in write_logs(run, inspect, remembered(run / VERDICTS), shown):
                print(f"written: {path}")


def _write_comparison(rows: Sequence[ReportRow], pairs: Sequence[Pair], out: Path) -> None:
    """Write report.md, comparison.json and plots to a folder."""
    from cof.evaluate.plots import draw

    out.mkdir(parents=True, exist_ok=True)
    beside = "\n" + markdown_table(HEADINGS, [pair.cells for pair in pairs]) if pairs else ""
    publish(out / "report.md", markdown(rows) + beside)
    publish(out / "comparison.json", as_json(rows, pairs))
    names = ["report.md", "comparison.json", *(path.name for path in draw(rows, out))]
    print(f"written to {out}: {', '.join(names)}")
