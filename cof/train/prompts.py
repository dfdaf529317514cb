"""What is asked in reinforcement: the n-th question of a run, from a world or from a file of traces.

A question is a pure function of the seed and its number, so that a run resumes, and every process asks the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cof.data.admission import admit_questions
from cof.data.example import NATIVE, Example
from cof.data.pictures import picture_of
from cof.data.worlds import World
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec
from cof.loop.setting import with_budget
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.types import Question

FIRST = 1 << 53  # pictures from here on are asked about in reinforcement alone
TRIES = 50  # pictures that are tried for a question
NEXT = 1 << 45  # from a picture without a question to the one that is asked about instead


Prompts = Callable[[int], Example]


@dataclass(frozen=True)
class WorldPrompts:
    """One question a picture of a world's train split. Pictures have one of `sides` (pixels of the longer side), overviews at
    most one of `budgets` (visual tokens); `depths` weigh the questions that need no zoom, one, two.

    A question is chosen as its picture has it; then that is made smaller, to one of `resolutions` (pixels of the longer
    side), as in an evaluation of resized pictures. It is left as it is where it is no larger, or none are given.
    """

    world: World
    spec: ViewSpec
    seed: int
    sides: tuple[int, ...]
    budgets: tuple[int, ...]
    depths: tuple[float, ...]
    resolutions: tuple[int, ...] = ()

    def __call__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index])
        side, spec = int(rng.choice(self.sides)), with_budget(self.spec, int(rng.choice(self.budgets)))
        resolution = int(rng.choice(self.resolutions)) if self.resolutions else NATIVE
        numbers = (FIRST + (self.seed << 32) + index + again * NEXT for again in range(TRIES))
        found = (self.world.example("train", number, side, spec, self.depths) for number in numbers)
        example = next((each for each in found if each is not None), None)
        if example is None:
            asked = f"side {side}, a budget of {spec.max_pixels // spec.factor**2} tokens and depths {self.depths}"
            raise InvalidConfig(f"no question can be asked at {asked}; want a larger side or budget, or other depths")
        return example.at(spec, resolution)


@dataclass(frozen=True)
class FilePrompts:
    """Questions of a JSONL file of traces, as `cof data build` writes it: those that were answered rightly at some tries and
    wrongly at others, the more often the more undecided they are (p (1 - p), the variance of the reward).

    Where no pass rates are known all are asked equally often. `factor` is the side of a visual token in pixels. Raises
    InvalidConfig where there is nothing to ask, a trace was made with tokens of another size, or its question cannot be asked.
    """

    file: Path
    seed: int
    factor: int

    def __call__(self, index: int) -> Example:
        pool, shares = self.pool
        at = np.searchsorted(np.cumsum(shares), np.random.default_rng([self.seed, index]).uniform(0, sum(shares)))
        question, spec = pool[min(int(at), len(pool) - 1)]
        first, *further = (functools.partial(picture_of, question, number) for number in range(len(question.images)))
        return Example(question, first, spec=spec, further=tuple(further))

    @functools.cached_property
    def pool(self) -> tuple[list[tuple[Question, ViewSpec]], list[float]]:
        """What may be asked, and how often."""
        read = list(read_records(self.file)) if self.file.is_file() else []
        rates = [record.get("pass_rate") for record in read]
        known = any(rate is not None for rate in rates)
        shares = [(rate or 0.0) * (1 - (rate or 0.0)) if known else 1.0 for rate in rates]
        traces = [trace_from_json(record.get("trace", record)) for record in read]
        pairs = [(trace, share) for trace, share in zip(traces, shares, strict=True) if share and trace.question.answer]
        if not pairs:
            want = "want traces whose question has an answer, and a pass_rate between 0 and 1 if any has one"
            raise InvalidConfig(f"questions = {str(self.file)!r} holds nothing to ask; {want}")
        if other := next((trace for trace, _ in pairs if trace.spec.factor != self.factor), None):
            raise InvalidConfig(
                f"trace {other.id} has visual tokens of {other.spec.factor} pixels; the model's have {self.factor}"
            )
        admit_questions([trace for trace, _ in pairs])
        return [(trace.question, trace.spec) for trace, _ in pairs], [share for _, share in pairs]
