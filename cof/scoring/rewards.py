"""Rewards for reinforcement: what a rollout earns, from its trace alone. Pure; every part has its range and its source.

A reward is computed for all rollouts of one question together (a group), because some depend on the others. None means "not
known", and is never 0: a part that no rollout of a group has is ignored; a rollout that lacks one which others have gets no
reward, and is not learnt from.
"""

from __future__ import annotations

import math
import numbers
import reprlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cof import registry
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.geometry import Box
from cof.scoring import adaptive, answers, overlap
from cof.scoring.adaptive import GradedRollout
from cof.scoring.traces import Judgement, score_trace
from cof.trace import Trace
from cof.types import Malformed, Stop
from cof.vision import boxes

GROUP = "cof.rewards"  # of entry points
ALIKE = 1e-6  # rewards of a group that differ by less are the same


@dataclass(frozen=True)
class Rollout:
    """A trace and how right its answer is, in [0, 1]; None where that is not known, or the model failed."""

    trace: Trace
    right: float | None


Reward = Callable[[Sequence[Rollout]], list[float | None]]
Weights = Mapping[str, float]  # how much each reward counts, by its name; what weighs nothing is not computed


def reward_named(name: str) -> Reward:
    """The reward: one of REWARDS, of an installed package, or at the Python path `module:name`. Raises InvalidConfig."""
    if name in REWARDS:
        return REWARDS[name]
    found = registry.part("reward", name, registry.known(GROUP, dict.fromkeys(REWARDS, "")))
    if not callable(found):
        raise InvalidConfig(f"reward {name!r} is {type(found).__name__}; want a function of a group of rollouts")
    reward: Reward = found
    return reward


def graded(trace: Trace, judge: Judgement = answers.score) -> Rollout:
    """A trace with the score of its answer; `judge` may ask a model where the layers cannot read it."""
    return Rollout(trace, score_trace(trace, judge).value)


def formed(trace: Trace) -> float:
    """1 if every turn keeps to the dialect's form and the last one answers, else 0."""
    turns, dialect = trace.model_turns, dialect_of(trace.dialect)
    kept = all(dialect.well_formed(turn.completion.text) and not isinstance(turn.action, Malformed) for turn in turns)
    return float(kept and trace.answer is not None)


def box_iou(trace: Trace) -> float | None:
    """The mean over the true boxes of the best IoU of any box that was asked for, in [0, 1]; 0 without zooms.

    As mIoU of TreeBench (arXiv 2507.07999). None where the true boxes are not known, no zoom is needed or none would
    help, so that zooming itself is no merit.
    """
    return _best(trace, boxes.iou, 0.0)


def box_giou(trace: Trace) -> float | None:
    """As `box_iou` with the generalised IoU (arXiv 1902.09630), in [-1, 1]: a near miss is better than a far one."""
    return _best(trace, boxes.giou, -1.0)


def box_count(trace: Trace) -> float | None:
    """How near the number of boxes is to that of true ones that need a look, in [0, 1]; None where that is not known."""
    needed, used = trace.question.depth, len(trace.requested_boxes)
    return None if needed is None else 1 - abs(used - needed) / max(used, needed, 1)


def notes(trace: Trace) -> float | None:
    """Whether what was noted of the crops gives the answer without the picture, 1 or 0; None without a truth.

    A note is the thought after a crop. It counts only beside the right answer: a note that has what the answer then misses
    is worth nothing, and so is one that names several. An answer without zooms is its own note.
    """
    question = trace.question
    right = score_trace(trace).right
    told = [turn.thought for turn in trace.model_turns[1:] if turn.kind != "malformed"]
    noted = not trace.zooms or any(answers.score(question, note).right for note in told)
    return None if right is None else float(right and noted)


def length(trace: Trace) -> float:
    """Minus the share of the tokens that the run might take, in [-1, 0]."""
    return -min(1.0, trace.tokens / max(1, trace.limits.tokens))


def zooms(trace: Trace) -> float:
    """Minus the share of the zooms that the run might take, refused ones counted, in [-1, 0]."""
    return -min(1.0, len(trace.requested_boxes) / max(1, trace.limits.zooms))


def agar(group: Sequence[Rollout], form: Callable[[Sequence[GradedRollout]], list[float]]) -> list[float | None]:
    """The adaptive group-aware reward in one of its forms (`adaptive.py`), over the rollouts whose answer is known."""
    known = [(one.trace, one.right >= answers.RIGHT) for one in group if one.right is not None]
    worth = iter(form([GradedRollout(right, formed(trace) == 1.0, trace.zooms > 0) for trace, right in known]))
    return [None if one.right is None else next(worth) for one in group]


def parts(group: Sequence[Rollout], weights: Weights) -> dict[str, list[float | None]]:
    """Every reward of a group that weighs something, by its name; None throughout for a rollout whose model failed.

    Raises InvalidConfig where a reward gives something else than a finite number or None for each rollout.
    """
    failed = [one.trace.stop is Stop.FAILED for one in group]
    values = {name: _given(name, group) for name, weight in weights.items() if weight}
    return {
        name: [None if gone else value for gone, value in zip(failed, column, strict=True)]
        for name, column in values.items()
    }


def total(values: Mapping[str, Sequence[float | None]], weights: Weights) -> list[float | None]:
    """The weighted sum for each rollout; None for one that lacks a part which another of its group has, or has none."""
    if not values:
        return []
    used = [name for name, column in values.items() if any(value is not None for value in column)]
    rows = (
        zip(*(values[name] for name in used), strict=True) if used else [(None,) for _ in next(iter(values.values()))]
    )
    return [_sum(row, [weights[name] for name in used]) for row in rows]


def advantages_of(rewards: Sequence[float | None], scale: bool) -> list[float | None]:
    """How much better than its group's mean each rollout is, in its deviations if `scale`; None where nothing is to be learnt.

    That is where the reward is not known, or all known ones are alike.
    """
    known = [reward for reward in rewards if reward is not None]
    if not known or max(known) - min(known) < ALIKE:
        return [None] * len(rewards)
    middle, deviation = statistics.mean(known), statistics.stdev(known) if scale else 1.0
    return [None if reward is None else (reward - middle) / deviation for reward in rewards]


def _given(name: str, group: Sequence[Rollout]) -> list[float | None]:
    reward = reward_named(name)
    try:
        values = list(reward(group))
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InvalidConfig(f"reward {name!r} failed ({reason}); want it corrected, or weighed 0") from error
    if len(values) != len(group) or not all(value is None or _is_finite(value) for value in values):
        want = "want a finite number or None for each"
        raise InvalidConfig(f"reward {name!r} gave {reprlib.repr(values)} for {len(group)} rollouts; {want}")
    return [None if value is None else float(value) for value in values]


def _is_finite(value: object) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(float(value))


def _sum(row: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [value for value in row if value is not None]
    return sum(w * value for w, value in zip(weights, known, strict=True)) if len(known) == len(row) else None


def _against_truth(trace: Trace, part: Callable[[str, str], float | None]) -> float | None:
    """The best value of `part` over the true answers; None where it gives nothing, or there is no truth or no run."""
    question = trace.question
    if question.answer is None or trace.stop is Stop.FAILED:
        return None
    found = [part(trace.answer or "", truth) for truth in (question.answer, *question.aliases)]
    return max((value for value in found if value is not None), default=None)


def _best(trace: Trace, shared: Callable[[Box, Box], float], least: float) -> float | None:
    """The mean over the true boxes of the best overlap of any box that was asked for."""
    targets, asked = trace.question.targets, trace.requested_boxes
    if not targets or trace.question.depth == 0 or trace.question.readable is False:
        return None
    return sum(max((shared(box, target) for box in asked), default=least) for target in targets) / len(targets)


def _each(part: Callable[[Trace], float | None]) -> Reward:
    return lambda group: [part(one.trace) for one in group]


def _text(part: Callable[[str, str], float | None]) -> Reward:
    def reward(group: Sequence[Rollout]) -> list[float | None]:
        return [_against_truth(one.trace, part) for one in group]

    return reward


REWARDS: Mapping[str, Reward] = {
    "accuracy": lambda group: [one.right for one in group],
    "exact": _text(answers.exact),
    "f1": _text(overlap.f1),
    "anls": _text(overlap.anls),
    "number": _text(overlap.near_number),
    "format": _each(formed),
    "iou": _each(box_iou),
    "giou": _each(box_giou),
    "count": _each(box_count),
    "notes": _each(notes),
    "length": _each(length),
    "zooms": _each(zooms),
    "agar": lambda group: agar(group, adaptive.paper),
    "agar_released": lambda group: agar(group, adaptive.released),
}
