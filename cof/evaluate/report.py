"""What an evaluation's traces come to: figures for every arm, overall and by resolution, category and depth, and between arms.

A question counts once: what was asked of it at several resolutions, with several seeds or in several option cycles
enters by its mean, so that intervals are those of the questions. A failed run is counted as failed and is in no mean.
By a graded metric ("anls", "iou") the accuracy is the mean of values, and right is what is worth a half or more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from cof.evaluate.run import Asked, Record
from cof.scoring.answers import Score, metric_of, score
from cof.scoring.statistics import graded, matthews, paired_bootstrap, wilson
from cof.scoring.traces import Judgement, score_trace
from cof.trace import Trace
from cof.types import Metric, Stop
from cof.vision import boxes

BASE = "direct"  # the arm that the others are compared with
NO_CATEGORY = "None"  # the key of questions without a category
GRADED = {"anls", "iou"}  # metrics whose values lie between 0 and 1 too


@dataclass(frozen=True)
class Scored:
    """A record with its score, and whether a zoom was needed for it; None where that is not known. `by` as in `Score`."""

    record: Record
    score: float | None
    by: str
    needed: bool | None

    @property
    def trace(self) -> Trace:
        return self.record.trace

    @property
    def failed(self) -> bool:
        return self.trace.stop is Stop.FAILED

    @property
    def right(self) -> bool | None:
        """Whether the answer counts as right; None where it is not scored."""
        return Score(self.score, self.by).right

    @property
    def metric(self) -> Metric:
        return metric_of(self.trace.question)


def report(records: Iterable[Record], judge: Judgement = score) -> dict[str, Any]:
    """`arms.<arm>` with figures overall and `by_resolution`, `by_category`, `by_depth`, `by_tag`, `by_metric`; and
    `pairs.<arm>-direct`."""
    arms: dict[str, list[Scored]] = defaultdict(list)
    for each in score_records(records, judge):
        arms[each.record.arm].append(each)
    base = {s.record.asked: s for s in arms.get(BASE, ()) if s.score is not None}
    return {
        "arms": {arm: _arm(found, base) for arm, found in arms.items()},
        "pairs": {
            f"{arm}-{BASE}": pair
            for arm, found in arms.items()
            if arm != BASE and (pair := difference(found, base)) is not None
        },
    }


def score_records(records: Iterable[Record], judge: Judgement = score) -> list[Scored]:
    """Every record with its score, in the order of their names."""
    records = sorted(records, key=lambda record: record.id)
    scores = {record.id: score_trace(record.trace, judge) for record in records}
    direct = {record.asked: scores[record.id].right for record in records if record.arm == BASE}
    depths = any(r.trace.question.depth is not None for r in records)
    found = []
    for record in records:
        given, alone, depth = scores[record.id], direct.get(record.asked), record.trace.question.depth
        needed = (None if depth is None else depth > 0) if depths else (None if alone is None else not alone)
        found.append(Scored(record, given.value, given.by, needed))
    return found


def difference(found: Sequence[Scored], base: Mapping[Asked, Scored]) -> dict[str, Any] | None:
    """The difference in accuracy to `base` where both were asked the same, with its interval; None where nothing was."""
    gaps: dict[str, list[float]] = defaultdict(list)
    for one in found:
        other = base.get(one.record.asked)
        if other is not None and one.score is not None and other.score is not None:
            gaps[other.record.group].append(one.score - other.score)
    if not gaps:
        return None
    mean, low, high = paired_bootstrap([fmean(gaps[group]) for group in sorted(gaps)])
    return {"difference": mean, "low": low, "high": high, "n": len(gaps)}


def _arm(found: Sequence[Scored], base: Mapping[Asked, Scored]) -> dict[str, Any]:
    categories = _by(found, base, lambda s: s.trace.question.category)
    return {
        **figures(found, base),
        "category_mean": _mean(
            one["accuracy"] for name, one in categories.items() if name != NO_CATEGORY and one["accuracy"] is not None
        ),
        "by_resolution": _by(found, base, lambda s: s.record.resolution),
        "by_category": categories,
        "by_depth": _by(found, base, lambda s: s.trace.question.depth),
        "by_tag": _by(found, base, lambda s: s.trace.question.tags),
        "by_metric": _by(found, base, lambda s: s.metric),
    }


def _by(found: Sequence[Scored], base: Mapping[Asked, Scored], key: Callable[[Scored], Any]) -> dict[str, Any]:
    """The figures of every group; where `key` gives several names, a record is in the group of each."""
    groups: dict[Any, list[Scored]] = defaultdict(list)
    for scored in found:
        names = key(scored)
        for name in names if isinstance(names, tuple) else (names,):
            groups[name].append(scored)
    return {str(name): figures(groups[name], base) for name in sorted(groups, key=lambda name: (str(type(name)), name))}


def figures(found: Sequence[Scored], base: Mapping[Asked, Scored]) -> dict[str, Any]:
    """The figures of one group of records; `base` holds the direct arm's, by cell."""
    ended = [s for s in found if not s.failed]
    means, metrics = list(_means(ended, lambda s: s.score).values()), {s.metric for s in found}
    low, high = graded(means) if metrics & GRADED else wilson(sum(means), len(means))
    traces = [s.trace for s in ended]
    overlaps = [iou for trace in traces for iou in _overlaps(trace)]
    return {
        "metric": ", ".join(sorted(metrics)),
        "accuracy": _mean(means),
        "right": _mean(_means(ended, lambda s: s.right).values()),
        "low": low,
        "high": high,
        "n": len(means),
        "samples": len(ended),
        "failed": len(found) - len(ended),
        "unscored": sum(s.score is None for s in ended),
        "zooms": _mean(trace.zooms for trace in traces),
        "zoomed": _mean(float(trace.zooms > 0) for trace in traces),
        "visual_tokens": _mean(trace.visual_tokens for trace in traces),
        "text_tokens": _mean(_text_tokens(trace) for trace in traces),
        "tokens_per_right": _tokens_per_right(ended),
        "seconds": _mean(trace.seconds for trace in traces),
        "mcc": matthews([(s.trace.zooms > 0, s.needed) for s in ended if s.needed is not None]),
        "gain": _share(ended, base, was=False, now=True),
        "harm": _share(ended, base, was=True, now=False),
        "box_iou": median(overlaps) if overlaps else None,
        "target_iou": _mean(iou for trace in traces for iou in _covered(trace)),
        "stops": _counts(s.trace.stop.value for s in found),
        "read_by": _counts(s.by for s in ended),
    }


def _means(found: Sequence[Scored], of: Callable[[Scored], float | None]) -> dict[str, float]:
    """The mean of a value of every question that has one."""
    groups: dict[str, list[float]] = defaultdict(list)
    for scored in found:
        if (value := of(scored)) is not None:
            groups[scored.record.group].append(value)
    return {group: fmean(values) for group, values in groups.items()}


def _share(found: Sequence[Scored], base: Mapping[Asked, Scored], was: bool, now: bool) -> float | None:
    """The share of records that zoomed, whose `right` is `now`, and that of whose direct arm is `was`."""
    known = [s for s in found if s.right is not None and s.record.asked in base]
    return _mean(float(s.trace.zooms > 0 and base[s.record.asked].right is was and s.right is now) for s in known)


def _tokens_per_right(found: Sequence[Scored]) -> float | None:
    right = sum(s.right for s in found if s.right is not None)
    return sum(s.trace.visual_tokens + _text_tokens(s.trace) for s in found) / right if right else None


def _text_tokens(trace: Trace) -> int:
    """All tokens of the conversation but visual ones, prompts included, each counted once."""
    if not trace.turns:
        return 0
    last = trace.turns[-1].completion
    return last.prompt_tokens - last.visual_tokens + last.tokens


def _overlaps(trace: Trace) -> list[float]:
    """For every box the model asked for, the best IoU with a true box."""
    targets = trace.question.targets
    return [max(boxes.iou(box, target) for target in targets) for box in trace.shown_boxes if targets]


def _covered(trace: Trace) -> Iterator[float]:
    """For a trace with true boxes, the mean over them of the best IoU with a box that the model asked for."""
    if targets := trace.question.targets:
        asked = trace.shown_boxes
        yield fmean(max((boxes.iou(box, target) for box in asked), default=0.0) for target in targets)


def _counts(names: Iterable[str]) -> dict[str, int]:
    found = list(names)
    return {name: found.count(name) for name in sorted(set(found))}


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None
