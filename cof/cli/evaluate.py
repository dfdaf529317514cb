"""`cof eval` and `cof report`: measure a model on a benchmark, and lay evaluations side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

import cof
from cof.cli.options import (
    Adapter,
    Budget,
    CropBudget,
    DialectName,
    JudgeKeyFile,
    KeyFile,
    LimitItems,
    ModelName,
    TurnTokens,
    Urls,
    WireName,
    numbers,
    opened,
    print_dialect,
    split_of,
    wire_of,
)
from cof.cli.outcome import check_outcome
from cof.cli.progress import counting
from cof.cli.tables import own_pairs, print_brief, print_details, run_pairs
from cof.config import replace_fields
from cof.data.benchmarks.known import BUILT_IN as BENCHMARKS
from cof.data.benchmarks.known import benchmark_named, benchmark_names
from cof.data.benchmarks.left_out import LeftOut
from cof.data.example import NATIVE, SOURCES, Example, Source
from cof.data.worlds import is_registered, is_world, world_of
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidConfig
from cof.evaluate.compare import ReportRow, markdown, markdown_table, names_of, read_report, read_runs, rows_of
from cof.evaluate.inspect_log import PICTURES, write_logs
from cof.evaluate.pairs import HEADINGS, VERDICTS, Pair, as_json, read_pairs
from cof.evaluate.report import report
from cof.evaluate.run import EvaluationPlan, Record, evaluate, records, scored_by
from cof.geometry import ViewSpec
from cof.loop.policies.known import BUILT_IN, policy_named
from cof.loop.setting import Setting, setting_of
from cof.models.base import Model, ModelInfo, Usage
from cof.models.opening import ModelRef, open_model
from cof.plain import to_json
from cof.registry import is_path
from cof.runs import RunDir, fingerprint, publish
from cof.scoring.judge import judged, remembered
from cof.types import Limits, Metric, Sampling

NEEDLE = "needle"
SIDE, SPLIT = 1792, "test"
NEEDLES = 200  # questions, where --n does not say
VERSIONED = ("torch", "transformers", "numpy")  # what may change figures, where it is installed
LOSSLESS = "png"  # the wire where --wire does not say: a model is measured on the pixels of its views
LEAST = 28  # pixels of a side: one visual token
PIXELS = 100_000_000  # of a question: so many that the view rules of a family decide what an evaluation shows
TURN_TOKENS = 512  # most tokens of one turn, as the released checkpoints are evaluated (arXiv 2505.15436)
METRICS: tuple[Metric, ...] = get_args(Metric)

Examples = Callable[[int], Iterable[Example]]
Details = Annotated[
    bool, typer.Option("--details", help="Also every figure by resolution, category, depth, tag and metric.")
]


def evaluation(
    bench: Annotated[str, typer.Argument(help=f"{NEEDLE}, {', '.join(BENCHMARKS)}, or module:NAME.")],
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run continues.")],
    data: Annotated[Path | None, typer.Option(help="Your local copy of the benchmark.")] = None,
    model: ModelName = None,
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    arms: Annotated[str, typer.Option(help=f"Comma-separated policies: {', '.join(BUILT_IN)}, or module:NAME.")] = (
        "direct,own"
    ),
    resolutions: Annotated[str, typer.Option(help="Longer sides in pixels, comma-separated; else as they are.")] = "",
    source: Annotated[str, typer.Option(help="resized: all from the smaller picture; original: only the overview.")] = (
        "original"
    ),
    budget: Budget = None,
    crop_budget: CropBudget = None,
    turn_tokens: TurnTokens = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help=f"Questions a seed; all, or {NEEDLES} needles.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    side: Annotated[int, typer.Option(help="needle: longer side of the pictures in pixels.")] = SIDE,
    split: Annotated[str, typer.Option(help="needle: train, validation or test.")] = SPLIT,
    multiple_choice: Annotated[bool, typer.Option("--multiple-choice", help="needle: show options.")] = False,
    metric: Annotated[str, typer.Option(help=f"Of every question: {', '.join(METRICS)}; else its own, or match.")] = "",
    judge: Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible endpoint for open answers.")] = None,
    judge_model: Annotated[str, typer.Option(help="The judge's name at that endpoint.")] = "judge",
    judge_key_file: JudgeKeyFile = None,
    temperature: Annotated[float, typer.Option(help="0: greedy; seeds then change only what is drawn.")] = 0.0,
    limit: LimitItems = [],  # noqa: B006
    concurrency: Annotated[int, typer.Option(min=1, help="Questions that run together.")] = 16,
    details: Details = False,
) -> None:
    """Measure a model on a benchmark: accuracy with its interval, zooms and tokens of each arm, and how far arms differ."""
    plan = EvaluationPlan(_arms(arms), _resolutions(resolutions), _source(source), tuple(range(seed, seed + seeds)))
    by = _metric(metric)
    limits = replace_fields(Limits(pixels=PIXELS), limit)
    sampling = Sampling(temperature, tokens=turn_tokens or TURN_TOKENS)
    _check(bench, data, side, split, multiple_choice)  # before a model is loaded, which may take minutes
    spoken, form = None if dialect is None else dialect_of(dialect), wire_of(wire or (LOSSLESS if url else None))
    asked_judge = open_model(ModelRef(judge_model, (judge,), key_file=judge_key_file)) if judge else None
    ref = ModelRef(model, tuple(url), None, key_file, form, limits.seconds, adapter, batch=concurrency)
    loaded = opened(ref)
    setting = setting_of(loaded, limits, sampling, budget, spoken, crop_budget)
    if url and spoken is None:
        print_dialect(loaded, setting.dialect)
    asked = {"benchmark": bench, "n": n, "side": side, "split": split, "multiple_choice": multiple_choice}
    asked |= {"metric": metric} if metric else {}
    unusable = LeftOut()
    examples = _scored_by(by, _examples(bench, data, n, side, split, multiple_choice, setting.spec, unusable))
    total = _count(examples, plan)  # first: what cannot be read is refused, and leaves no run folder behind
    if unusable:
        print(unusable.summary(), file=sys.stderr)
        asked["left_out_rows"] = len(unusable)
    run = RunDir(out, asked | to_json(plan) | _manifest(loaded.info, setting, data))
    figures, found = _measure(loaded, examples, plan, setting, run, total, asked_judge)
    figures["left_out_rows"] = len(unusable)
    if left_out := sorted(loaded.usage.left_out):
        figures["left_out"] = left_out
        print(f"the endpoint refuses {', '.join(left_out)}; turns were asked for without", file=sys.stderr)
    publish(out / "report.json", json.dumps(figures, indent=1))
    _print_report(figures, out, details, loaded.usage)
    check_outcome(found)


def _print_report(figures: dict[str, Any], out: Path, details: bool, used: Usage) -> None:
    rows = rows_of(out.name, figures)
    print_brief(rows, own_pairs("", figures), named=False)
    if details:
        print_details(rows, named=False)
    pictures = f"{used.images} picture{'s' * (used.images != 1)}"
    spent = f"read {used.prefilled} tokens and {pictures}, sampled {used.decoded}, {used.seconds:.0f} s in the model"
    print(spent, file=sys.stderr)
    if not details:
        print(f"every figure: {out / 'report.json'}, or cof report {out} --details", file=sys.stderr)


def comparison(
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


def _arms(text: str) -> tuple[str, ...]:
    """The names of policies, each once; those of this package first."""
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InvalidConfig(f"--arms {text!r} names none; want some of {', '.join(BUILT_IN)}, comma-separated")
    for name in names:
        policy_named(name)
    return (*(name for name in BUILT_IN if name in names), *(name for name in names if name not in BUILT_IN))


def _resolutions(text: str) -> tuple[int, ...]:
    want = f"different sides of {LEAST} pixels and more, such as 224,448"
    return numbers("--resolutions", text, LEAST, want, twice=False) or (NATIVE,)


def _source(name: str) -> Source:
    for source in SOURCES:
        if name == source:
            return source
    raise InvalidConfig(f"--source {name!r} is not known; want one of {', '.join(SOURCES)}")


def _metric(name: str) -> Metric | None:
    """The metric of that name; None for no name, which leaves each question its own."""
    for metric in METRICS:
        if name == metric:
            return metric
    if name:
        raise InvalidConfig(f"--metric {name!r} is not known; want one of {', '.join(METRICS)}")
    return None


def _scored_by(metric: Metric | None, examples: Examples) -> Examples:
    return lambda seed: (scored_by(example, metric) for example in examples(seed))


def _check(bench: str, data: Path | None, side: int, split: str, multiple_choice: bool) -> None:
    """Refuse an unknown benchmark, options that do not fit it, and data without a usable row; a world has none."""
    if is_world(bench) and (data is None or is_registered(bench)):
        if data is not None:
            raise InvalidConfig(f"--data does not apply to {bench}, whose pictures are drawn; leave it out")
        split_of(split)
        world_of(bench)
        return
    if not is_path(bench) and bench not in benchmark_names():
        want = f"want one of {', '.join([NEEDLE, *benchmark_names()])}, or module:NAME"
        raise InputError(f"unknown benchmark {bench!r}; {want}")
    reader = benchmark_named(bench)
    if (side, split, multiple_choice) != (SIDE, SPLIT, False):
        raise InvalidConfig(f"--side, --split and --multiple-choice apply to needle alone; leave them out for {bench}")
    if data is None:
        raise InputError(f"benchmark {bench} needs your local copy; give --data (docs/evaluate.md says from where)")
    next(iter(reader(data, 0, LeftOut())), None)


def _examples(
    bench: str,
    data: Path | None,
    n: int | None,
    side: int,
    split: str,
    multiple_choice: bool,
    spec: ViewSpec,
    left_out: LeftOut,
) -> Examples:
    if data is None:  # its pictures are drawn
        return lambda seed: world_of(bench).examples(
            split_of(split), seed, n or NEEDLES, (side,), spec, multiple_choice
        )
    return lambda seed: islice(benchmark_named(bench)(data, seed, left_out), n)


def _manifest(info: ModelInfo, setting: Setting, data: Path | None) -> dict[str, Any]:
    """What a run folder must agree on to go on, besides the plan; the judge may come and go."""
    return {
        "model": info.name,
        "weights": info.fingerprint,
        "wire": info.wire,
        "setting": to_json(setting) | {"policy": None, "dialect": setting.dialect.name},
        "prompts": setting.dialect.fingerprint(),
        "data": None if data is None else fingerprint(data),
        "versions": {"cof": cof.__version__} | {name: version(name) for name in VERSIONED if find_spec(name)},
    }


def _count(examples: Examples, plan: EvaluationPlan) -> int:
    """How many traces the plan comes to."""
    return len(plan.arms) * len(plan.resolutions) * sum(sum(1 for _ in examples(seed)) for seed in plan.seeds)


def _measure(
    model: Model,
    examples: Examples,
    plan: EvaluationPlan,
    setting: Setting,
    folder: RunDir,
    total: int,
    judge: Model | None,
) -> tuple[dict[str, Any], list[Record]]:
    """Do the evaluation's work in its run folder, with progress; returns the report of all its records, and these."""
    with folder as run, counting("answering", total, len(run.journal("traces").done)) as advance:
        evaluate(model, examples, plan, setting, run, lambda _: advance())
        found = list(records(run.folder))
        if judge is None:
            return report(found), found
        answers = [(record.trace.question, record.trace.answer) for record in found]
        scored = judged(judge, answers, run.journal("verdicts"))
        if missing := sum(asked.answer is not None and scored(asked, said).value is None for asked, said in answers):
            print(f"{missing} answers have no verdict of the judge; the same command asks it again", file=sys.stderr)
        return report(found, scored), found
