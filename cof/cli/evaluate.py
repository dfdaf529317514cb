"""`cof eval`: measure a model on a benchmark."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cof
from cof.cli.benchmark import SIDE, SPLIT, Examples, Selection, checked, examples_of
from cof.cli.eval_options import (
    Arms,
    Bench,
    Count,
    Data,
    Judge,
    JudgeModel,
    MetricName,
    MultipleChoice,
    Out,
    Resolutions,
    Seed,
    Seeds,
    Side,
    SourceName,
    SplitName,
    Temperature,
    arms_of,
    metric_named,
    sides_of,
    source_of,
)
from cof.cli.options import (
    Adapter,
    Budget,
    Concurrency,
    CropBudget,
    Details,
    DialectName,
    JudgeKeyFile,
    KeyFile,
    LimitItems,
    ModelName,
    TurnTokens,
    Urls,
    WireName,
    dialect_given,
    model_and_setting,
    wire_of,
)
from cof.cli.outcome import check_outcome
from cof.cli.progress import counting
from cof.cli.tables import own_pairs, print_brief, print_details
from cof.config import replace_fields
from cof.data.benchmarks.left_out import LeftOut
from cof.evaluate.compare import rows_of
from cof.evaluate.report import report
from cof.evaluate.run import EvaluationPlan, Record, evaluate, records
from cof.loop.setting import Setting
from cof.models.base import MeteredModel, Model, ModelInfo, Usage
from cof.models.opening import ModelRef, open_model
from cof.plain import to_json
from cof.runs import RunDir, fingerprint, publish
from cof.scoring.judge import judged
from cof.types import Limits, Sampling

VERSIONED = ("torch", "transformers", "numpy")  # what may change figures, where it is installed
LOSSLESS = "png"  # the wire where --wire does not say: a model is measured on the pixels of its views
PIXELS = 100_000_000  # of a question: so many that the view rules of a family decide what an evaluation shows
TURN_TOKENS = 512  # most tokens of one turn, as the released checkpoints are evaluated (arXiv 2505.15436)


def evaluation(
    bench: Bench,
    out: Out,
    data: Data = None,
    model: ModelName = None,
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    arms: Arms = "direct,own",
    resolutions: Resolutions = "",
    source: SourceName = "original",
    budget: Budget = None,
    crop_budget: CropBudget = None,
    turn_tokens: TurnTokens = None,
    n: Count = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    side: Side = SIDE,
    split: SplitName = SPLIT,
    multiple_choice: MultipleChoice = False,
    metric: MetricName = "",
    judge: Judge = None,
    judge_model: JudgeModel = "judge",
    judge_key_file: JudgeKeyFile = None,
    temperature: Temperature = 0.0,
    limit: LimitItems = [],  # noqa: B006
    concurrency: Concurrency = 16,
    details: Details = False,
) -> None:
    """Measure a model on a benchmark: accuracy with its interval, zooms and tokens of each arm, and how far arms differ."""
    plan = EvaluationPlan(arms_of(arms), sides_of(resolutions), source_of(source), tuple(range(seed, seed + seeds)))
    by, limits, sampling = metric_named(metric), _limits(limit), _sampling(temperature, turn_tokens)
    asked = checked(Selection(bench, data, n, side, split, multiple_choice, by))  # before a model is loaded: minutes
    spoken, form = dialect_given(dialect), wire_of(wire or (LOSSLESS if url else None))
    grader = _judge(judge, judge_model, judge_key_file)
    ref = ModelRef(model, tuple(url), None, key_file, form, limits.seconds, adapter, batch=concurrency)
    loaded, setting = model_and_setting(ref, limits, sampling, budget, spoken, crop_budget)
    _evaluate(plan, asked, loaded, setting, out, details, grader)


def _limits(items: list[str]) -> Limits:
    return replace_fields(Limits(pixels=PIXELS), items)


def _sampling(temperature: float, turn_tokens: int | None) -> Sampling:
    return Sampling(temperature, tokens=turn_tokens or TURN_TOKENS)


def _judge(url: str | None, name: str, key_file: Path | None) -> Model | None:
    """The judge of open answers, if there is one."""
    return open_model(ModelRef(name, (url,), key_file=key_file)) if url else None


def _evaluate(
    plan: EvaluationPlan,
    asked: Selection,
    model: MeteredModel,
    setting: Setting,
    out: Path,
    details: bool,
    judge: Model | None,
) -> None:
    """Measure the model, write the report, print it, and say what failed."""
    unusable, manifest = LeftOut(), asked.manifest
    examples = examples_of(asked, setting.spec, unusable)
    total = _count(examples, plan)  # first: what cannot be read is refused, and leaves no run folder behind
    if unusable:
        print(unusable.summary(), file=sys.stderr)
        manifest["left_out_rows"] = len(unusable)
    run = RunDir(out, manifest | to_json(plan) | _manifest(model.info, setting, asked.data))
    figures, found = _measure(model, examples, plan, setting, run, total, judge)
    figures["left_out_rows"] = len(unusable)
    if left_out := sorted(model.usage.left_out):
        figures["left_out"] = left_out
        print(f"the endpoint refuses {', '.join(left_out)}; turns were asked for without", file=sys.stderr)
    publish(out / "report.json", json.dumps(figures, indent=1))
    _print_report(figures, out, details, model.usage)
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


def _manifest(info: ModelInfo, setting: Setting, data: Path | None) -> dict[str, Any]:
    """What a run folder must agree on to go on, besides the questions and the plan; the judge may come and go."""
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
