"""What a set of trajectories holds, in figures and plots: zooms, boxes, resolutions, words, and why others were dropped."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from cof.errors import MissingExtra
from cof.runs import publish
from cof.trace import Trace

SHARES = (0.001, 0.01, 0.05, 0.2, 1.0)  # of the picture that a box covers: the upper ends of the classes


def describe(traces: Sequence[Trace], dropped: Mapping[str, int]) -> dict[str, Any]:
    """Counts by class, each class with its name; `median_*` are of all trajectories."""
    looks = [view.region.area / trace.overview.region.area for trace in traces for view in trace.views]
    return {
        "trajectories": len(traces),
        "zooms": _counted(trace.zooms for trace in traces),
        "category": _counted(trace.question.category or "none" for trace in traces),
        "picture_side": _counted(
            int(max(trace.overview.region.width, trace.overview.region.height)) for trace in traces
        ),
        "overview_tokens": _counted(trace.overview.pixels // trace.spec.factor**2 for trace in traces),
        "box_share": {f"up to {top:g}": sum(low < look <= top for look in looks) for low, top in _classes()},
        "median_visual_tokens": median(trace.visual_tokens for trace in traces) if traces else None,
        "median_characters": median(_characters(trace) for trace in traces) if traces else None,
        "dropped": {reason: count for reason, count in dropped.items() if count},
    }


def plot(figures: Mapping[str, Any], path: Path) -> None:
    """Bars of every count, as PNG. Raises MissingExtra."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("plotting", "matplotlib", "evaluate") from None
    counts = {name: values for name, values in figures.items() if isinstance(values, dict) and values}
    drawing = Figure(figsize=(8, 1.0 + 1.9 * len(counts)), layout="constrained")
    for axes, (name, values) in zip(drawing.subplots(len(counts), squeeze=False)[:, 0], counts.items(), strict=True):
        axes.barh([str(key) for key in values], list(values.values()))
        axes.invert_yaxis()
        axes.set_title(name.replace("_", " "), fontsize=9, loc="left")
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=100)
    publish(path, buffer.getvalue())


def _counted(values: Any) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _classes() -> list[tuple[float, float]]:
    return list(zip((0.0, *SHARES), SHARES, strict=False))


def _characters(trace: Trace) -> int:
    return sum(len(turn.completion.text) for turn in trace.turns)
