"""Supervised conversations on needle scenes, made as they are needed: demonstrations of what a careful reader would do.

A share of the questions carries choices, a share must be answered at once, a share is shown the true places or made to zoom,
a share first looks at a wrong place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cof.data.example import Example
from cof.data.sequences import Dialogue
from cof.dialects.cof import COF
from cof.geometry import ViewSpec
from cof.loop.setting import with_budget
from cof.nano.recipes import Lesson
from cof.nano.scenes import SupervisedScene
from cof.needle.demonstrations import ZOOM_OPENING, demonstrate, guess, recover, show_targets, zoom_anyway
from cof.needle.questions import choices
from cof.needle.samples import asked, truth_of
from cof.needle.scenes import Scene, make_scene
from cof.types import Question


@dataclass(frozen=True)
class Demonstrations:
    """Teaches `scenes` scenes per step, with at most `questions` conversations each."""

    spec: ViewSpec
    lessons: tuple[Lesson, ...]
    seed: int
    scenes: int
    questions: int

    def teach(self, step: int, rng: np.random.Generator) -> list[SupervisedScene]:
        lesson = next((each for each in self.lessons if step < each.until), self.lessons[-1])
        aspect = 1.0 if rng.uniform() < 0.8 else float(np.exp(rng.uniform(-0.5, 0.5)))
        first = (1 << 50) + (self.seed << 40) + step * self.scenes
        scenes = (make_scene("train", first + i, lesson.contents, aspect) for i in range(self.scenes))
        return [self._supervised(scene, lesson, rng) for scene in scenes]

    def _supervised(self, scene: Scene, lesson: Lesson, rng: np.random.Generator) -> SupervisedScene:
        side, spec = int(rng.choice(lesson.sides)), with_budget(self.spec, int(rng.choice(lesson.budgets)))
        examples = tuple(asked(scene, side, spec, most=self.questions, depths=lesson.depths, rng=rng))
        if not examples:  # a scene of nothing but twins has no question; its neighbour in seed space has
            return self._supervised(make_scene("train", scene.seed + (1 << 55), lesson.contents), lesson, rng)
        dialogues = tuple(_dialogue(example, lesson, rng) for example in examples)
        return SupervisedScene(dialogues, examples, examples[0].overview)


def _dialogue(example: Example, lesson: Lesson, rng: np.random.Generator) -> Dialogue:
    """The demonstration of the scene, or one of the other conversations of the lesson, by its shares."""
    truth, first, spec = truth_of(example), example.overview, example.spec
    needle, side = truth.needle, truth.side
    path = example.question.targets if example.question.depth else ()
    options = choices(needle, rng) if rng.uniform() < lesson.choices else ()
    question = Question("", ("",), needle.text, options)
    share = rng.uniform()
    if (share := share - lesson.direct) < 0:
        return Dialogue(COF.messages(question, (first,), guess(needle, path, first, side), True))
    if (share := share - lesson.given) < 0:
        shown = show_targets(needle, path, first, side, spec)
        return Dialogue(COF.messages(question, (first,), shown), range(len(shown) - 1))
    if share < lesson.forced:
        return Dialogue(
            COF.messages(question, (first,), zoom_anyway(needle, path, first, side, spec)), (), ZOOM_OPENING
        )
    right = turns = demonstrate(needle, path, first, side, spec)
    if rng.uniform() < lesson.recovery:
        turns = recover(right, first, spec, rng)
    return Dialogue(COF.messages(question, (first,), turns), range(len(turns) - len(right)))
