"""Watching reinforcement: what a step's rollouts did, and alarms that a person would be called for. None stops a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback

from cof.scoring.rewards import Rollout, formed
from cof.scoring.statistics import matthews
from cof.types import Stop

WINDOW = 10  # steps that must agree
RARELY = 0.05  # share of questions that need a zoom and got one, below which the tool is given up
BROKEN = 0.5  # share of rollouts in the right form below which the form has collapsed
GROWN = 2.0  # times the tokens of the first steps

Metrics = Mapping[str, float | None]
log = logging.getLogger(__name__)


def measures(rollouts: Sequence[Rollout]) -> dict[str, float | None]:
    """Means over rollouts; None where nothing is known. `zoomed/needed` is the share that zoomed of those that had to,
    `zoomed/2` of those that had to twice."""
    ended = [one for one in rollouts if one.trace.stop is not Stop.FAILED]
    depths = [(one.trace.zooms > 0, one.trace.question.depth) for one in ended]
    needed = [(zoomed, depth > 0) for zoomed, depth in depths if depth is not None]
    return {
        "accuracy": mean([one.right for one in ended]),
        "formed": mean([formed(one.trace) for one in ended]),
        "zooms": mean([one.trace.zooms for one in ended]),
        **{f"zoomed/{n}": mean([zoomed for zoomed, depth in depths if depth == n]) for n in (0, 1, 2)},
        "zoomed/needed": mean([zoomed for zoomed, need in needed if need]),
        "mcc": matthews(needed),
        "tokens": mean([one.trace.tokens for one in ended]),
        "visual_tokens": mean([one.trace.visual_tokens for one in ended]),
        "failed": mean([one.trace.stop is Stop.FAILED for one in rollouts]),
    }


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is known, None where nothing is."""
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def alarms(history: Sequence[Metrics]) -> list[str]:
    """What is wrong after the last of `history`, the metrics of every step; nothing before `WINDOW` steps."""
    last = history[-WINDOW:]
    if len(last) < WINDOW:
        return []
    checks = {
        "tool use died: hardly any question that needs a zoom gets one": _all_below(last, "zoomed/needed", RARELY),
        "the form collapsed: less than half of the rollouts keep to it": _all_below(last, "formed", BROKEN),
        "no gradient: the rollouts of every group earn the same": _all_below(last, "signal", 1e-9),
        "answers grow: twice the tokens of the first steps": _grown(history),
    }
    return [told for told, wrong in checks.items() if wrong]


class Watch(TrainerCallback):
    """Says every alarm when it begins."""

    def __init__(self) -> None:
        self.raised = set[str]()

    def on_log(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        found = alarms([entry for entry in state.log_history if "loss" in entry])
        for told in found:
            if told not in self.raised:
                log.warning("step %s: %s", state.global_step, told)
        self.raised = set(found)


def _all_below(last: Sequence[Metrics], name: str, least: float) -> bool:
    values = [value for metrics in last if (value := metrics.get(name)) is not None]
    return bool(values) and all(value < least for value in values)


def _grown(history: Sequence[Metrics]) -> bool:
    tokens = [value for metrics in history if (value := metrics.get("tokens")) is not None]
    first, last = tokens[:WINDOW], tokens[-WINDOW:]
    return len(tokens) >= 2 * WINDOW and sum(last) > GROWN * sum(first)
