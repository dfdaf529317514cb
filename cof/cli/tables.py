"""Evaluations as plain text of at most 80 columns: a line for each arm and the differences, and on request every group.

A name that is too long for its column continues in the next line. A figure is never cut. Columns of the detailed tables that
would have nothing but zeros are left out. Omits Markdown and JSON (`cof.evaluate.compare`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.cells import cell_len, chop_cells

from cof.cli.console import printable
from cof.evaluate.compare import PUBLISHED, ReportRow, cells, metric_name
from cof.evaluate.pairs import Pair

WIDTH = 80  # terminal columns of a line
OVERALL = "all"  # the heading of the group that has every question of an arm
BRIEF = ("n", "accuracy %", "95% interval", "zooms", "visual tokens", "failed")
ANSWERS = ("n", "accuracy %", "95% interval", "right %", "gain %", "harm %", "unscored", "failed")
ZOOMS = ("zooms", "zoomed %", "MCC", "box IoU", "target IoU", "visual tokens", "text tokens", "tokens / right")
KEPT = ("n", "accuracy %", "95% interval")  # columns of every table that begins with them
INDENT = "  "  # of an arm under its run
NOTHING = {"-", "0", "0.0", "0.00"}  # cells that tell a reader nothing
Line = tuple[str, Sequence[str]]  # a name and its figures; without figures, a heading


def print_brief(rows: Sequence[ReportRow], pairs: Sequence[str], named: bool) -> None:
    """One line for each arm, under the name of its run where they are `named`; then the `pairs`, as `pair_line` writes them."""
    lines = list[Line]()
    overall = [row for row in rows if row.heading == OVERALL]
    for run, arms in groupby(overall, lambda row: row.run):
        lines += [(run, ())] if named else []
        lines += [(f"{INDENT * named}{row.arm}", _figures(row, BRIEF)) for row in arms]
    _print("arm", BRIEF, lines)
    _print_unscored(overall, named)
    if pairs:
        print()
    for pair in pairs:
        _print_text(pair)
    if any(PUBLISHED in row.run for row in rows):
        print("\nPublished figures of the same protocol: --details shows them.")


def print_details(rows: Sequence[ReportRow], named: bool) -> None:
    """Every figure of every group, under the name of its arm, and of its run where they are `named`."""
    for (run, arm), groups in groupby(rows, lambda row: (row.run, row.arm)):
        found = list(groups)
        print()
        _print_text(f"{run}, {arm}" if named or PUBLISHED in run else arm)
        for names in (ANSWERS, ZOOMS):
            kept = [name for name in names if _is_informative(name, found)]
            if kept:
                print()
                lines = [(row.heading, _figures(row, kept)) for row in found]
                _print("group", kept, [line for line in lines if {*line[1]} != {"-"}])
        for name in ("stops", "read_by"):
            if counts := found[0].figures.get(name):
                _print_text(f"{name.replace('_', ' ')}: {', '.join(f'{key} {n}' for key, n in counts.items())}")


def own_pairs(run: str, figures: Mapping[str, Any]) -> list[str]:
    """The differences between the arms of one run, by its report; `run` is named where it is not empty."""
    return [
        pair_line(f"{run + ': ' if run else ''}{name.replace('-', ' - ')}", found, found["n"])
        for name, found in figures.get("pairs", {}).items()
    ]


def run_pairs(pairs: Sequence[Pair], details: bool) -> list[str]:
    """The differences between runs; by resolution too where `details` are wanted."""
    return [
        pair_line(
            f"{pair.run} - {pair.base}, {pair.arm}{'' if pair.heading == OVERALL else f' at {pair.heading}'}",
            {"difference": pair.difference, "low": pair.low, "high": pair.high, "n": pair.n},
            pair.asked,
        )
        for pair in pairs
        if details or pair.heading == OVERALL
    ]


def pair_line(name: str, found: Mapping[str, Any], asked: int) -> str:
    """A difference of accuracies with its 95% interval, in points, over the `n` of the `asked` questions that count."""
    gap, low, high = (100 * found[part] for part in ("difference", "low", "high"))
    of = "" if found["n"] == asked else f" of {asked}"
    return f"{name}: {gap:+z.1f} points ({low:z.1f} to {high:z.1f}), n = {found['n']}{of}"


def _print_unscored(rows: Sequence[ReportRow], named: bool) -> None:
    for row in rows:
        if count := row.figures.get("unscored"):
            arm = f"{row.run} {row.arm}" if named else row.arm
            _print_text(f"{arm}: {count} answers are not scored: they have no truth, or no verdict of the judge")


def _figures(row: ReportRow, names: Sequence[str]) -> tuple[str, ...]:
    found = cells(row)
    if ", " in metric_name(row.figures):
        found["accuracy %"] = f"{found['accuracy %'].split()[0]} mixed"  # the groups say which
    return tuple(found[name] for name in names)


def _is_informative(name: str, rows: Sequence[ReportRow]) -> bool:
    """Whether a column has more than zeros, and "right" more than the accuracy beside it."""
    if name in KEPT:
        return True
    if name == "right %":
        return any(row.figures.get("right", row.figures["accuracy"]) != row.figures["accuracy"] for row in rows)
    return any(cells(row)[name] not in NOTHING for row in rows)


def _print(first: str, names: Sequence[str], lines: Sequence[Line]) -> None:
    """Print the lines in columns, under their names: names to the left, figures to the right."""
    heads = [name.rsplit(maxsplit=1) for name in names]
    widths = [
        max(cell_len(text) for text in (*head, *(figures[n] for _, figures in lines if figures)))
        for n, head in enumerate(heads)
    ]
    longest = max((cell_len(name) for name, figures in lines if figures), default=0)
    gap = 2 if WIDTH - sum(widths) - 2 * len(widths) >= longest else 1
    room = WIDTH - sum(widths) - gap * len(widths)
    left = max(len(first), min(room, longest))
    tops = [head[0] if len(head) == 2 else "" for head in heads]
    for label, texts in (("", tops), (first, [head[-1] for head in heads])):
        if any(texts):
            print(_line(label, texts, left, widths, gap))
    for name, figures in lines:
        folded = _folded(name, left if figures else WIDTH)
        print(_line(folded[0], figures, left, widths, gap))
        print("".join(f"{part}\n" for part in folded[1:]), end="")


def _line(name: str, figures: Sequence[str], left: int, widths: Sequence[int], gap: int) -> str:
    padded = name + " " * (left - cell_len(name))
    shown = (" " * (gap + width - cell_len(text)) + text for text, width in zip(figures, widths, strict=False))
    return (padded + "".join(shown)).rstrip()


def _print_text(text: str) -> None:
    print("\n".join(_folded(text, WIDTH)))


def _folded(text: str, width: int) -> list[str]:
    """The text in pieces of at most so many columns; an indent of two stays."""
    indent, plain = INDENT if text.startswith(INDENT) else "", printable(" ".join(text.split()))
    room = max(1, width - len(indent))
    pieces = textwrap.wrap(plain, room) if cell_len(plain) == len(plain) else chop_cells(plain, room)
    return [indent + piece for piece in pieces or [""]]
