"""The needle world as the rest of the package sees it (`cof.data.worlds.World`): its examples, pictures and experts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cof.data.example import Example
from cof.data.worlds import Split
from cof.errors import InvalidImage
from cof.geometry import ViewSpec
from cof.needle.experts import Experts
from cof.needle.outside import LIMIT, outside_score
from cof.needle.phrases import GRID
from cof.needle.samples import asked, redraw, samples, scene_named, write
from cof.needle.scenes import make_scene


@dataclass(frozen=True)
class NeedleWorld:
    """Drawn scenes with small things to be found."""

    grid: int = GRID

    def examples(
        self,
        split: Split,
        seed: int,
        count: int,
        sides: tuple[int, ...],
        spec: ViewSpec,
        multiple_choice: bool = False,
        per_picture: int = 1,
    ) -> Iterator[Example]:
        return samples(split, seed, count, sides, spec, multiple_choice, per_picture)

    def example(
        self, split: Split, number: int, side: int, spec: ViewSpec, depths: tuple[float, ...]
    ) -> Example | None:
        return next(asked(make_scene(split, number), side, spec, depths=depths), None)

    def experts(self, error: float, seed: int) -> Experts:
        return Experts(error, seed)

    def has_picture(self, name: str) -> bool:
        return scene_named(name) is not None

    def picture(self, name: str) -> Image.Image:
        found = redraw(name)
        if found is None:
            raise InvalidImage(f"{name!r} is no picture of the needle world; want needle:SPLIT-SEED@SIDE")
        return found

    def is_outside(self, overview: Image.Image) -> bool:
        return outside_score(overview) > LIMIT

    def write(self, examples: Iterable[Example], folder: Path) -> int:
        return write(iter(examples), folder)


NEEDLE = "needle"  # the name of the world, as a model's card has it
WORLD = NeedleWorld()
