"""Geometry of boxes: properties over any finite numbers, and the same sizes as transformers' own `smart_resize`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.errors import InputError, InvalidBox, InvalidImage
from cof.geometry import Box
from cof.vision import boxes
from tests.properties import cases

MAIN = settings(max_examples=cases(10_000), deadline=None)
SIDE = settings(max_examples=cases(1_000), deadline=None)

ANY = st.floats()  # NaN, infinities, subnormals: all that a model may write
PIXEL = st.floats(-60_000, 60_000)
LENGTH = st.floats(0.01, 60_000)
SIZES = st.tuples(st.integers(1, 60_000), st.integers(1, 60_000))


def placed(x: float, y: float, w: float, h: float) -> Box:
    return Box(x, y, x + w, y + h)


BOXES = st.builds(placed, PIXEL, PIXEL, LENGTH, LENGTH)


def wild(numbers: tuple[float, float, float, float]) -> Box | None:
    try:
        return Box(*numbers)
    except InvalidBox:
        return None


WILD = st.tuples(ANY, ANY, ANY, ANY).map(wild)


@SIDE
@given(WILD, WILD)
def test_only_our_own_errors_whatever_the_numbers(a: Box | None, b: Box | None) -> None:
    if a is None or b is None:
        return
    assert 0 <= boxes.iou(a, b) <= 1
    for call in (
        lambda: boxes.clip(a, b),
        lambda: boxes.shift_inside(a, b),
        lambda: boxes.grow(a, 1.25, 28),
        lambda: boxes.scale(a, 0.1, 3),
        lambda: boxes.contains(a, b),
    ):
        with contextlib.suppress(InputError):
            call()


@pytest.mark.parametrize("side", [1e-200, 1e200])
def test_iou_of_areas_beyond_floats_is_zero(side: float) -> None:
    box = Box(0, 0, side, side)
    assert boxes.iou(box, box) == 0


@SIDE
@given(BOXES, BOXES)
def test_iou_is_symmetric_and_one_only_for_equals(a: Box, b: Box) -> None:
    assert boxes.iou(a, b) == pytest.approx(boxes.iou(b, a))
    assert boxes.iou(a, a) == 1
    assert boxes.iou(a, b) < 1 or a.as_tuple() == pytest.approx(b.as_tuple())


def test_iou_by_hand() -> None:
    assert boxes.iou(Box(0, 0, 2, 2), Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert boxes.iou(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == 0  # x1 is exclusive: they only touch


@SIDE
@given(BOXES, BOXES)
def test_the_common_part_lies_in_both(a: Box, b: Box) -> None:
    common = boxes.intersect(a, b)
    if common is None:
        with pytest.raises(InvalidBox, match=r"lies outside the picture .* want"):
            boxes.clip(a, b)
        return
    assert boxes.clip(a, b) == common
    assert boxes.contains(a, common, slack=0)
    assert boxes.contains(b, common, slack=0)


@SIDE
@given(BOXES, BOXES)
def test_a_shifted_box_lies_inside_and_keeps_what_size_it_can(box: Box, frame: Box) -> None:
    moved = boxes.shift_inside(box, frame)
    assert boxes.contains(frame, moved, slack=0)
    assert moved.width == pytest.approx(min(box.width, frame.width), abs=1e-9)
    assert moved.height == pytest.approx(min(box.height, frame.height), abs=1e-9)


@SIDE
@given(BOXES)
def test_a_box_inside_its_frame_is_not_shifted(box: Box) -> None:
    assert boxes.shift_inside(box, boxes.grow(box, 3)).as_tuple() == pytest.approx(box.as_tuple())


@SIDE
@given(BOXES, st.floats(1, 4), st.floats(0, 100))
def test_grown_about_its_centre(box: Box, by: float, least: float) -> None:
    grown = boxes.grow(box, by, least)
    assert grown.center == pytest.approx(box.center, abs=1e-6)
    assert grown.width == pytest.approx(max(box.width * by, least))
    assert boxes.contains(grown, box)


@SIDE
@given(BOXES, st.floats(0.01, 100), st.floats(0.01, 100))
def test_scale_and_back(box: Box, sx: float, sy: float) -> None:
    back = boxes.scale(boxes.scale(box, sx, sy), 1 / sx, 1 / sy)
    assert back.as_tuple() == pytest.approx(box.as_tuple(), abs=1e-6)


BUDGETS = st.tuples(st.sampled_from([14, 28, 32]), st.integers(1024, 4_000_000), st.integers(0, 16_000_000))


Resize = Callable[..., tuple[int, int]]


@pytest.fixture(scope="module")
def theirs() -> Resize:
    """transformers' `smart_resize`: of (height, width, factor, min_pixels, max_pixels), giving (height, width)."""
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    found: Resize = module.smart_resize
    return found


@MAIN
@given(SIZES, BUDGETS)
def test_smart_resize_equals_theirs(theirs: Resize, size: tuple[int, int], budget: tuple[int, int, int]) -> None:
    factor, least, more = budget
    try:
        height, width = theirs(size[1], size[0], factor, least, least + more)
    except ValueError:
        with pytest.raises(InvalidImage):
            boxes.smart_resize(size, factor, least, least + more)
        return
    assert boxes.smart_resize(size, factor, least, least + more) == (width, height)
    assert width % factor == height % factor == 0
    assert min(width, height) >= factor


@pytest.mark.parametrize(
    "size", [(1, 1), (28, 28), (42, 42), (14, 28), (1, 200), (200, 1), (5760, 3840), (30_000, 300)]
)
def test_smart_resize_equals_theirs_at_corners(theirs: Resize, size: tuple[int, int]) -> None:
    budget = (28, 56 * 56, 448 * 448)
    assert boxes.smart_resize(size, *budget) == theirs(size[1], size[0], *budget)[::-1]


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (1, 201)])
def test_smart_resize_refuses_no_picture_and_too_thin_ones(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImage, match=r"200 : 1; crop it"):
        boxes.smart_resize(size, 28, 56 * 56, 448 * 448)


@given(st.floats(0, 440), st.floats(0, 440), st.floats(0.1, 448), st.floats(0.1, 448), st.sampled_from([1, 4, 28]))
def test_snapped_to_a_grid_inside_the_picture(x: float, y: float, w: float, h: float, grid: int) -> None:
    box = Box(x, y, min(x + w, 448), min(y + h, 448))
    snapped = boxes.snap(box, (448, 448), grid)
    assert all(v % grid == 0 for v in snapped.as_tuple())
    assert boxes.contains(boxes.full((448, 448)), snapped)
    assert min(snapped.width, snapped.height) >= 2 * grid
    moved = [abs(a - b) for a, b in zip(snapped.as_tuple(), box.as_tuple(), strict=True)]
    assert max(moved) <= 2.5 * grid
