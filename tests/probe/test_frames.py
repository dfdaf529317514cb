"""The frame of a model's boxes is found from its numbers, whatever the frame, with rough boxes and some wrong ones."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import pytest

from cof.geometry import Box
from cof.probe.frames import Frame, NamedBox, frame_of
from cof.probe.pictures import COLOURS, SIZES, drawn

Numbers = Callable[[Box, tuple[int, int]], tuple[float, ...]]
pictures_of = functools.cache(drawn)  # a seed's pictures are drawn once


def pixels(box: Box, _: tuple[int, int]) -> tuple[float, ...]:
    return box.as_tuple()


def parts(box: Box, size: tuple[int, int]) -> tuple[float, ...]:
    return box.x0 / size[0], box.y0 / size[1], box.x1 / size[0], box.y1 / size[1]


def thousandths(box: Box, size: tuple[int, int]) -> tuple[float, ...]:
    return tuple(1000 * v for v in parts(box, size))


def y_first(numbers: Numbers) -> Numbers:
    def turned(box: Box, size: tuple[int, int]) -> tuple[float, ...]:
        a, b, c, d = numbers(box, size)
        return b, a, d, c

    return turned


def shrunk(most: float) -> Numbers:
    return lambda box, size: tuple(v * min(1, most / max(size)) for v in box.as_tuple())


def shrunk_area(most: float) -> Numbers:
    return lambda box, size: tuple(v * min(1, (most / (size[0] * size[1])) ** 0.5) for v in box.as_tuple())


FRAMES: list[tuple[Numbers, tuple[str, str, int | None, str]]] = [
    (pixels, ("pixel", "xy", None, "side")),
    (parts, ("unit", "xy", None, "side")),
    (thousandths, ("thousand", "xy", None, "side")),
    (y_first(thousandths), ("thousand", "yx", None, "side")),
    (y_first(pixels), ("pixel", "yx", None, "side")),
    (y_first(parts), ("unit", "yx", None, "side")),
    (shrunk(1568), ("pixel", "xy", 1568, "side")),
    (shrunk(1024), ("pixel", "xy", 1024, "side")),
    (shrunk_area(1_003_520), ("pixel", "xy", 1_003_520, "area")),
]


def asked(numbers: Numbers, seed: int, noise: float = 0.0, wrong: int = 0) -> Frame | None:
    """The frame of a model that names boxes so, each off by up to `noise` of its side; `wrong` of them are somewhere else."""
    rng, samples = random.Random(seed), []
    for n, one in enumerate(pictures_of(seed)):
        box = one.box
        dx, dy = noise * box.width, noise * box.height
        rough = Box(*(v + rng.uniform(-1, 1) * d for v, d in zip(box.as_tuple(), (dx, dy, dx, dy), strict=True)))
        if n < wrong:
            rough = Box(0, 0, rng.uniform(50, 90), rng.uniform(50, 90))
        a, b, c, d = numbers(rough, one.image.size)
        samples.append(NamedBox(one.image.size, one.box, (a, b, c, d)))
    return frame_of(samples)


@pytest.mark.parametrize(
    ("numbers", "want"), FRAMES, ids=[f"{unit}-{order}-{limit}" for _, (unit, order, limit, _) in FRAMES]
)
@pytest.mark.parametrize("seed", range(10))
def test_the_frame_is_found(numbers: Numbers, want: tuple[str, str, int | None, str], seed: int) -> None:
    for noise, wrong in ((0.0, 0), (0.1, 0), (0.05, 1)):
        found = asked(numbers, seed, noise, wrong)
        assert found is not None
        assert found.found
        assert (found.unit, found.order, found.by) == (want[0], want[1], want[3]), (noise, wrong, found)
        if want[2] is None:
            assert found.limit is None
        else:
            assert found.limit == pytest.approx(want[2], rel=0.12)


def test_numbers_that_mean_nothing_are_no_frame() -> None:
    rng = random.Random(1)
    samples = [
        NamedBox(one.image.size, one.box, (0.0, 0.0, rng.uniform(5000, 9000), rng.uniform(5000, 9000)))
        for one in pictures_of(1)
    ]
    found = frame_of(samples)
    assert found is not None
    assert not found.found
    assert frame_of(samples[:2]) is None
    empty = [NamedBox(one.image.size, one.box, (0.0, 0.0, 0.0, 0.0)) for one in pictures_of(1)]
    nothing = frame_of(empty)
    assert nothing is not None
    assert not nothing.found


def test_pictures_show_their_box() -> None:
    for one in pictures_of(3):
        x, y = round(one.box.center[0]), round(one.box.center[1])
        assert one.image.getpixel((x, y)) == COLOURS[one.colour]
        assert one.image.getpixel((round(one.box.x0), round(one.box.y0))) == COLOURS[one.colour]
        outside = one.image.getpixel((round(one.box.x1), round(one.box.y1)))
        assert outside != COLOURS[one.colour]
    assert [one.box for one in drawn(3)] == [one.box for one in drawn(3)]
    assert len(drawn(0)) == len(SIZES)
