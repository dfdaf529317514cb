"""What the pixels of a picture are: Pillow pictures of every mode and arrays of every sort, right or refused by name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from cof.errors import InputError
from cof.vision.load import LoadLimits, load
from cof.vision.pixels import MODES
from tests.vision.files import RED, WHITE, colours, encoded, near, refusal, turned

WANT = "want height x width, or height x width x 1 (grey), 3 (RGB) or 4 (RGBA)"


def values(*shades: Any, dtype: str = "uint8") -> np.ndarray[Any, Any]:
    """One row of grey."""
    return np.array([shades], dtype)


def greys(source: Any) -> list[int]:
    seen = load(source)
    assert seen.getchannel("R").tobytes() == seen.getchannel("G").tobytes() == seen.getchannel("B").tobytes()
    return list(seen.getchannel("R").tobytes())


# Pillow pictures


def test_a_picture_of_ours_passes_unchanged() -> None:
    ours = load(encoded(colours(), "JPEG"))
    assert load(ours) is ours
    fresh = Image.new("RGB", (3, 2), RED)
    assert load(fresh) is fresh


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"I", "F", "RGBa", "La", "I;16L", "I;16B", "I;16N", "I;16"}))
def test_modes_of_8_bits(mode: str) -> None:
    image = colours().quantize(16) if mode == "P" else colours().convert(mode)
    seen = load(image)
    assert (seen.mode, seen.size) == ("RGB", (40, 20))
    assert seen.tobytes() == image.convert("RGB").tobytes()
    if mode not in ("1", "PA"):  # two shades, and a palette of its own
        assert near(seen, colours().convert("L" if mode in ("L", "LA") else "RGB").convert("RGB"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_transparency_lies_on_white(mode: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    image = image.convert("LA") if mode == "La" else image
    assert greys(image if image.mode == mode else image.convert(mode)) == [0, 255, 204]


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_transparency_lies_on_white(kind: str, transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 9, *RED])
    image.putpixel((1, 0), 1)
    if isinstance(transparency, int) or kind == "PNG":
        opened = Image.open(io.BytesIO(encoded(image, kind, transparency=transparency)))
        assert load(opened).tobytes() == bytes([*WHITE, *RED])
    image.info["transparency"] = transparency
    assert load(image).tobytes() == bytes([*WHITE, *RED])


def test_one_transparent_colour() -> None:
    image = Image.new("RGB", (1, 1), RED)
    image.info["transparency"] = RED
    assert load(image).getpixel((0, 0)) == WHITE
    image.info["transparency"] = (255, 0, 1)
    assert load(image).getpixel((0, 0)) == RED


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N", "I"])
def test_16_bit_grey_is_rounded_and_not_clipped(mode: str) -> None:
    shades = np.arange(65536, dtype=">u2" if mode == "I;16B" else "<u2").reshape(256, 256)
    wide = shades.astype("int32") if mode == "I" else shades
    image = Image.frombytes(mode, (256, 256), wide.tobytes())
    assert greys(image) == [(shade + 128) // 257 for shade in range(65536)]


@pytest.mark.parametrize(
    ("low", "high", "fine"),
    [(0, 65535, True), (0, 256, True), (0, 0, True), (0, 255, False), (-1, 999, False), (5, 65536, False)],
)
def test_32_bit_integers_are_taken_where_they_can_only_be_16_bit(low: int, high: int, fine: bool) -> None:
    image = Image.fromarray(values(low, high, dtype="int32"))
    assert image.mode == "I"
    if fine:
        assert greys(image) == [(shade + 128) // 257 for shade in (low, high)]
    else:
        assert f"values from {low} to {high} in 32-bit integers (mode I); want 16 bit" in refusal(image)


def test_floats_and_lab() -> None:
    assert greys(Image.fromarray(values(0, 0.5, 1, dtype="float32"))) == [0, 128, 255]
    assert "want floats from 0 to 1" in refusal(colours().convert("F"))
    assert "the Pillow picture is of mode LAB; want it as RGB" in refusal(Image.new("LAB", (2, 2)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 2, 6, 8])
@pytest.mark.parametrize("loaded", [False, True])
def test_exif_is_applied_once_and_the_picture_stays(kind: str, orientation: int, loaded: bool) -> None:
    data = turned(colours(), orientation, kind)
    image = Image.open(io.BytesIO(data))
    if loaded:
        image.load()
    seen = load(image)
    assert seen == load(data)
    assert load(image) == seen == load(seen)  # asked again, the same
    assert image.mode == "RGB"
    assert kind == "TIFF" or image.getexif().get(ExifTags.Base.Orientation, 1) == orientation


def test_a_picture_with_info_is_not_changed() -> None:
    image = Image.new("RGB", (2, 1), RED)
    image.info = {"dpi": (72, 72), "exif": b"Exif\0\0rubbish"}
    seen = load(image)
    assert (seen.info, image.info) == ({}, {"dpi": (72, 72), "exif": b"Exif\0\0rubbish"})
    assert seen.tobytes() == image.tobytes()


def test_the_frame_it_is_at_is_taken() -> None:
    frames = encoded(
        Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), WHITE)]
    )
    image = Image.open(io.BytesIO(frames))
    assert load(image).getpixel((0, 0)) == RED
    image.seek(1)
    assert load(image).getpixel((0, 0)) == WHITE


def test_a_closed_or_cut_picture_is_refused(tmp_path: Any) -> None:
    (tmp_path / "a.png").write_bytes(encoded(colours(), "PNG"))
    with Image.open(tmp_path / "a.png") as inside:
        pass
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    cut = Image.open(io.BytesIO(encoded(Image.effect_noise((64, 64), 90), "PNG")[:2000]))
    for image in (inside, closed, cut):
        assert "the Pillow picture cannot be decoded: its file is closed, truncated or damaged" in refusal(image)


def test_limits_hold_for_pillow_pictures_before_they_are_decoded() -> None:
    few = LoadLimits(pixels=10)
    assert "the Pillow picture is 40 x 20 pixels; want at most 10 pixels" in refusal(colours(), few)
    assert "100 : 1" in refusal(Image.new("L", (101, 1)))
    assert "0 x 5 pixels; want one pixel at least" in refusal(Image.new("RGB", (0, 5)))
    cut = Image.open(io.BytesIO(encoded(colours(), "PNG")[:60]))
    assert "want at most 10 pixels" in refusal(cut, few)


# Arrays


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<u2", "float16", "float32", "float64", "bool"])
def test_arrays_of_every_shape_and_dtype(channels: tuple[int, ...], dtype: str) -> None:
    most: Any = {"uint8": 255, ">u2": 65535, "<u2": 65535, "bool": True}.get(dtype, 1.0)
    array = np.zeros((2, 3, *channels), dtype)
    array[0, 1] = most
    if channels == (4,):
        array[..., 3] = most
    seen = load(array)
    assert (seen.mode, seen.size) == ("RGB", (3, 2))
    assert greys(array) == [0, 255, 0, 0, 0, 0]


def test_alpha_of_an_array_lies_on_white() -> None:
    half = np.array([[[0, 0, 0, 0], [0, 0, 0, 51], [9, 9, 9, 255]]], "uint8")
    assert greys(half) == greys(half / 255) == greys(half.astype("uint16") * 257) == [255, 204, 9]


def test_16_bit_arrays_are_as_their_files() -> None:
    shades = np.arange(65536, dtype="uint16").reshape(256, 256)
    assert (
        load(shades) == load(encoded(Image.fromarray(shades), "PNG")) == load(encoded(Image.fromarray(shades), "TIFF"))
    )
    assert greys(np.dstack([shades] * 3)) == [shade >> 8 for shade in range(65536)]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=90))
def test_levels_survive_floats(levels: list[int]) -> None:
    array = values(*levels)
    assert greys(array) == greys(array / 255) == greys((array / 255).astype("float32")) == levels


def test_arrays_laid_out_otherwise_and_views() -> None:
    array = np.asarray(colours())
    assert load(array) == load(np.asfortranarray(array)) == load(np.dstack([array] * 2)[:, :, :3]) == colours()
    assert load(array[::-1]) == colours().transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert load(array[..., ::-1]).getpixel((39, 0)) == (0, 255, 0)
    read_only = array.copy()
    read_only.flags.writeable = False
    assert load(read_only) == colours()


def test_what_changes_in_an_array_later_does_not_change_the_picture() -> None:
    for array in (np.zeros((2, 2), "uint8"), np.zeros((2, 2, 3), "uint8"), np.zeros((2, 2, 4), "uint8")):
        seen = load(array)
        before = seen.tobytes()
        array[:] = 200
        assert seen.tobytes() == before


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((5,), WANT),
        ((), WANT),
        ((2, 3, 2), WANT),
        ((2, 3, 5), WANT),
        ((1, 8, 8, 3), WANT),
        ((0, 5), WANT),
        ((3, 20, 30), "move the channels last (numpy.moveaxis(array, 0, -1))"),
        ((1, 20, 30), "move the channels last"),
    ],
)
def test_other_shapes_are_refused_by_name(shape: tuple[int, ...], advice: str) -> None:
    message = refusal(np.zeros(shape, "uint8"))
    assert f"the array has the shape {shape}; want height x width" in message
    assert advice in message
    assert ("moveaxis" in message) == ("move" in advice)


@pytest.mark.parametrize(
    "dtype", ["int8", "int32", "int64", "uint32", "uint64", "complex64", "object", "U3", "datetime64[s]"]
)
def test_other_dtypes_are_refused_by_name(dtype: str) -> None:
    array = np.zeros((2, 2), dtype)
    assert f"is of dtype {array.dtype}; want uint8, uint16, bool, or floats from 0 to 1" in refusal(array)


@pytest.mark.parametrize("odd", [255.0, -0.1, 1.1, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_other_values_are_refused_by_name(odd: float, dtype: str) -> None:
    message = refusal(values(0, odd, 0.5, dtype=dtype))
    assert "the array has values from " in message
    assert "want floats from 0 to 1 (divide by 255 what is of 8 bits), or uint8" in message


def test_what_rounds_to_a_level_is_taken() -> None:
    assert greys(values(-0.001, 1.001, dtype="float64")) == [0, 255]


def test_limits_hold_for_arrays() -> None:
    assert "the array is 3 x 4 pixels; want at most 11 pixels" in refusal(
        np.zeros((4, 3), "uint8"), LoadLimits(pixels=11)
    )
    assert "100 : 1" in refusal(np.zeros((1, 101, 3)))


@pytest.mark.parametrize("odd", [None, [1], [[0, 1]], (1, 2), 3, 2.5, {"a": 1}, object(), set()])
def test_what_is_no_form_of_a_picture_is_refused_with_all_that_are(odd: Any) -> None:
    want = "want a path, bytes, a binary file object, a data URL, a numpy array or a Pillow picture"
    assert refusal(odd, kind=InputError) == f"a picture was given as {type(odd).__name__}; {want}"
