"""The three curves of an evaluation, as PNG and SVG: accuracy and zooms by resolution, accuracy against visual tokens."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cof.errors import MissingExtra
from cof.evaluate.compare import PLAIN, PUBLISHED, ReportRow
from cof.runs import publish

Point = tuple[float, float, float | None, float | None]  # x, y, and the interval of y where there is one
CURVES = (  # name of the file, figure on the x axis (None: resolution), on the y axis, their labels
    ("accuracy", None, "accuracy", "longer side of the picture, pixels", "accuracy"),
    ("zooms", None, "zooms", "longer side of the picture, pixels", "zooms a question"),
    ("tokens", "visual_tokens", "accuracy", "visual tokens a question", "accuracy"),
)


def draw(rows: Sequence[ReportRow], folder: Path) -> list[Path]:
    """Write every curve that has two points or more; returns the files. Raises MissingExtra."""
    if not any(_lines(rows, x, y) for _, x, y, _, _ in CURVES):
        return []
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("drawing curves (the tables are written without)", "matplotlib", "evaluate") from None
    written: list[Path] = []
    others = {row.figures.get("metric", PLAIN) for row in rows} - {PLAIN}
    measured = f" ({', '.join(sorted(others))})" if others else ""
    for name, x, y, across, up in CURVES:
        if lines := _lines(rows, x, y):
            figure = Figure(figsize=(6, 4), layout="constrained")
            _fill(figure.add_subplot(), lines, across, up + measured * (y == "accuracy"), ticks=x is None)
            written += [_write(figure, folder / f"{name}.{kind}") for kind in ("png", "svg")]
    return written


def _fill(axes: Any, lines: Mapping[str, Sequence[Point]], across: str, up: str, ticks: bool) -> None:
    """Draw the lines; `ticks` marks every x that has a point."""
    for label, points in lines.items():
        _line(axes, label, points)
    axes.set(xlabel=across, ylabel=up, xscale="log")
    axes.minorticks_off()
    if ticks:
        places = sorted({point[0] for points in lines.values() for point in points})
        axes.set_xticks(places, [f"{place:.0f}" for place in places], rotation=45)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _write(figure: Any, path: Path) -> Path:
    buffer, kind = io.BytesIO(), path.suffix[1:]
    figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    publish(path, buffer.getvalue())
    return path


def _lines(rows: Sequence[ReportRow], x: str | None, y: str) -> dict[str, list[Point]]:
    """Points (x, y, low, high) of every run and arm, by rising resolution."""
    lines: dict[str, list[Point]] = {}
    for row in sorted((row for row in rows if row.side), key=lambda row: row.side or 0):
        across, up = (row.side if x is None else row.figures.get(x)), row.figures.get(y)
        if across is not None and up is not None:
            band = (row.figures.get("low"), row.figures.get("high")) if y == "accuracy" else (None, None)
            lines.setdefault(f"{row.run} {row.arm}", []).append((across, up, *band))
    return {label: points for label, points in lines.items() if len(points) > 1}


def _line(axes: Any, label: str, points: Sequence[Point]) -> None:
    xs, ys, lows, highs = zip(*points, strict=True)
    drawn = axes.plot(xs, ys, "o--" if PUBLISHED in label else "o-", label=label, markersize=4)
    if all(low is not None for low in lows):
        axes.fill_between(xs, lows, highs, alpha=0.12, color=drawn[0].get_color(), linewidth=0)
