"""Supervised scenes from a file of traces about needle scenes, with all that is known of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cof.data.example import Example
from cof.data.sequences import dialogue_of
from cof.dialects.cof import COF
from cof.errors import InvalidConfig
from cof.geometry import Shown, ViewSpec
from cof.nano.scenes import SupervisedScene
from cof.needle.samples import asked_again
from cof.trace import Trace
from cof.train.traces import nth, read_traces


@dataclass(frozen=True)
class SceneTraces:
    """Teaches what a file of traces about needle scenes holds, in the dialect "cof", `scenes` scenes per step, every epoch in
    an order of its own.

    Traces about the same overview are branches of one row, at most `questions` of them. Raises InvalidConfig where there
    are none to learn from, or one is about another picture, or is not admitted to training.
    """

    file: Path
    spec: ViewSpec
    seed: int
    scenes: int
    questions: int

    def teach(self, step: int, rng: np.random.Generator) -> list[SupervisedScene]:
        groups = self.groups
        return [
            self._supervised(groups[nth(self.seed, step * self.scenes + i, len(groups))], rng)
            for i in range(self.scenes)
        ]

    @functools.cached_property
    def groups(self) -> list[list[tuple[Trace, Example]]]:
        """Traces about one overview each, with what is known of their questions."""
        found = dict[tuple[str, Shown], list[tuple[Trace, Example]]]()
        for trace in read_traces(self.file, self.spec, COF):
            example = asked_again(trace.question, trace.spec)
            if example is None:
                about = f"{trace.question.text!r} about {trace.question.image!r}"
                want = 'want a question about a needle scene, or supervision = "traces"'
                raise InvalidConfig(f"trace {trace.id} asks {about}; {want}")
            found.setdefault((trace.question.image, trace.overview), []).append((trace, example))
        return list(found.values())

    def _supervised(self, group: list[tuple[Trace, Example]], rng: np.random.Generator) -> SupervisedScene:
        chosen = [group[i] for i in rng.permutation(len(group))[: self.questions]]
        dialogues = tuple(dialogue_of(trace, COF) for trace, _ in chosen)
        return SupervisedScene(dialogues, tuple(example for _, example in chosen), group[0][0].overview)
