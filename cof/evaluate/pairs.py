"""Runs against the first of them, question by question: how far apart they are, and whether that is more than chance.

A question counts where both runs were asked the same (text, true answer, resolution, seed) in the same arm, and both
answers have a score; verdicts of a judge are those that its run kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cof.evaluate.report import Scored, difference, scored
from cof.evaluate.run import records
from cof.scoring.judge import remembered

Cell = tuple[int, int, str]  # what was asked: resolution, seed, id of the question


@dataclass(frozen=True)
class Pair:
    """How much more accurate `run` is than `base` in an `arm`, in [-1, 1], with its 95% interval, over `n` questions.

    `heading` is "all", or a resolution.
    """

    run: str
    base: str
    arm: str
    heading: str
    n: int
    difference: float
    low: float
    high: float

    @property
    def told(self) -> str:
        """The difference in points."""
        return f"{100 * self.difference:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def read_pairs(folders: Sequence[Path]) -> list[Pair]:
    """Every other run against the first one, by arm and resolution; none where they were not asked the same, or where the
    traces of either are gone."""
    first, *others = folders
    base = _arms(first) if others else {}
    return [pair for other in others for pair in _pairs(other, _arms(other), first, base)]


def as_markdown(pairs: Sequence[Pair]) -> str:
    lines = ["| run | arm | group | n | accuracy against | points (95% interval) |", "|---|---|---|---|---|---|"]
    lines += [f"| {p.run} | {p.arm} | {p.heading} | {p.n} | {p.base} | {p.told} |" for p in pairs]
    return "".join(line + "\n" for line in lines)


def _arms(folder: Path) -> Mapping[str, Mapping[Cell, Scored]]:
    """What a run was asked, by arm; nothing where its traces were not kept."""
    found = dict[str, dict[Cell, Scored]]()
    if all((folder / name).is_file() for name in ("traces.jsonl", "failures.jsonl")):
        for each in scored(records(folder), remembered(folder / "verdicts.jsonl")):
            found.setdefault(each.record.arm, {})[each.record.asked] = each
    return found


def _pairs(
    other: Path,
    found: Mapping[str, Mapping[Cell, Scored]],
    first: Path,
    base: Mapping[str, Mapping[Cell, Scored]],
) -> Iterator[Pair]:
    for arm in (arm for arm in found if arm in base):
        same = [each for cell, each in found[arm].items() if cell in base[arm] and _alike(each, base[arm][cell])]
        known = {cell: each for cell, each in base[arm].items() if each.score is not None}
        sides = sorted({each.record.resolution for each in same})
        parts = [("all", same)]
        if len(sides) > 1:
            parts += [(f"{side} px", [each for each in same if each.record.resolution == side]) for side in sides]
        for heading, part in parts:
            if (gap := difference(part, known)) is not None:
                yield Pair(other.resolve().name, first.resolve().name, arm, heading, **gap)


def _alike(one: Scored, other: Scored) -> bool:
    return (one.trace.question.text, one.trace.question.answer) == (
        other.trace.question.text,
        other.trace.question.answer,
    )
