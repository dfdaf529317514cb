"""Runs against the first of them, question by question: how far apart they are, and whether that is more than chance.

A question counts where both runs were asked the same in the same arm: text, choices, true answers, metric, name of the
picture, resolution and seed. Other settings may differ, and are what is compared: the model, the view rules, `--source`.
Verdicts of a judge are those that its run kept; runs with different judges are not compared. The mean of several runs, such as
seeds of one training, is compared where all of them were asked the same; its interval is that of the questions, not of the
seeds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cof.errors import InputError
from cof.evaluate.compare import ReportRow, names_of, side_name
from cof.evaluate.report import Scored, difference, score_records
from cof.evaluate.run import Asked, records
from cof.scoring.judge import judge_of, remembered

HEADINGS = ("run", "arm", "group", "n", "accuracy against", "points (95% interval)")
VERDICTS = "verdicts.jsonl"
Arms = Mapping[str, Sequence[Scored]]


@dataclass(frozen=True)
class Pair:
    """How much more accurate `run` is than `base` in an `arm`, in [-1, 1], with its 95% interval, over `n` of its `asked`
    questions. `heading` is "all", or a resolution; `run` a run, or the mean of several.
    """

    run: str
    base: str
    arm: str
    heading: str
    n: int
    asked: int
    difference: float
    low: float
    high: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The pair as text, in the order of `HEADINGS`."""
        points = f"{100 * self.difference:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        count = str(self.n) if self.n == self.asked else f"{self.n} of {self.asked}"
        return self.run, self.arm, self.heading, count, self.base, points


def read_pairs(folders: Sequence[Path], mean: bool = False) -> tuple[list[Pair], list[str]]:
    """Every other run against the first one, by arm and resolution, and with `mean` the mean of those; and why a run is in
    no pair, a line each.

    Raises InputError where a folder is given twice, InvalidRun where its traces are damaged.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is given twice; want each folder once")
    (first, base), *others = zip(folders, names_of(folders), strict=True)
    pairs, told, compared = list[Pair](), list[str](), list[Arms]()
    known, judge = _arms(first) if others else {}, judge_of(first / VERDICTS)
    for folder, name in others:
        found, other = _arms(folder), judge_of(folder / VERDICTS)
        own = [Pair(name, base, *values) for values in _pairs([found], known)] if other == judge else []
        pairs += own
        if own:
            compared.append(found)
        else:
            told.append(f"{name} is not compared with {base}: {_why(found, known, other == judge)}")
    if mean:
        several = compared if len(compared) > 1 else []
        means = [Pair(f"mean of {len(compared)}", base, *values) for values in _pairs(several, known)]
        pairs += means
        if not means:
            told.append(f"there is no mean; want two runs or more besides {base} that were asked the same in one arm")
    return pairs, told


def as_json(rows: Sequence[ReportRow], pairs: Sequence[Pair]) -> str:
    """What a report shows: its `rows`, and its `pairs`; accuracies and their differences as shares of one."""
    shown = [{"run": row.run, "arm": row.arm, "group": row.heading, **row.figures} for row in rows]
    return json.dumps({"rows": shown, "pairs": [asdict(pair) for pair in pairs]}, indent=1)


def _why(found: Arms, known: Arms, same_judge: bool) -> str:
    if not (found and known):
        return "traces.jsonl or failures.jsonl is missing or empty in one of them"
    return "they were not asked the same in any arm" if same_judge else "their judges differ"


def _arms(folder: Path) -> Arms:
    """What a run was asked, by arm; nothing where its traces were not kept."""
    found = defaultdict[str, list[Scored]](list)
    if all((folder / name).is_file() for name in ("traces.jsonl", "failures.jsonl")):
        for each in score_records(records(folder), remembered(folder / VERDICTS)):
            found[each.record.arm].append(each)
    return found


def _pairs(runs: Sequence[Arms], known: Arms) -> Iterator[tuple[str, str, int, int, float, float, float]]:
    """Arm, heading, questions that count in all of `runs`, questions asked, their mean difference and its interval."""
    for arm in (arm for arm in known if runs and all(arm in run for run in runs)):
        base, own = {each.record.asked: each for each in known[arm]}, [each for run in runs for each in run[arm]]
        shared = set.intersection(*({each.record.asked for each in run[arm] if _counts(each, base)} for run in runs))
        sides = sorted({each.record.resolution for each in own})
        parts = [("all", own)]
        if len(sides) > 1:
            parts += [(side_name(side), [each for each in own if each.record.resolution == side]) for side in sides]
        for heading, part in parts:
            if (gap := difference([each for each in part if each.record.asked in shared], base)) is not None:
                asked = len({base.get(each.record.asked, each).record.group for each in part})
                yield arm, heading, gap["n"], asked, gap["difference"], gap["low"], gap["high"]


def _counts(one: Scored, base: Mapping[Asked, Scored]) -> bool:
    """Whether `base` was asked the same, and both have a score."""
    other = base.get(one.record.asked)
    if other is None or one.score is None or other.score is None:
        return False
    return _same(one) == _same(other)


def _same(one: Scored) -> tuple[object, ...]:
    """What must be the same of two questions to compare their answers."""
    question = one.trace.question
    return question.text, question.choices, question.answer, {*question.aliases}, one.metric, Path(question.image).name
