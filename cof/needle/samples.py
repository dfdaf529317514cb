"""The needle benchmark: one question a scene, drawn from a split and a seed, in memory or on disk in V*Bench's layout.

Sample `i` of seed `k` is the same picture and question on every machine. Scenes without a question at this side and
overview budget are passed over.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from PIL import Image

from cof.errors import InputError
from cof.needle.drawing import draw_full
from cof.needle.questions import Needle, choices, pick, route
from cof.needle.scenes import HELD_OUT, SPLITS, Contents, Scene, Split, make_scene
from cof.runs import naming
from cof.types import Box, Question, Shown, ViewSpec
from cof.vision import boxes, views

DEPTHS = (0.35, 0.40, 0.25)  # share of questions that need no zoom, one, two
QUALITY = 92  # of the JPEG that every sampled picture goes through
SEEDS = 1_000_000  # scenes of one seed before the next seed's begin
SIDES = (28, 20_000)  # pixels
NAME = re.compile(r"needle:(?P<split>[a-z]+)-(?P<seed>\d+)@(?P<side>\d{2,5})")


@dataclass(frozen=True)
class Sample:
    """One question and the scene it is about. `side` is the longer side of the picture in pixels."""

    question: Question
    needle: Needle
    scene: Scene
    side: int

    def jpeg(self) -> bytes:
        """The picture as a JPEG file."""
        return _jpeg(self.scene, self.side)

    def picture(self) -> Image.Image:
        """The picture's pixels, RGB, after JPEG."""
        return Image.open(io.BytesIO(self.jpeg())).convert("RGB")


def samples(
    split: Split,
    seed: int,
    count: int,
    side: int | tuple[int, ...],
    spec: ViewSpec = ViewSpec(),
    multiple_choice: bool = False,
    per_scene: int = 1,
) -> Iterator[Sample]:
    """`count` samples, at most `per_scene` about one picture, of one longer side or of several that pictures take in turn.

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
) -> Iterator[Sample]:
    """At most `most` samples about one scene, none where it has no question; `depths` weigh the zooms that are needed."""
    rng = scene.rng(13)
    size = (round(scene.extent[0] * side), round(scene.extent[1] * side))
    picked = pick(scene, rng, most, views.overview(size, spec), side, spec, depths)
    for n, (needle, path) in enumerate(picked):
        question = Question(
            f"{scene.id}-{side}" + (f"-{n}" if most > 1 else ""),
            (f"needle:{scene.id}@{side}",),  # as NAME reads it
            needle.text,
            choices(needle, rng) if multiple_choice else (),
            needle.answer,
            needle.category,
            len(path),
            path or _items(needle, side),
            (
                needle.attribute,
                "pair never trained on" if any(item.pair in HELD_OUT for item in needle.items) else "pair seen",
            ),
        )
        yield Sample(question, needle, scene, side)


def asked_at(sample: Sample, first: Shown, unit: float, spec: ViewSpec) -> Question:
    """The question with the depth and the targets that it has from the overview `first` by `spec`, whatever it was picked at.

    `unit` is the longer side of the picture in pixels: `sample.side`, or less where the picture was made smaller. Where no
    zoom helps, depth is None and the targets are the sample's own.
    """
    path, factor = route(sample.needle, first, unit, spec), unit / sample.side
    if path is None:
        own = tuple(boxes.scale(box, factor, factor) for box in sample.question.targets)
        return replace(sample.question, depth=None, targets=own)
    return replace(sample.question, depth=len(path), targets=path or _items(sample.needle, unit))


def redraw(name: str) -> Image.Image | None:
    """The picture that a sample's question names as its `image`, as `Sample.picture` gives it; None for another name."""
    named = scene_named(name)
    return None if named is None else Image.open(io.BytesIO(_jpeg(*named))).convert("RGB")


def scene_named(name: str) -> tuple[Scene, int] | None:
    """The scene that a sample's question names as its `image`, and its picture's longer side; None for another name."""
    named = NAME.fullmatch(name)
    split = next((split for split in SPLITS if named and split == named["split"]), None)
    return None if named is None or split is None else (make_scene(split, int(named["seed"])), int(named["side"]))


def write(found: Iterator[Sample], folder: Path) -> int:
    """Write samples as V*Bench has them: `<category>/<id>.jpg` and `.json` with the right option first. Returns the count."""
    count = 0
    for sample in found:
        place = folder / sample.needle.category
        place.mkdir(parents=True, exist_ok=True)
        for end, content in ((".jpg", sample.jpeg()), (".json", json.dumps(_vstar(sample), indent=1).encode())):
            file = place / f"{sample.question.id}{end}"
            with naming(file):
                file.write_bytes(content)
        count += 1
    return count


def _found(
    split: Split, seed: int, count: int, sides: tuple[int, ...], spec: ViewSpec, multiple_choice: bool, per_scene: int
) -> Iterator[Sample]:
    found, index = 0, 0
    while found < count:
        scene, side = make_scene(split, seed * SEEDS + index, Contents()), sides[index % len(sides)]
        index += 1
        for sample in islice(asked(scene, side, spec, multiple_choice, per_scene), count - found):
            found += 1
            yield sample
        if not found and index > 50 * len(sides):
            raise InputError(f"no question can be answered at side {max(sides)}; want a larger side or overview budget")


def _items(needle: Needle, unit: float) -> tuple[Box, ...]:
    return tuple(boxes.scale(item.box, unit, unit) for item in needle.items)


def _jpeg(scene: Scene, side: int) -> bytes:
    buffer = io.BytesIO()
    draw_full(scene, side).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _vstar(sample: Sample) -> dict[str, object]:
    needle, side = sample.needle, sample.side
    others = [c for c in choices(needle, sample.scene.rng(17)) if c != needle.answer]
    return {
        "target_object": [item.name for item in needle.items],
        "bbox": [_xywh(boxes.scale(item.box, side, side)) for item in needle.items],
        "question": needle.text,
        "options": [needle.answer, *others],
        "depth": sample.question.depth,
    }


def _xywh(box: Box) -> list[float]:
    return [round(v, 2) for v in (box.x0, box.y0, box.width, box.height)]
