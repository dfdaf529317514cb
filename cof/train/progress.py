"""What the stages share: steps in order, training arguments, and metrics as reports, as JSON lines and as a plot.

A stage's data are a pure function of the step, and a checkpoint holds weights, optimizer, schedule and random states; so
a run that is killed and started again ends with the same curve as an unbroken one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from cof.errors import InvalidRun
from cof.runs import publish
from cof.train.recipes import Recipe

SMOOTH = 10  # logged steps whose mean a curve shows
BOOKKEEPING = ("step", "epoch", "learning_rate")
RESTARTS = "num_tokens"  # TRL counts it anew in every process


Report = Callable[[int, Mapping[str, Any]], None]
"""Called with the steps done so far: after each step with no metrics, and with those of each step that is logged."""


class StepOrder:
    """Mixin for a Trainer: row `n` of the training set is step `n`, never shuffled."""

    train_dataset: Any

    def _get_train_sampler(self, *_: Any, **__: Any) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)


class Loaded:
    """Mixin for a Trainer whose weights were read by from_pretrained: what it misses on resuming is there already."""

    def _issue_warnings_after_load(self, _: Any) -> None:
        pass


class Curves(TrainerCallback):
    """Writes `metrics.jsonl` into `out` with every step that is logged, `curves.png` with every checkpoint and at the end."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_log(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._write(state.log_history)

    def on_save(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._draw(state.log_history)

    def on_train_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._draw(state.log_history)

    def _write(self, history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        logged = [
            {name: value for name, value in entry.items() if name != RESTARTS and value is not None}
            for entry in history
            if "loss" in entry
        ]
        publish(self.out / "metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in logged))
        return logged

    def _draw(self, history: Sequence[Mapping[str, Any]]) -> None:
        if logged := self._write(history):
            publish(self.out / "curves.png", plot({self.out.name: logged}))


class Reports(TrainerCallback):
    """Hands steps and metrics to `report`."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.report(state.global_step, {})

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        if state.is_world_process_zero and "loss" in logs:  # not the summary at the end
            self.report(state.global_step, logs)


def report_to(trainer: Any, report: Report) -> None:
    """Let `report` take the place of the library's own bar and its printed dicts."""
    for own in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(own)
    trainer.add_callback(Reports(report))


def no_report(_step: int, _metrics: Mapping[str, Any]) -> None:
    """Ignores what it gets."""


def common_arguments(config: Recipe, out: Path) -> dict[str, Any]:
    """Training arguments of every stage: cosine schedule, warmup in steps, logs every 25 steps, or as often as checkpoints."""
    return {
        "output_dir": str(out),
        "max_steps": config.steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": config.warmup,
        "adam_beta2": 0.98,
        "weight_decay": 0.01,
        "logging_steps": min(25, config.save_every),
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "per_device_train_batch_size": 1,
        "dataloader_num_workers": 1,
        "remove_unused_columns": False,
        "seed": config.seed,
        "bf16": config.precision == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "report_to": [],
    }


def read_metrics(run: Path) -> list[dict[str, float]]:
    """What a run has logged so far. Raises InvalidRun where it has not."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise InvalidRun(f"{run} holds no metrics.jsonl; want the run folder of a training that has logged a step")
    if not (logged := [json.loads(line) for line in path.read_text().splitlines()]):
        raise InvalidRun(f"{run} has logged nothing yet; want a training that has logged a step")
    return logged


def plot(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """A PNG of `curves`."""
    buffer = io.BytesIO()
    curves(runs).savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """One panel a metric that changes, and one curve a run in it: each step faintly, the mean of the last `SMOOTH`."""
    values_of = dict[str, set[float]]()
    for name, value in (found for logged in runs.values() for entry in logged for found in entry.items()):
        if name not in BOOKKEEPING and isinstance(value, int | float):
            values_of.setdefault(name, set()).add(value)
    names = [name for name, values in values_of.items() if len(values) > 1] or list(values_of)
    figure = Figure(figsize=(12, 2.4 * -(-len(names) // 4)), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(-(-len(names) // 4), 4, place)
        for colour, (run, logged) in enumerate(runs.items()):
            points = [(entry["step"], entry[name]) for entry in logged if entry.get(name) is not None]
            steps, values = [step for step, _ in points], [value for _, value in points]
            means = [fmean(values[max(0, n - SMOOTH) : n]) for n in range(1, len(values) + 1)]
            axes.plot(steps, values, color=f"C{colour}", alpha=0.25, linewidth=0.8)
            axes.plot(steps, means, color=f"C{colour}", label=run)
        axes.set_title(name, fontsize=9)
    if len(runs) > 1:
        figure.axes[0].legend(fontsize=7)
    return figure
