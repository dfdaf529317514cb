"""Pictures as data URLs: which form is chosen, that it depends on the pixels alone, and what colours survive."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cof.errors import InvalidConfig
from cof.vision.urls import URL_BYTES, Wire, jpeg_url, png_url

GRAIN = 12.0  # levels of 256
SMOOTH = Image.linear_gradient("L").convert("RGB")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def photo(width: int, height: int) -> Image.Image:
    """As hard to compress as a detailed photograph: JPEG 95 takes 5.4 bits for a pixel of it, and 3.4 and 5.5 for a pixel of
    the two that scikit-learn has."""
    random = np.random.default_rng(1)
    fine = random.normal(0, GRAIN, (height, width, 1)) + random.normal(0, GRAIN / 5, (height, width, 3))
    coarse = Image.effect_noise((width // 8, height // 8), 90).resize((width, height), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(coarse)[..., None] / 2 + 64 + fine).clip(0, 255).astype(np.uint8))


def opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


@pytest.mark.parametrize(
    ("text", "wire", "written"),
    [
        ("auto", Wire(), "auto"),
        ("png", Wire("png"), "png"),
        ("jpeg", Wire("jpeg", 95), "jpeg:95"),
        ("jpeg:85", Wire("jpeg", 85), "jpeg:85"),
        ("jpeg:1", Wire("jpeg", 1), "jpeg:1"),
        ("jpeg:100", Wire("jpeg", 100), "jpeg:100"),
    ],
)
def test_a_form_by_its_name(text: str, wire: Wire, written: str) -> None:
    assert Wire.of(text) == wire
    assert str(wire) == written
    assert Wire.of(written) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PNG",
        "jpg",
        "jpeg:",
        "jpeg:0",
        "jpeg:101",
        "jpeg:9999",
        "jpeg:-5",
        "jpeg:85.5",
        "jpeg:x",
        "png:9",
        "webp",
        "jpeg:٨٥",
    ],
)
def test_another_form_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidConfig, match="want") as caught:
        Wire.of(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("picture", "form"),
    [
        (SMOOTH.resize((1000, 2000)), "PNG"),  # 2 megapixels exactly
        (SMOOTH.resize((1000, 2001)), "JPEG"),
        (noise(590, 590), "PNG"),  # 1.04 MB of file
        (noise(592, 592), "JPEG"),
        (noise(28, 28), "PNG"),
    ],
)
def test_the_form_is_chosen_by_pixels_and_bytes(picture: Image.Image, form: str) -> None:
    found = opened(Wire().url(picture))
    assert found.format == form
    assert found.size == picture.size
    if form == "PNG":
        assert found.tobytes() == picture.tobytes()


def test_a_form_that_is_named_is_kept() -> None:
    large = SMOOTH.resize((1500, 1500))
    assert opened(Wire("png").url(large)).tobytes() == large.tobytes()
    small = SMOOTH.resize((100, 100))
    assert opened(Wire("jpeg", 50).url(small)).format == "JPEG"
    assert len(Wire("jpeg", 50).url(noise(200, 200))) < len(Wire("jpeg", 95).url(noise(200, 200)))


def test_no_picture_is_above_what_a_provider_takes_of_one() -> None:
    hard = noise(2000, 2000)
    assert len(jpeg_url(hard, 95)) > URL_BYTES
    assert len(Wire().url(hard)) <= URL_BYTES
    assert Wire().url(hard) in (jpeg_url(hard, 85), jpeg_url(hard, 75))
    assert len(Wire("jpeg", 95).url(hard)) > URL_BYTES  # what was asked for is done


def test_an_overview_and_four_crops_of_a_photograph_are_under_8_mb() -> None:
    urls = [Wire().url(photo(2300, 1740)), *[Wire().url(photo(1024, 1000)) for _ in range(4)]]
    assert {url[: len("data:image/jpeg")] for url in urls} == {"data:image/jpeg"}
    assert 7_000_000 < sum(map(len, urls)) < 8_000_000


def test_the_bytes_depend_on_the_pixels_alone() -> None:
    large = SMOOTH.resize((1500, 1500))
    for picture in (SMOOTH, large):
        marked = picture.copy()
        marked.info = {
            "icc_profile": b"profile",
            "comment": b"secret",
            "transparency": (0, 0, 0),
            "exif": b"Exif\x00\x00x",
            "dpi": (9, 9),
        }
        for wire in (Wire(), Wire("png"), Wire("jpeg", 85)):
            assert wire.url(marked) == wire.url(picture) == wire.url(picture.copy())
        assert marked.info["comment"] == b"secret"  # the picture itself is left alone


@pytest.mark.parametrize(("quality", "colours"), [(95, "4:4:4"), (90, "4:4:4"), (89, "4:2:0"), (50, "4:2:0")])
def test_a_jpeg_of_high_quality_has_a_colour_for_every_pixel(quality: int, colours: str) -> None:
    found = opened(jpeg_url(SMOOTH, quality))
    assert found.layer[0][1:3] == {"4:4:4": (1, 1), "4:2:0": (2, 2)}[colours]  # type: ignore[attr-defined]


def test_thin_coloured_lines_keep_their_colour() -> None:
    lined = np.full((64, 64, 3), 255, np.uint8)
    lined[:, ::4] = (255, 0, 0)
    shown = np.asarray(opened(Wire("jpeg", 95).url(Image.fromarray(lined))), np.int16)
    assert np.abs(shown - lined).max() < 30


def test_a_png_is_lossless() -> None:
    assert opened(png_url(noise(40, 30))).tobytes() == noise(40, 30).tobytes()
