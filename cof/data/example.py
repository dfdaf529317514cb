"""A question about a picture, as evaluations, builds and training take it. `at` is the only place that decides what is true of
it at a size: the depth, the targets, the view rules and the pixels.

Owns the protocol of resolutions: from `source` "resized" the picture itself is made smaller, so that no zoom brings back what
is lost (as in the paper, arXiv 2505.15436); from "original" only the overview is, and zooms are cut from the file's pixels.
Omits how a world knows what a question needs (`Truth`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from PIL import Image

from cof.data.benchmarks.rows import Row
from cof.geometry import Box, Shown, ViewSpec
from cof.scoring.answers import metric_of
from cof.scoring.grounding import truth_boxes
from cof.types import Question
from cof.vision import boxes, views
from cof.vision.views import Picture

Source = Literal["resized", "original"]
SOURCES: tuple[Source, ...] = ("resized", "original")
NATIVE = 0  # the resolution that leaves a picture as it is


@dataclass(frozen=True)
class Needs:
    """What a question needs from one overview.

    `depth`: zooms that are needed; None where no zoom makes the answer readable.
    `targets`: boxes in source pixels, in the order in which to look at them.
    """

    depth: int | None
    targets: tuple[Box, ...]


class Truth(Protocol):
    """What a world knows of an example that it made."""

    def resized(self, factor: float) -> Truth:
        """The same of the picture made smaller by `factor`."""
        ...

    def needs(self, overview: Shown, spec: ViewSpec) -> Needs:
        """What the question needs from `overview` by these view rules."""
        ...

    def shows_answer(self, view: Shown) -> bool:
        """Whether the answer can be read in `view`."""
        ...

    def preview(self) -> Image.Image:
        """The picture at any size at which its perceptual hash identifies it."""
        ...


@dataclass(frozen=True)
class Example:
    """A question, the way to its picture, and the view rules by which it is looked at.

    `question`: what is asked, with the truth. Where it has `choices`, `answer` is one of them, word for word. `targets` are
    boxes in pixels of the picture.
    `load`: reads the picture (RGB, upright). Raises InvalidImage. `further`: the same of the question's other pictures.
    `group`: examples of one group are one question asked in several ways (option cycles). They count once, by their mean.
    `spec`: the view rules.
    `truth`: what the world knows that made the example; None for a file's.
    `known_size`: (width, height) of the picture in pixels, where it is known without reading it.
    `row`: where the example was read, without the row's fields; None for what is drawn.
    """

    question: Question
    load: Callable[[], Image.Image]
    group: str = ""
    spec: ViewSpec = ViewSpec()
    truth: Truth | None = None
    known_size: tuple[int, int] | None = None
    row: Row | None = None
    further: tuple[Callable[[], Image.Image], ...] = ()

    @functools.cached_property
    def picture(self) -> Picture:
        """Read when it is first asked for, and held as long as the example. Raises InvalidImage."""
        return Picture(self.load())

    @functools.cached_property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures of the question, the first being `picture`. Raises InvalidImage."""
        return (self.picture, *(Picture(load()) for load in self.further))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first picture in pixels."""
        return self.known_size or self.picture.size

    @functools.cached_property
    def overview(self) -> Shown:
        """The first view of the picture."""
        return views.overview(self.size, self.spec)

    def at(self, spec: ViewSpec, resolution: int = NATIVE, source: Source = "resized") -> Example:
        """The example as it is asked by the view rules `spec`, at a longer side of `resolution` pixels.

        `source` "resized" makes the picture smaller, "original" only its overview. A picture is never enlarged. Where nothing
        is known of the question at that size, its depth is None. Raises InvalidImage where the picture must be read and
        cannot be, InputError where a true box is not valid.
        """
        sizes = (self.size, *(picture.size for picture in self.pictures[1:])) if self.further else (self.size,)
        shrunk = tuple(boxes.shrink(size, resolution or max(size))[0] for size in sizes)
        rules, asked_sizes = spec, shrunk
        if source == "original":
            most = min(spec.max_pixels, max(width * height for width, height in shrunk))
            rules = replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most))
            asked_sizes = sizes
        first, *further = (functools.partial(_sized, self, number, size) for number, size in enumerate(asked_sizes))
        question = with_true_boxes(self.question)
        shown = replace(
            self, question=question, load=first, further=tuple(further), spec=rules, known_size=asked_sizes[0]
        )
        if self.truth is not None:
            factor = boxes.shrink(self.size, resolution or max(self.size))[1]
            return _needing(shown, self.truth if asked_sizes == sizes else self.truth.resized(factor))
        if asked_sizes != sizes:
            scales = [(small[0] / size[0], small[1] / size[1]) for small, size in zip(asked_sizes, sizes, strict=True)]
            targets = tuple(boxes.scale(box, *scales[box.picture]) for box in question.targets)
            question = replace(question, targets=targets)
        if (asked_sizes, rules) != (sizes, spec):
            question = replace(question, depth=None)  # what was needed at another size
        return replace(shown, question=question)

    def shows_answer(self, view: Shown) -> bool | None:
        """Whether the answer can be seen in `view`: without a world's truth, all targets lie in it; None without targets."""
        if self.truth is not None:
            return self.truth.shows_answer(view)
        targets = self.question.targets
        return all(boxes.contains(view.region, box) for box in targets) if targets else None

    def preview(self) -> Image.Image:
        """The picture at any size at which its perceptual hash identifies it."""
        return self.picture.image if self.truth is None else self.truth.preview()


def with_true_boxes(question: Question) -> Question:
    """A question that asks for a box with its true ones as targets, so that they shrink with the picture. Raises InputError."""
    return replace(question, targets=truth_boxes(question)) if metric_of(question) == "iou" else question


def _needing(shown: Example, truth: Truth) -> Example:
    """The example with what its world knows that it needs from its overview."""
    needs = truth.needs(shown.overview, shown.spec)
    readable = needs.depth is not None
    question = replace(shown.question, depth=needs.depth, targets=needs.targets, readable=readable)
    return replace(shown, question=question, truth=truth)


def _sized(example: Example, number: int, size: tuple[int, int]) -> Image.Image:
    """The picture of the example with that number, made smaller where `size` is."""
    picture = example.pictures[number]
    return picture.image if size == picture.size else picture.image.resize(size, Image.Resampling.LANCZOS)
