"""Examples of the needle world: one question per scene, from a split and a seed, in memory or on disk in V*Bench's layout.

Example `i` of seed `k` is the same picture and question on every machine. Scenes without a question at this side and
overview budget are passed over.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from cof.data.example import Example, Needs
from cof.data.worlds import DEPTHS, SIDES, SPLITS, Split
from cof.errors import InputError
from cof.geometry import Box, Shown, ViewSpec
from cof.needle.drawing import draw_full
from cof.needle.questions import Needle, can_read, choices, needles, pick, route
from cof.needle.scenes import HELD_OUT, Contents, Scene, make_scene
from cof.runs import naming
from cof.types import Question
from cof.vision import boxes, views

QUALITY = 92  # of the JPEG that every sampled picture goes through
SEEDS = 1_000_000  # scenes of one seed before the next seed's begin
PREVIEW = 64  # pixels
WHOLE = 0.8  # share of a thing that must lie in a view to be distinguished there
NAME = re.compile(r"needle:(?P<split>[a-z]+)-(?P<seed>\d+)@(?P<side>\d{2,5})")


@dataclass(frozen=True)
class SceneTruth:
    """The scene that a question is about. `side` is the longer side of the picture in pixels; `targets` are the boxes in its
    pixels that the question was chosen with, which it keeps where no zoom helps."""

    needle: Needle
    scene: Scene
    side: float
    targets: tuple[Box, ...]

    def resized(self, factor: float) -> SceneTruth:
        own = tuple(boxes.scale(box, factor, factor) for box in self.targets)
        return replace(self, side=self.side * factor, targets=own)

    def needs(self, overview: Shown, spec: ViewSpec) -> Needs:
        path = route(self.needle, overview, self.side, spec)
        return Needs(None, self.targets) if path is None else Needs(len(path), path or _items(self.needle, self.side))

    def shows_answer(self, view: Shown) -> bool:
        inside = all(holds(view, boxes.scale(item.box, self.side, self.side)) for item in self.needle.items)
        return inside and can_read(self.needle, view, self.side)

    def preview(self) -> Image.Image:
        return draw_full(self.scene, PREVIEW)


def truth_of(example: Example) -> SceneTruth:
    """The scene of an example. Raises TypeError where it is about none."""
    if not isinstance(example.truth, SceneTruth):
        raise TypeError(f"want an example of the needle world; got one that knows {type(example.truth).__name__}")
    return example.truth


def holds(view: Shown, box: Box) -> bool:
    """Whether enough of a thing lies in a view to distinguish it there."""
    common = boxes.intersect(view.region, box)
    return common is not None and common.area >= WHOLE * box.area


def samples(
    split: Split,
    seed: int,
    count: int,
    side: int | tuple[int, ...],
    spec: ViewSpec = ViewSpec(),
    multiple_choice: bool = False,
    per_scene: int = 1,
) -> Iterator[Example]:
    """`count` examples, at most `per_scene` about one picture, of one longer side or of several that pictures take in turn.

    Depths are those at `spec`'s overview budget. Raises InputError on a bad side.
    """
    sides = side if isinstance(side, tuple) else (side,)
    if bad := [one for one in sides if not SIDES[0] <= one <= SIDES[1]]:
        raise InputError(f"side {bad[0]} is out of range; want {SIDES[0]} to {SIDES[1]} pixels")
    return _found(split, seed, count, sides, spec, multiple_choice, per_scene)


def asked(
    scene: Scene,
    side: int,
    spec: ViewSpec,
    multiple_choice: bool = False,
    most: int = 1,
    depths: tuple[float, ...] = DEPTHS,
    rng: np.random.Generator | None = None,
) -> Iterator[Example]:
    """At most `most` examples about one scene, none where it has no question; `depths` weigh the zooms that are needed.

    They are chosen by `rng`, or by the scene's own.
    """
    rng = rng or scene.rng(13)
    size = (round(scene.extent[0] * side), round(scene.extent[1] * side))
    picked = pick(scene, rng, most, views.overview(size, spec), side, spec, depths)
    for n, (needle, path) in enumerate(picked):
        targets = path or _items(needle, side)
        question = Question(
            f"{scene.id}-{side}" + (f"-{n}" if most > 1 else ""),
            (f"needle:{scene.id}@{side}",),  # as NAME reads it
            needle.text,
            choices(needle, rng) if multiple_choice else (),
            needle.answer,
            needle.category,
            len(path),
            targets,
            (
                needle.attribute,
                "pair never trained on" if any(item.pair in HELD_OUT for item in needle.items) else "pair seen",
            ),
            readable=True,
        )
        truth = SceneTruth(needle, scene, side, targets)
        yield Example(question, partial(_drawn, scene, side), spec=spec, truth=truth, known_size=size)


def asked_again(question: Question, spec: ViewSpec) -> Example | None:
    """The example of a question that names a scene's picture; None where it is about another, or no question of the scene."""
    named = scene_named(question.image)
    needle = next((each for each in needles(named[0]) if each.text == question.text), None) if named else None
    if named is None or needle is None:
        return None
    scene, side = named
    size = (round(scene.extent[0] * side), round(scene.extent[1] * side))
    truth = SceneTruth(needle, scene, side, question.targets)
    return Example(question, partial(_drawn, scene, side), spec=spec, truth=truth, known_size=size)


def redraw(name: str) -> Image.Image | None:
    """The picture, RGB, that a question of this world names as its `image`; None for another name."""
    named = scene_named(name)
    return None if named is None else _drawn(*named)


def scene_named(name: str) -> tuple[Scene, int] | None:
    """The scene that a question of this world names as its `image`, and its picture's longer side; None for another name."""
    named = NAME.fullmatch(name)
    split = next((split for split in SPLITS if named and split == named["split"]), None)
    return None if named is None or split is None else (make_scene(split, int(named["seed"])), int(named["side"]))


def jpeg_of(example: Example) -> bytes:
    """The picture of an example of this world as a JPEG file."""
    truth = truth_of(example)
    return _jpeg(truth.scene, round(truth.side))


def write(found: Iterator[Example], folder: Path) -> int:
    """Write examples as V*Bench has them: `<category>/<id>.jpg` and `.json` with the right option first. Returns the count."""
    count = 0
    for example in found:
        place = folder / truth_of(example).needle.category
        place.mkdir(parents=True, exist_ok=True)
        for end, content in ((".jpg", jpeg_of(example)), (".json", json.dumps(_vstar(example), indent=1).encode())):
            file = place / f"{example.question.id}{end}"
            with naming(file):
                file.write_bytes(content)
        count += 1
    return count


def _found(
    split: Split, seed: int, count: int, sides: tuple[int, ...], spec: ViewSpec, multiple_choice: bool, per_scene: int
) -> Iterator[Example]:
    found, index = 0, 0
    while found < count:
        scene, side = make_scene(split, seed * SEEDS + index, Contents()), sides[index % len(sides)]
        index += 1
        for example in islice(asked(scene, side, spec, multiple_choice, per_scene), count - found):
            found += 1
            yield example
        if not found and index > 50 * len(sides):
            raise InputError(f"no question can be answered at side {max(sides)}; want a larger side or overview budget")


def _items(needle: Needle, unit: float) -> tuple[Box, ...]:
    return tuple(boxes.scale(item.box, unit, unit) for item in needle.items)


def _drawn(scene: Scene, side: int) -> Image.Image:
    """The picture's pixels, RGB, after JPEG."""
    return Image.open(io.BytesIO(_jpeg(scene, side))).convert("RGB")


def _jpeg(scene: Scene, side: int) -> bytes:
    buffer = io.BytesIO()
    draw_full(scene, side).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _vstar(example: Example) -> dict[str, object]:
    truth = truth_of(example)
    needle, side = truth.needle, truth.side
    others = [c for c in choices(needle, truth.scene.rng(17)) if c != needle.answer]
    return {
        "target_object": [item.name for item in needle.items],
        "bbox": [_xywh(boxes.scale(item.box, side, side)) for item in needle.items],
        "question": needle.text,
        "options": [needle.answer, *others],
        "depth": example.question.depth,
    }


def _xywh(box: Box) -> list[float]:
    return [round(v, 2) for v in (box.x0, box.y0, box.width, box.height)]
