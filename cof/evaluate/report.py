"""What a run of traces comes to: accuracy with its interval, zooms, visual tokens, boxes; per arm, category and depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist, fmean, median
from typing import Any

from cof.scoring.answers import exact
from cof.types import Stop, Trace, Zoom
from cof.vision import boxes

CONFIDENCE = 0.95


def report(traces: Iterable[tuple[str, Trace]]) -> dict[str, Any]:
    """`arms.<arm>` with figures overall, and the same under `by_category.<name>` and `by_depth.<n>`."""
    arms: dict[str, list[Trace]] = {}
    for arm, trace in sorted(traces, key=lambda pair: (pair[0], pair[1].id)):
        arms.setdefault(arm, []).append(trace)
    return {"arms": {arm: _arm(found) for arm, found in arms.items()}}


def wilson(right: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Wilson score interval of `right` successes among `n` (Wilson 1927), in [0, 1]."""
    if n == 0:
        return 0.0, 1.0
    z, p = NormalDist().inv_cdf(0.5 + confidence / 2), right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _arm(traces: Sequence[Trace]) -> dict[str, Any]:
    return {
        **figures(traces),
        "by_category": _by(traces, lambda trace: trace.question.category),
        "by_depth": _by(traces, lambda trace: trace.question.depth),
    }


def figures(traces: Sequence[Trace]) -> dict[str, Any]:
    """The figures of one group. A failed run is counted in `failed` and left out of accuracy."""
    ended = [trace for trace in traces if trace.stop is not Stop.FAILED]
    scores = [s for s in (exact(trace.answer, trace.question.answer) for trace in ended) if s is not None]
    low, high = wilson(sum(scores), len(scores))
    overlaps = [iou for trace in ended for iou in _overlaps(trace)]
    return {
        "accuracy": fmean(scores) if scores else None,
        "low": low,
        "high": high,
        "n": len(scores),
        "failed": len(traces) - len(ended),
        "zooms": _mean(trace.zooms for trace in ended),
        "zoomed": _mean(float(trace.zooms > 0) for trace in ended),
        "visual_tokens": _mean(trace.visual_tokens for trace in ended),
        "tokens": _mean(trace.tokens for trace in ended),
        "box_iou": median(overlaps) if overlaps else None,
        "stops": {stop.value: n for stop in Stop if (n := sum(trace.stop is stop for trace in traces))},
    }


def _by(traces: Sequence[Trace], key: Callable[[Trace], Any]) -> dict[str, Any]:
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(str(key(trace)), []).append(trace)
    return {name: figures(group) for name, group in sorted(groups.items())}


def _overlaps(trace: Trace) -> list[float]:
    """For every box the model asked for, the best IoU with a true box."""
    asked = [box for turn in trace.turns if isinstance(turn.action, Zoom) and turn.views for box in turn.action.boxes]
    return [max(boxes.iou(box, target) for target in trace.question.targets) for box in asked if trace.question.targets]


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None
