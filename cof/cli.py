"""The command line: parse, call, print. Errors end in one line on stderr and exit code 2 (bad input) or 1 (a failure)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import cof
from cof.config import dump_config, load_config, replace_fields
from cof.errors import CofError, InputError, InvalidConfig, MissingExtra
from cof.evaluate.report import report
from cof.evaluate.run import ARMS, Arm, evaluate
from cof.focus.ask import open_model, with_budget
from cof.focus.loop import Setting
from cof.runs import RunDir, publish, read_records
from cof.serve.page import trace_page
from cof.types import Limits, Sampling, Trace, ViewSpec, Zoom, to_json, trace_from_json
from cof.vision.load import load
from cof.worlds import needle
from cof.worlds.scenes import SPLITS, Split

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=cof.__doc__)
world = typer.Typer(no_args_is_help=True, help="The needle world: synthetic pictures with known answers.")
evaluation = typer.Typer(no_args_is_help=True, help="Measure a model on a benchmark.")
training = typer.Typer(no_args_is_help=True, help="Train a model by a recipe.")
app.add_typer(world, name="world")
app.add_typer(evaluation, name="eval")
app.add_typer(training, name="train")

ModelName = Annotated[str, typer.Option("--model", help="nano, a folder in Hugging Face layout, or a hub id.")]
LimitItems = Annotated[
    list[str], typer.Option("--limit", help="turns=N, zooms=N, tokens=N, pixels=N or seconds=N; repeatable.")
]
Budget = Annotated[int | None, typer.Option("--budget", min=4, help="Most visual tokens of the overview.")]
Overrides = Annotated[list[str], typer.Option("--set", help="key=value over the recipe; repeatable.")]


@app.command()
def ask(
    image: Annotated[Path, typer.Argument(help="JPEG, PNG or WEBP.")],
    question: str,
    choice: Annotated[list[str], typer.Option("--choice", help="A possible answer; repeatable.")] = [],  # noqa: B006
    model: ModelName = "nano",
    adapter: Annotated[str | None, typer.Option(help="A LoRA folder or hub id.")] = None,
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[Path | None, typer.Option("--trace", help="Write the trace page to this HTML file.")] = None,
) -> None:
    """Ask a question about a picture, and see where the model looked."""
    limits, picture = replace_fields(Limits(), limit), load(image)
    loaded = _open(model, adapter)
    spec = _spec(loaded, budget)
    found = cof.run(loaded, cof.Question("ask", str(image), question, tuple(choice)), picture, Setting(spec, limits))
    if trace is not None:
        _write(trace, trace_page(found, picture))
    if as_json:
        print(json.dumps(_summary(found), ensure_ascii=False))
    else:
        _tell(found, trace)
    if found.error is not None:
        raise cof.ModelError(found.error)


@world.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write to, in V*Bench's layout.")],
    n: Annotated[int, typer.Option("--n", min=1)] = 10,
    side: Annotated[int, typer.Option(help="Longer side of the pictures in pixels.")] = 1792,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    budget: Budget = None,
) -> None:
    """Write needle pictures and questions to a folder."""
    spec = with_budget(ViewSpec(), budget) if budget else ViewSpec()
    count = needle.write(_progress(needle.samples(_split(split), seed, n, side, spec), n, "drawing"), out)
    print(f"{count} pictures in {out}")


@evaluation.command("needle")
def eval_needle(
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run continues.")],
    n: Annotated[int, typer.Option("--n", min=1)] = 200,
    side: int = 1792,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    split: str = "test",
    arms: Annotated[str, typer.Option(help="Comma-separated: direct, focus.")] = "direct,focus",
    model: ModelName = "nano",
    adapter: str | None = None,
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    multiple_choice: Annotated[
        bool, typer.Option("--multiple-choice", help="Show options; open answers without.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Questions that run together.")] = 32,
) -> None:
    """Evaluate on needle questions: accuracy by category and depth, zooms, visual tokens."""
    chosen, limits = _arms(arms), replace_fields(Limits(), limit)
    asked: dict[str, Any] = {
        "split": _split(split),
        "seed": seed,
        "count": n,
        "side": side,
        "multiple_choice": multiple_choice,
    }
    loaded = _open(model, adapter)
    setting = Setting(_spec(loaded, budget), limits, Sampling(tokens=128))
    manifest = {"benchmark": "needle", "model": model, "adapter": adapter, **asked, "version": cof.__version__}
    manifest["setting"] = to_json(setting) | {"direct": None}
    figures = _measure(
        lambda bar, run: evaluate(
            loaded,
            lambda: ((each.question, each.picture) for each in needle.samples(spec=setting.spec, **asked)),
            chosen,
            setting,
            run,
            batch,
            bar,
        ),
        RunDir(out, manifest),
        n * len(chosen),
    )
    publish(out / "report.json", json.dumps(figures, indent=1))
    _table(figures)


@training.command("perception")
def train_perception(
    config: Annotated[Path, typer.Option(help="Recipe (TOML).")],
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run continues.")],
    set_: Overrides = [],  # noqa: B006
) -> None:
    """Stage 0: teach visual tokens what they show."""
    stage = _stage("cof.train.perception")
    chosen = load_config(stage.PerceptionConfig, config, set_)
    _train(stage.train_perception, chosen, out)


@training.command("sft")
def train_sft(
    config: Annotated[Path, typer.Option(help="Recipe (TOML).")],
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run continues.")],
    set_: Overrides = [],  # noqa: B006
) -> None:
    """Stage 1: supervised trajectories."""
    stage = _stage("cof.train.sft")
    chosen = load_config(stage.SupervisedConfig, config, set_)
    _train(stage.train_supervised, chosen, out)


@training.command()
def pack(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a finished training run.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
) -> None:
    """Write a trained nano in bfloat16, as the package carries it."""
    _stage("cof.train.nano").pack(model, out)
    print(f"packed in {out}")


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(standalone_mode=True)
    except InputError as error:
        sys.exit(_fail(error, 2))
    except CofError as error:
        sys.exit(_fail(error, 1))


def _fail(error: Exception, code: int) -> int:
    print(f"cof: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _open(model: str, adapter: str | None) -> Any:
    """The model, without the bars that its library draws while loading."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    return open_model(model, adapter)


def _spec(model: Any, budget: int | None) -> ViewSpec:
    spec: ViewSpec = getattr(model, "spec", ViewSpec())
    return with_budget(spec, budget) if budget else spec


def _arms(text: str) -> list[Arm]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or not set(names) <= set(ARMS):
        raise InvalidConfig(f"--arms {text!r} is not understood; want some of {', '.join(ARMS)}, comma-separated")
    return [arm for arm in ARMS if arm in names]


def _stage(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}; install chain-of-focus[train]") from None


def _split(name: str) -> Split:
    for split in SPLITS:
        if name == split:
            return split
    raise InputError(f"unknown split {name!r}; want one of {', '.join(SPLITS)}")


def _measure(work: Callable[[Callable[[Trace], None], RunDir], None], folder: RunDir, total: int) -> dict[str, Any]:
    """Do an evaluation's work in its run folder, with progress; returns the report of all its traces."""
    with folder as run, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("questions", total=total, completed=len(run.journal("traces").done))
        work(lambda _: bar.advance(task), run)
        return report((r["arm"], trace_from_json(r["trace"])) for r in read_records(run.folder / "traces.jsonl"))


def _train(stage: Callable[[Any, Path], Path], config: Any, out: Path) -> None:
    with RunDir(out, dump_config(config)):
        print(f"trained model in {stage(config, out)}")


def _write(path: Path, text: str) -> None:
    try:
        publish(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; want a file in a folder that exists") from None


def _summary(trace: Trace) -> dict[str, Any]:
    asked = [box for turn in trace.turns if isinstance(turn.action, Zoom) for box in turn.action.boxes]
    return {
        "answer": trace.answer,
        "stop": trace.stop.value,
        "zooms": trace.zooms,
        "tokens": trace.tokens,
        "visual_tokens": trace.visual_tokens,
        "boxes": [[round(v, 1) for v in box.as_tuple()] for box in asked],
        "seconds": round(trace.seconds, 2),
    }


def _tell(trace: Trace, page: Path | None) -> None:
    for turn in trace.turns:
        if isinstance(turn.action, Zoom):
            for box in turn.action.boxes:
                corners = ", ".join(f"{v:.0f}" for v in box.as_tuple())
                print(f"looked at  {turn.action.label or 'a region'}  [{corners}]")
    print(f"answer     {trace.answer if trace.answer is not None else '(none)'}")
    print(
        f"stop       {trace.stop.value}, {trace.zooms} zooms, {trace.visual_tokens} visual tokens, {trace.seconds:.1f} s"
    )
    if page is not None:
        print(f"trace      {page}")


def _table(figures: dict[str, Any]) -> None:
    table = Table(
        "arm", "group", "n", "accuracy", "95% interval", "zooms", "zoomed", "visual tokens", "box IoU", "failed"
    )
    for arm, found in figures["arms"].items():
        groups = {"all": found} | found["by_category"] | {f"depth {d}": f for d, f in found["by_depth"].items()}
        for name, f in groups.items():
            table.add_row(
                arm,
                name,
                str(f["n"]),
                _percent(f["accuracy"]),
                f"{_percent(f['low'])} to {_percent(f['high'])}",
                _number(f["zooms"]),
                _percent(f["zoomed"]),
                _number(f["visual_tokens"]),
                _number(f["box_iou"]),
                str(f["failed"]),
            )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _progress(items: Any, total: int, what: str) -> Any:
    with Progress(console=Console(stderr=True)) as bar:
        yield from bar.track(items, total=total, description=what)
