"""Views: geometry over any picture, box and spec that a person may give, and pixels that agree with the geometry."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw, ImageStat

from cof.errors import InputError, InvalidBox, InvalidImage
from cof.geometry import Box, Shown, ViewSpec
from cof.vision import boxes, views
from cof.vision.load import LoadLimits, load
from cof.vision.views import Picture
from tests.properties import cases

MAIN = settings(max_examples=cases(10_000), deadline=None)
SIDE = settings(max_examples=cases(1_000), deadline=None)
PIXELS = settings(max_examples=cases(100), deadline=None)

FACTORS = (14, 28, 32)
UNIT = st.floats(0, 1)
SIZES = st.tuples(st.integers(1, 60_000), st.integers(1, 60_000))


def spec_of(factor: int, tokens: tuple[int, int, int, int], grow: float, scale: float, resized: bool) -> ViewSpec:
    """A spec whose budgets are `tokens` = (least, more) for the overview, then for a zoom."""
    low, high, near, far = (factor**2 * n for n in tokens)
    source = "resized" if resized else "original"
    return ViewSpec(low, low + high, near, near + far, factor, grow, scale, source)  # type: ignore[arg-type]


COUNT = st.integers(1, 2000)
SPECS = st.builds(
    spec_of,
    st.sampled_from(FACTORS),
    st.tuples(COUNT, st.integers(0, 20_000), COUNT, st.integers(0, 20_000)),
    st.floats(1, 3),
    st.floats(0.1, 4),
    st.booleans(),
)


def part_of(size: tuple[int, int], x: float, y: float, w: float, h: float) -> Box:
    """A box about a picture of `size`, from fractions in [0, 1]: any place, any size, often partly outside."""
    width, height = size
    x0, y0 = (x * 1.2 - 0.1) * width, (y * 1.2 - 0.1) * height
    return Box(x0, y0, x0 + w**3 * width + 1e-3, y0 + h**3 * height + 1e-3)


def zoomed(
    size: tuple[int, int], fractions: tuple[float, float, float, float], spec: ViewSpec
) -> tuple[Shown, Box, Shown]:
    """(overview, box, zoom); only our own errors may come out, and only where they should."""
    first = views.overview(size, spec)
    box = part_of(size, *fractions)
    return first, box, views.zoom(box, first, spec)


def accepted(size: tuple[int, int]) -> bool:
    """Whether the loader lets such a picture in."""
    return max(size) <= LoadLimits().aspect * min(size)


@MAIN
@given(SIZES, st.tuples(UNIT, UNIT, UNIT, UNIT), SPECS)
def test_any_zoom(size: tuple[int, int], fractions: tuple[float, float, float, float], spec: ViewSpec) -> None:
    try:
        first, box, view = zoomed(size, fractions, spec)
    except InvalidImage:
        assert max(size) > boxes.MAX_ASPECT * min(size)
        return
    except InvalidBox:
        assert boxes.intersect(part_of(size, *fractions), boxes.full(size)) is None
        return
    region, picture = view.region, first.region
    assert boxes.contains(picture, region, slack=0)
    assert min(view.size) >= spec.factor
    assert view.size[0] % spec.factor == view.size[1] % spec.factor == 0

    token_w, token_h = (spec.factor * p / s for p, s in zip((picture.width, picture.height), first.size, strict=True))
    assert region.width >= min(token_w, picture.width) - 1e-6
    assert region.height >= min(token_h, picture.height) - 1e-6
    if max(size) <= views.ZOOM_ASPECT * min(size):
        assert boxes.contains(region, boxes.clip(box, picture))
    if accepted(size):
        assert max(view.size) <= boxes.MAX_ASPECT * min(view.size)
        assert max(first.size) <= boxes.MAX_ASPECT * min(first.size)

    inside = boxes.clip(box, picture)
    back = view.to_source(view.from_source(inside))
    assert back.as_tuple() == pytest.approx(inside.as_tuple(), abs=0.5)


@SIDE
@given(SIZES, st.tuples(UNIT, UNIT, UNIT, UNIT), st.tuples(UNIT, UNIT, UNIT, UNIT))
def test_round_trip_of_any_box_in_any_region(
    size: tuple[int, int], region: tuple[float, ...], box: tuple[float, ...]
) -> None:
    view = Shown(part_of(size, *region), (448, 280))
    source = part_of(size, *box)
    assert view.to_source(view.from_source(source)).as_tuple() == pytest.approx(source.as_tuple(), abs=1e-3)


@SIDE
@given(SIZES, st.tuples(st.floats(), st.floats(), st.floats(), st.floats()), SPECS)
def test_only_our_own_errors_whatever_the_box(
    size: tuple[int, int], numbers: tuple[float, float, float, float], spec: ViewSpec
) -> None:
    with contextlib.suppress(InputError):
        first = views.overview(size, spec)
        box = Box(*numbers)
        views.zoom(box, first, spec)
        first.to_source(first.from_source(box))


def test_a_whole_number_in_a_view_is_off_by_at_most_half_a_view_pixel() -> None:
    view = Shown(Box(1000, 500, 1448, 948), (448, 448))
    box = Box(1010.4, 510.6, 1100.2, 600.9)
    said = Box(*(float(round(v)) for v in view.from_source(box).as_tuple()))
    assert view.to_source(said).as_tuple() == pytest.approx(box.as_tuple(), abs=0.5)


def test_a_long_thin_box_is_widened_not_cut() -> None:
    spec = ViewSpec(max_pixels=3584 * 3584)
    first = views.overview((20_000, 20_000), spec)
    box = Box(0, 9_999, 20_000, 10_001)
    region = views.zoom(box, first, spec).region
    assert boxes.contains(region, box)
    assert region.width <= views.ZOOM_ASPECT * region.height * (1 + 1e-9)


def test_a_point_is_shown_as_one_overview_token() -> None:
    spec = ViewSpec(max_pixels=280 * 280)
    first = views.overview((2800, 2800), spec)
    region = views.zoom(Box(1400, 1400, 1401, 1401), first, spec).region
    assert (region.width, region.height) == pytest.approx((280, 280))


@pytest.mark.parametrize(
    ("box", "want"),
    [
        (Box(400, 300, 500, 400), Box(300, 200, 600, 500)),
        (Box(20, 0, 500, 400), Box(0, 0, 600, 500)),
        (Box(950, 990, 1000, 1000), Box(850, 890, 1000, 1000)),
        (Box(0, 0, 1000, 1000), Box(0, 0, 1000, 1000)),
    ],
)
def test_a_pad_is_a_part_of_the_picture_and_stops_at_its_edge(box: Box, want: Box) -> None:
    spec = ViewSpec(max_pixels=1000 * 1000, grow=1.0, pad=0.1)
    found = views.zoom(box, views.overview((1000, 1000), spec), spec).region
    assert found.as_tuple() == pytest.approx(want.as_tuple())


@SIDE
@given(SIZES, st.tuples(UNIT, UNIT, UNIT, UNIT), SPECS, st.integers(100, 4000))
def test_no_side_is_longer_than_the_longest(
    size: tuple[int, int], fractions: tuple[float, float, float, float], spec: ViewSpec, longest: int
) -> None:
    limited = replace(spec, max_side=longest)
    with contextlib.suppress(InvalidBox, InvalidImage):
        first, _, view = zoomed(size, fractions, limited)
        for shown in (first, view):
            assert max(shown.size) <= max(longest, spec.factor)
            assert not any(side % spec.factor for side in shown.size)
        if max(views.overview(size, spec).size) <= longest and max(size) <= longest:
            assert first == views.overview(size, spec)


def test_a_box_outside_is_an_error_and_never_the_whole_picture() -> None:
    first = views.overview((640, 480), ViewSpec())
    with pytest.raises(InvalidBox, match=r"\[640, 0, 700, 50\] lies outside the picture \[0, 0, 640, 480\]; want"):
        views.zoom(Box(640, 0, 700, 50), first, ViewSpec())


def checkerboard(side: int, cell: int) -> Image.Image:
    """`side` x `side` cells of `cell` pixels each, black and white; `side` is even."""
    rows = b"\xff\x00" * (side // 2) + b"\x00\xff" * (side // 2)
    board = Image.frombytes("L", (side, side), rows * (side // 2))
    return board.convert("RGB").resize((side * cell, side * cell), Image.Resampling.NEAREST)


@pytest.mark.parametrize("source", ["original", "resized"])
@pytest.mark.parametrize("size", [(1, 1), (50, 3), (37, 901), (1200, 800)])
def test_rendered_to_the_pixel(size: tuple[int, int], source: str) -> None:
    spec = ViewSpec(source=source)  # type: ignore[arg-type]
    first = views.overview(size, spec)
    image = Image.new("RGB", size, "red")
    for view in (first, views.zoom(Box(0, 0, 1, 1), first, spec), views.zoom(first.region, first, spec)):
        shown = views.render(image, view, first, spec)
        assert (shown.size, shown.mode) == (view.size, "RGB")
        assert shown.getextrema() == ((255, 255), (0, 0), (0, 0))


def contrast(source: str) -> float:
    """The standard deviation, 0..127.5, of a zoom into a checkerboard of 2-pixel cells."""
    spec = ViewSpec(56 * 56, 280 * 280, 224 * 224, 224 * 224, grow=1.0, source=source)  # type: ignore[arg-type]
    image = checkerboard(1120, cell=2)
    first = views.overview(image.size, spec)
    view = views.zoom(Box(448, 448, 672, 672), first, spec)
    return float(ImageStat.Stat(views.render(image, view, first, spec)).stddev[0])


def test_a_zoom_of_the_original_shows_detail_that_the_resized_overview_lost() -> None:
    assert contrast("original") > 100
    assert contrast("resized") < 20


def test_a_zoom_at_native_size_is_the_crop_itself() -> None:
    spec = ViewSpec(56 * 56, 448 * 448, 28 * 28, 448 * 448, grow=1.0)
    image = Image.effect_noise((900, 700), 80).convert("RGB")
    first = views.overview(image.size, spec)
    view = views.zoom(Box(100, 200, 100 + 224, 200 + 112), first, spec)
    assert view.size == (224, 112)
    assert views.render(image, view, first, spec).tobytes() == image.crop((100, 200, 324, 312)).tobytes()


@pytest.mark.parametrize("source", ["original", "resized"])
def test_the_overview_is_the_whole_picture_resized(source: str) -> None:
    spec = ViewSpec(source=source)  # type: ignore[arg-type]
    image = Image.effect_noise((900, 700), 80).convert("RGB")
    first = views.overview(image.size, spec)
    assert views.render(image, first, first, spec) == image.resize(first.size, Image.Resampling.LANCZOS)


@PIXELS
@given(st.integers(40, 900), st.integers(40, 600), st.booleans())
def test_pixels_agree_with_the_geometry(x: int, y: int, resized: bool) -> None:
    """A bright mark of known place is where `from_source` says, in the overview and in a zoom on it."""
    spec = ViewSpec(source="resized" if resized else "original")
    image = Image.new("RGB", (1000, 700))
    mark = Box(x, y, x + 60, y + 60)
    ImageDraw.Draw(image).rectangle((x, y, x + 59, y + 59), fill="white")
    first = views.overview(image.size, spec)
    for view in (first, views.zoom(mark, first, spec)):
        inside = boxes.clip(view.from_source(mark), boxes.full(view.size))
        found = views.render(image, view, first, spec).convert("L").point(lambda v: 255 * (v > 127)).getbbox()
        assert found is not None
        assert found == pytest.approx(inside.as_tuple(), abs=1.5 * view.size[0] / first.size[0] + 1)


def test_an_upright_photo_is_zoomed_where_a_person_sees_it() -> None:
    """A camera on its side: stored 200 x 400 with the mark bottom left, seen 400 x 200 with the mark top left."""
    stored = Image.new("RGB", (200, 400))
    stored.paste("white", (0, 300, 100, 400))
    file, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored.save(file, "PNG", exif=exif)
    seen = load(file.getvalue())
    first = views.overview(seen.size, ViewSpec())
    view = views.zoom(Box(10, 10, 60, 60), first, ViewSpec())
    assert first.region == Box(0, 0, 400, 200)
    assert views.render(seen, view, first, ViewSpec()).getextrema() == ((255, 255),) * 3


def test_another_picture_than_the_views_were_made_for_is_refused() -> None:
    first = views.overview((640, 480), ViewSpec())
    with pytest.raises(InvalidImage, match=r"480 x 640 pixels, want 640 x 480"):
        views.render(Image.new("RGB", (480, 640)), first, first, ViewSpec())


def test_a_picture_keeps_as_many_pixels_of_views_as_it_may() -> None:
    spec = ViewSpec()
    picture = Picture(Image.new("RGB", (3000, 2000)))
    first = views.overview(picture.size, spec)
    shown = picture.show(first, first, spec)
    assert picture.show(first, first, replace(spec, max_pixels=1)) is shown  # no other pixels for another budget
    looks = [views.zoom(Box(x, 0, x + 400, 400), first, spec) for x in range(0, 2600, 20)]
    assert sum(look.pixels for look in looks) > 3000 * 2000
    early = picture.show(looks[0], first, spec)
    for look in looks:
        picture.show(look, first, spec)
        assert picture.show(first, first, spec) is shown  # asked for last
    assert picture.show(looks[-1], first, spec) is picture.show(looks[-1], first, spec)
    assert picture.show(looks[0], first, spec) is not early
