"""Worlds: makers of examples whose truth is known at every size, and of their pictures, each found by a name.

The name is the scheme of its pictures' names (`needle:` in `needle:test-7@1792`). A world of another package is named by an
entry point of the group `cof.worlds`, or by a Python path `module:name`. A picture's name leads to the first kind alone:
no file decides what is imported. This is the only module that leads to a world: nothing else imports one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from cof import registry
from cof.data.example import Example
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SIDES = (28, 20_000)  # pixels that the longer side of a drawn picture may have
DEPTHS = (0.35, 0.40, 0.25)  # share of questions that need no zoom, one, two
GROUP = "cof.worlds"  # of entry points
BUILT_IN = {"needle": "cof.needle.world:WORLD"}


class World(Protocol):
    """A maker of examples. A split shares no example with another one.

    `grid`: demonstrations write places in multiples of that many pixels of the overview.
    """

    @property
    def grid(self) -> int: ...

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
        """`count` examples, at most `per_picture` about one picture; pictures take `sides` (pixels of the longer one) in turn.

        The same arguments give the same examples. Raises InputError on a side that is not possible.
        """
        ...

    def example(
        self, split: Split, number: int, side: int, spec: ViewSpec, depths: tuple[float, ...]
    ) -> Example | None:
        """The example about picture `number`, None where it has no question; `depths` weigh those that need 0, 1, 2 zooms."""
        ...

    def experts(self, error: float, seed: int) -> Any:
        """An `Actors` (`cof.agent.calls`) for all parts of a search, which errs in a share `error` of its replies."""
        ...

    def has_picture(self, name: str) -> bool:
        """Whether a question's `image` is a picture of this world."""
        ...

    def picture(self, name: str) -> Image.Image:
        """The picture of that name, RGB. Raises InvalidImage where the world has none."""
        ...

    def is_outside(self, overview: Image.Image) -> bool:
        """Whether a picture, as a model sees it first, is none that this world would draw."""
        ...

    def write(self, examples: Iterable[Example], folder: Path) -> int:
        """Write examples of this world with their pictures, in V*Bench's layout; returns the count."""
        ...


def world_of(name: str) -> World:
    """The world of that name, or at that Python path. Raises InvalidConfig."""
    found = registry.part("world", name, _registered())
    if not hasattr(found, "examples"):
        want = "want a value with the methods of World (docs/worlds.md); a benchmark needs --data"
        raise InvalidConfig(f"world {name!r} is {type(found).__name__}; {want}")
    world: World = found
    return world


def is_world(name: str) -> bool:
    """Whether a name means a world: one that is registered, or a Python path."""
    return name in _registered() or (registry.is_path(name) and not Path(name).exists())


def is_registered(name: str) -> bool:
    """Whether a world of that name is part of this package, or of another that is installed."""
    return name in _registered()


def world_with(image: str) -> World | None:
    """The registered world whose picture a question names as its `image`; None for a file."""
    scheme = image.partition(":")[0]
    world = world_of(scheme) if scheme in _registered() else None
    return world if world is not None and world.has_picture(image) else None


def _registered() -> Mapping[str, str]:
    """Names and Python paths of the worlds of this package, and of others that are installed."""
    return registry.known(GROUP, BUILT_IN)
