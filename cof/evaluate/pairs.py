"""Runs against the first of them, question by question: how far apart they are, and whether that is more than chance.

A question counts where both runs were asked the same in the same arm: text, choices, true answer, name of the picture,
resolution and seed. Other settings may differ, and are what is compared: the model, the view rules, `--source`. Verdicts
of a judge are those that its run kept; runs with different judges are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cof.evaluate.compare import names_of, side_name
from cof.evaluate.report import Scored, difference, score_records
from cof.evaluate.run import Asked, records
from cof.scoring.judge import judge_of, remembered

HEADINGS = ("run", "arm", "group", "n", "accuracy against", "points (95% interval)")
VERDICTS = "verdicts.jsonl"
Arms = Mapping[str, Mapping[Asked, Scored]]


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
    def cells(self) -> tuple[str, ...]:
        """The pair as text, in the order of `HEADINGS`."""
        points = f"{100 * self.difference:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        return self.run, self.arm, self.heading, str(self.n), self.base, points


def read_pairs(folders: Sequence[Path]) -> list[Pair]:
    """Every other run against the first one, by arm and resolution; none of a run that was asked nothing that the first was,
    had another judge, or whose traces are gone."""
    (first, base), *others = zip(folders, names_of(folders), strict=True)
    others = [(folder, name) for folder, name in others if folder.resolve() != first.resolve()]
    known, judge = _arms(first) if others else {}, judge_of(first / VERDICTS)
    return [
        Pair(name, base, *found)
        for folder, name in others
        if judge_of(folder / VERDICTS) == judge
        for found in _pairs(_arms(folder), known)
    ]


def _arms(folder: Path) -> Arms:
    """What a run was asked, by arm; nothing where its traces were not kept."""
    found = dict[str, dict[Asked, Scored]]()
    if all((folder / name).is_file() for name in ("traces.jsonl", "failures.jsonl")):
        for each in score_records(records(folder), remembered(folder / VERDICTS)):
            found.setdefault(each.record.arm, {})[each.record.asked] = each
    return found


def _pairs(found: Arms, known: Arms) -> Iterator[tuple[str, str, int, float, float, float]]:
    """Arm, heading, questions, difference and its interval."""
    for arm in (arm for arm in found if arm in known):
        base = known[arm]
        same = [each for asked, each in found[arm].items() if asked in base and _alike(each, base[asked])]
        sides = sorted({each.record.resolution for each in same})
        parts = [("all", same)]
        if len(sides) > 1:
            parts += [(side_name(side), [each for each in same if each.record.resolution == side]) for side in sides]
        for heading, part in parts:
            if (gap := difference(part, base)) is not None:
                yield arm, heading, gap["n"], gap["difference"], gap["low"], gap["high"]


def _alike(one: Scored, other: Scored) -> bool:
    a, b = one.trace.question, other.trace.question
    return (a.text, a.choices, a.answer, Path(a.image).name) == (b.text, b.choices, b.answer, Path(b.image).name)
