"""Supervised conversations on needle scenes, made as they are needed: demonstrations of what a careful reader would do.

A share of the questions carries choices, a share must be answered at once, a share is shown the true places or made to zoom,
a share first looks at a wrong place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cof.data.sequences import Dialogue
from cof.dialects.cof import COF
from cof.loop.setting import with_budget
from cof.needle.demonstrations import ZOOM_OPENING, demonstrate, guess, recover, show_targets, zoom_anyway
from cof.needle.questions import Needle, choices, pick
from cof.needle.scenes import Scene, make_scene
from cof.train.perception import first_view
from cof.train.recipes import Lesson
from cof.train.scenes import Taught, meant_by
from cof.types import Box, Question, View, ViewSpec


@dataclass(frozen=True)
class Demonstrations:
    """Teaches `scenes` scenes a step, with at most `questions` conversations each."""

    spec: ViewSpec
    lessons: tuple[Lesson, ...]
    seed: int
    scenes: int
    questions: int

    def teach(self, step: int, rng: np.random.Generator) -> list[Taught]:
        lesson = next((each for each in self.lessons if step < each.until), self.lessons[-1])
        aspect = 1.0 if rng.uniform() < 0.8 else float(np.exp(rng.uniform(-0.5, 0.5)))
        first = (1 << 50) + (self.seed << 40) + step * self.scenes
        scenes = (make_scene("train", first + i, lesson.contents, aspect) for i in range(self.scenes))
        return [self._taught(scene, lesson, rng) for scene in scenes]

    def _taught(self, scene: Scene, lesson: Lesson, rng: np.random.Generator) -> Taught:
        side, spec = int(rng.choice(lesson.sides)), with_budget(self.spec, int(rng.choice(lesson.budgets)))
        first = first_view(scene, side, spec)
        picked = pick(scene, rng, self.questions, first, side, spec, lesson.depths)
        if not picked:  # a scene of nothing but twins has no question; its neighbour in seed space has
            return self._taught(make_scene("train", scene.seed + (1 << 55), lesson.contents), lesson, rng)
        told = tuple(_conversation(needle, path, side, first, spec, lesson, rng) for needle, path in picked)
        return Taught(told, scene, side, first, tuple(meant_by(needle, side, first) for needle, _ in picked))


def _conversation(
    needle: Needle,
    path: tuple[Box, ...],
    side: int,
    first: View,
    spec: ViewSpec,
    lesson: Lesson,
    rng: np.random.Generator,
) -> Dialogue:
    options = choices(needle, rng) if rng.uniform() < lesson.choices else ()
    question = Question("", "", needle.text, options)
    share = rng.uniform()
    if (share := share - lesson.direct) < 0:
        return Dialogue(COF.messages(question, first, guess(needle, path, first, side), True))
    if (share := share - lesson.given) < 0:
        shown = show_targets(needle, path, first, side, spec)
        return Dialogue(COF.messages(question, first, shown), range(len(shown) - 1))
    if share < lesson.forced:
        return Dialogue(COF.messages(question, first, zoom_anyway(needle, path, first, side, spec)), (), ZOOM_OPENING)
    right = turns = demonstrate(needle, path, first, side, spec)
    if rng.uniform() < lesson.recovery:
        turns = recover(right, first, spec, rng)
    return Dialogue(COF.messages(question, first, turns), range(len(turns) - len(right)))
