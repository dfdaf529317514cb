"""Options that `cof eval` alone has, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from cof.cli.benchmark import NEEDLE, NEEDLES
from cof.cli.options import numbers
from cof.data.benchmarks.known import BUILT_IN as BENCHMARKS
from cof.data.example import NATIVE, SOURCES, Source
from cof.errors import InvalidConfig
from cof.loop.policies.known import BUILT_IN, policy_named
from cof.types import Metric

LEAST = 28  # pixels of a side: one visual token
METRICS: tuple[Metric, ...] = get_args(Metric)

Bench = Annotated[str, typer.Argument(help=f"{NEEDLE}, {', '.join(BENCHMARKS)}, or module:NAME.")]
Out = Annotated[Path, typer.Option(help="Run folder; an interrupted run continues.")]
Data = Annotated[Path | None, typer.Option(help="Your local copy of the benchmark.")]
Arms = Annotated[str, typer.Option(help=f"Comma-separated policies: {', '.join(BUILT_IN)}, or module:NAME.")]
Resolutions = Annotated[str, typer.Option(help="Longer sides in pixels, comma-separated; else as they are.")]
SourceName = Annotated[str, typer.Option(help="resized: all from the smaller picture; original: only the overview.")]
Count = Annotated[int | None, typer.Option("--n", min=1, help=f"Questions a seed; all, or {NEEDLES} needles.")]
Seeds = Annotated[int, typer.Option(min=1, help="Repetitions.")]
Seed = Annotated[int, typer.Option(min=0, help="The first seed.")]
Side = Annotated[int, typer.Option(help="needle: longer side of the pictures in pixels.")]
SplitName = Annotated[str, typer.Option(help="needle: train, validation or test.")]
MultipleChoice = Annotated[bool, typer.Option("--multiple-choice", help="needle: show options.")]
MetricName = Annotated[str, typer.Option(help=f"Of every question: {', '.join(METRICS)}; else its own, or match.")]
Judge = Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible endpoint for open answers.")]
JudgeModel = Annotated[str, typer.Option(help="The judge's name at that endpoint.")]
Temperature = Annotated[float, typer.Option(help="0: greedy; seeds then change only what is drawn.")]


def arms_of(text: str) -> tuple[str, ...]:
    """The names of policies, each once; those of this package first. Raises InvalidConfig."""
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InvalidConfig(f"--arms {text!r} names none; want some of {', '.join(BUILT_IN)}, comma-separated")
    for name in names:
        policy_named(name)
    return (*(name for name in BUILT_IN if name in names), *(name for name in names if name not in BUILT_IN))


def sides_of(text: str) -> tuple[int, ...]:
    want = f"different sides of {LEAST} pixels and more, such as 224,448"
    return numbers("--resolutions", text, LEAST, want, twice=False) or (NATIVE,)


def source_of(name: str) -> Source:
    for source in SOURCES:
        if name == source:
            return source
    raise InvalidConfig(f"--source {name!r} is not known; want one of {', '.join(SOURCES)}")


def metric_named(name: str) -> Metric | None:
    """The metric of that name; None for no name, which leaves each question its own. Raises InvalidConfig."""
    for metric in METRICS:
        if name == metric:
            return metric
    if name:
        raise InvalidConfig(f"--metric {name!r} is not known; want one of {', '.join(METRICS)}")
    return None
