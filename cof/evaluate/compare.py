"""Evaluations side by side: rows for a terminal, Markdown or JSON. Published figures are marked as such, and never mixed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cof.errors import InvalidRun
from cof.evaluate.published import published
from cof.evaluate.report import NO_CATEGORY

PUBLISHED = " (published)"
PLAIN = "match"  # the metric that is not named
DEPTHS = {"None": "unknown"}  # or that no zoom helps
Group = dict[str, Any]


@dataclass(frozen=True)
class ReportRow:
    """The figures of one arm of one run, under a `heading`: "all", or a category, depth, tag, or resolution (`side`)."""

    run: str
    arm: str
    heading: str
    figures: Group
    side: int | None = None


COLUMNS: tuple[tuple[str, Callable[[Group], str]], ...] = (
    ("n", lambda f: str(f["n"])),
    ("accuracy %", lambda f: _accuracy(f)),
    ("95% interval", lambda f: f"{_percent(f['low'])} to {_percent(f['high'])}" if f.get("n") and "low" in f else "-"),
    ("right %", lambda f: _percent(f.get("right"))),
    ("zooms", lambda f: _number(f.get("zooms"))),
    ("zoomed %", lambda f: _percent(f.get("zoomed"))),
    ("MCC", lambda f: _number(f.get("mcc"))),
    ("gain %", lambda f: _percent(f.get("gain"))),
    ("harm %", lambda f: _percent(f.get("harm"))),
    ("visual tokens", lambda f: _number(f.get("visual_tokens"), 0)),
    ("text tokens", lambda f: _number(f.get("text_tokens"), 0)),
    ("tokens / right", lambda f: _number(f.get("tokens_per_right"), 0)),
    ("box IoU", lambda f: _number(f.get("box_iou"))),
    ("target IoU", lambda f: _number(f.get("target_iou"))),
    ("unscored", lambda f: str(f.get("unscored", "-"))),
    ("failed", lambda f: str(f.get("failed", "-"))),
)
HEADINGS = ("run", "arm", "group", *(name for name, _ in COLUMNS))


def rows_of(name: str, figures: dict[str, Any]) -> list[ReportRow]:
    """The rows of one report: every arm overall, then by resolution, category, depth, tag and metric if there are several."""
    rows: list[ReportRow] = []
    for arm, found in figures["arms"].items():
        rows.append(ReportRow(name, arm, "all", found))
        if len(found["by_resolution"]) > 1:
            rows += [_at_side(name, arm, int(side), part) for side, part in found["by_resolution"].items()]
        if len(found["by_category"]) > 1:
            named = sum(part["n"] for name, part in found["by_category"].items() if name != NO_CATEGORY)
            means = {"n": named, "accuracy": found.get("category_mean")}
            rows.append(ReportRow(name, arm, "mean of categories", means))
        parts = [
            ({"no category" if name == NO_CATEGORY else name: p for name, p in found["by_category"].items()}, "{}"),
            ({DEPTHS.get(depth, depth): part for depth, part in found["by_depth"].items()}, "depth {}"),
            (found["by_tag"], "{}"),
            (found.get("by_metric", {}), "{}"),  # older reports have none
        ]
        rows += [
            ReportRow(name, arm, form.format(key), part)
            for group, form in parts
            if len(group) > 1
            for key, part in group.items()
        ]
    return rows


def read_runs(folders: Sequence[Path]) -> list[ReportRow]:
    """The rows of finished evaluations, and of what was published under the same protocol. Raises InvalidRun."""
    rows: list[ReportRow] = []
    beside: dict[tuple[str, str, int], ReportRow] = {}
    for folder, name in zip(folders, names_of(folders), strict=True):
        manifest, figures = _read(folder / "manifest.json"), read_report(folder)
        try:
            rows += rows_of(name, figures)
            found = published(manifest, figures)
        except KeyError as error:
            raise InvalidRun(f"{folder}/report.json has no {error}; write it anew with `cof eval`") from None
        for model, arm, side, part in found:
            beside[model, arm, side] = _at_side(f"{model}{PUBLISHED}", arm, side, part)
    return [*rows, *beside.values()]


def read_report(folder: Path) -> dict[str, Any]:
    """The figures of a finished evaluation. Raises InvalidRun."""
    return _read(folder / "report.json")


def names_of(folders: Sequence[Path]) -> list[str]:
    """What runs are called side by side: a folder's name, or its path where another has that name."""
    names = [folder.resolve().name for folder in folders]
    return [name if names.count(name) == 1 else str(folder) for folder, name in zip(folders, names, strict=True)]


def _at_side(run: str, arm: str, side: int, figures: Group) -> ReportRow:
    return ReportRow(run, arm, side_name(side), figures, side or None)


def side_name(side: int) -> str:
    """What a resolution is called."""
    return f"{side} px" if side else "as it is"


def cells(row: ReportRow) -> dict[str, str]:
    """The row as text, by heading."""
    names = {"run": row.run, "arm": row.arm, "group": row.heading}
    return names | {name: show(row.figures) for name, show in COLUMNS}


def markdown(rows: Sequence[ReportRow]) -> str:
    """The rows as a Markdown table."""
    return markdown_table(HEADINGS, [list(cells(row).values()) for row in rows])


def markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [headings, ["---"] * len(headings), *lines]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise InvalidRun(f"{path} is missing or damaged; want the folder of a finished `cof eval`")
    return found


def metric_name(figures: Group) -> str:
    """The metric of the figures; several, comma-separated."""
    return str(figures.get("metric", PLAIN))


def _accuracy(figures: Group) -> str:
    """The accuracy, with the name of its metric where that is not plain right or wrong."""
    value, metric = _percent(figures.get("accuracy")), metric_name(figures)
    return value if metric == PLAIN else f"{value} {metric}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
