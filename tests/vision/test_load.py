"""Loading: every kind of picture a person may have comes out upright and right, everything else in one clear line."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import os
import random
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

import cof.vision.load
from cof.errors import InputError, InvalidImage
from cof.vision.load import LoadLimits, limits_of, load, pixels_of, read_stdin
from cof.vision.pixels import UPRIGHT
from tests.patience import PATIENCE
from tests.properties import cases
from tests.vision.files import HERE, RED, WHITE, WRITTEN, chunk, colours, encoded, near, png, refusal, turned

PILLOW = int(PIL.__version__.partition(".")[0])

ROOT = Path(cof.vision.load.__file__).parents[2]
BOMB_SIDE = 40_000  # pixels; decoded by Pillow this takes 1.6 GB
MEMORY_BYTES = 1_500_000_000  # with room for what a child is billed of its parent's memory before exec


# What comes in


@pytest.mark.parametrize("kind", WRITTEN)
def test_path_and_bytes_give_the_same_plain_rgb(tmp_path: Path, kind: str) -> None:
    data = encoded(colours(), kind)
    path = tmp_path / "picture.of.no.known.kind"
    path.write_bytes(data)
    from_path, from_text, from_bytes = load(path), load(str(path)), load(data)
    assert type(from_path) is Image.Image
    assert from_path == from_text == from_bytes
    assert (from_path.mode, from_path.size) == ("RGB", (40, 20))
    assert near(from_path, colours())


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(colours(), "PNG"))
    assert load(path) == colours()


def test_no_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(colours(), "PNG"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        image = load(path)
    path.unlink()
    assert image.getpixel((0, 0)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIC"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_upright_and_are_not_turned_twice(kind: str, orientation: int) -> None:
    data, turn = turned(colours(), orientation, kind), UPRIGHT.get(orientation)
    image = load(data)
    assert image.size == ((40, 20) if orientation < 5 else (20, 40))
    assert near(image, colours() if turn is None else colours().transpose(turn))
    assert ImageOps.exif_transpose(image) == image == load(image)
    if kind != "HEIC":
        wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert image.tobytes() == wanted.tobytes() == load(wanted).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_in_either_byte_order_and_after_other_tags(order: str) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = [struct.pack(order + "HHII", 0x0100, 4, 1, 40), struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)]
    exif = b"Exif\0\0" + head + struct.pack(order + "H", 2) + b"".join(entries) + bytes(4)
    assert load(encoded(colours(), "JPEG", exif=exif)).size == (20, 40)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0rubbish" * 9]
)
def test_damaged_exif_leaves_the_picture_as_it_lies(exif: bytes) -> None:
    assert load(encoded(colours(), "JPEG", exif=exif)).size == (40, 20)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_on_white(mode: str, kind: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    seen = load(encoded(image.convert(mode), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert [seen.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, WHITE, (204,) * 3]


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 255])])
def test_palette_with_and_without_transparency(transparency: int | bytes | None) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 9, *RED])
    image.putpixel((1, 0), 1)
    seen = load(encoded(image, "PNG", **({} if transparency is None else {"transparency": transparency})))
    assert seen.getpixel((0, 0)) == ((0, 0, 9) if transparency is None else WHITE)
    assert seen.getpixel((1, 0)) == RED


@pytest.mark.parametrize(("mode", "shade"), [("L", 7), ("RGB", (7, 7, 7))])
def test_one_transparent_shade(mode: str, shade: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (2, 1), 200 if mode == "L" else (200, 200, 200))
    image.putpixel((0, 0), shade)
    seen = load(encoded(image, "PNG", transparency=shade))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [WHITE, (200, 200, 200)]


def test_cmyk_photo_has_its_colours() -> None:
    assert near(load(encoded(colours().convert("CMYK"), "JPEG", quality=95)), colours())


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_and_two_tone(mode: str) -> None:
    image = Image.new("L", (2, 1))
    image.putpixel((1, 0), 255)
    seen = load(encoded(image.convert(mode), "PNG"))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0), WHITE]


@pytest.mark.parametrize("extra", [(), (chunk(b"tRNS", struct.pack(">H", 257)),)])
def test_16_bit_grey_is_scaled_and_not_clipped(extra: tuple[bytes, ...]) -> None:
    shades = range(65536)
    rows = b"".join(b"\0" + struct.pack(">256H", *shades[i : i + 256]) for i in range(0, 65536, 256))
    seen = load(png(256, 256, 16, 0, zlib.compress(rows), *extra))
    assert seen.getchannel("R").tobytes() == bytes((shade + 128) // 257 for shade in shades)
    assert seen.getextrema() == ((0, 255),) * 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_only_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.new("RGB", (8, 8), RED), kind, save_all=True, append_images=frames, **options)
    assert load(data).getextrema() == ((255, 255), (0, 0), (0, 0))


def test_only_the_first_picture_of_a_multi_picture_jpeg() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), WHITE).save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert load(file.getvalue()).getpixel((4, 4)) == WHITE


# What is refused


def test_a_missing_file_a_directory_and_a_pipe(tmp_path: Path) -> None:
    assert "no.png' does not exist; give the path of a JPEG, PNG, WEBP, HEIC" in refusal(tmp_path / "no.png")
    assert "is a directory; give the path of" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device; give" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "https", "-", "c:/a.png"])
def test_odd_paths(path: str) -> None:
    assert f"give the path of {LoadLimits().wanted}" in refusal(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "a.png' is empty (0 bytes)" in refusal(tmp_path / "a.png")
    assert "is empty (0 bytes)" in refusal(b"")


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.frombytes("RGB", size, random.Random(0).randbytes(size[0] * size[1] * 3))


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused_and_never_half_grey(kind: str, part: float) -> None:
    data = encoded(noise(), kind)
    head = 600 if kind == "HEIC" else 16  # a HEIC that breaks off in its boxes' names has no picture
    assert refusal(data[: max(head, int(len(data) * part))]).endswith("save it again")


@settings(max_examples=cases(1_000), deadline=None)
@given(st.sampled_from(HERE), st.booleans(), st.floats(0, 1), st.binary(min_size=0, max_size=8), st.integers(0, 8))
def test_damage_anywhere_raises_our_error_or_nothing(kind: str, exif: bool, at: float, put: bytes, drop: int) -> None:
    data = _sample(kind, exif)
    place = int(at**2 * len(data))  # denser in the header
    with contextlib.suppress(InvalidImage):
        load(data[:place] + put + data[place + drop :], LoadLimits(pixels=4_000_000))


@functools.cache
def _sample(kind: str, exif: bool) -> bytes:
    image = noise((24, 16))
    if not exif or kind in ("GIF", "BMP", "JPEG2000"):
        return encoded(image, kind)
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    tags[ExifTags.Base.Make] = "a camera"
    return encoded(image, kind, exif=tags.tobytes() if kind == "HEIC" else tags)


# Limits, from the header


def test_too_many_bytes_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, 10**12)  # sparse
    assert "has 1,000,000,000,000 bytes; want at most 536,870,912" in refusal(path)
    data = encoded(colours(), "PNG")
    assert f"want at most {len(data) - 1}: compress" in refusal(data, LoadLimits(file_bytes=len(data) - 1))
    assert load(data, LoadLimits(file_bytes=len(data))) == colours()


@pytest.mark.parametrize("kind", WRITTEN)
def test_each_limit_alone(kind: str) -> None:
    data = encoded(colours(), kind)
    assert "is 40 x 20 pixels; want at most 799 pixels in all: downscale it" in refusal(data, LoadLimits(pixels=799))
    assert "want sides of at most 39 pixels: downscale or crop it" in refusal(data, LoadLimits(side=39))
    assert "want at most 1.9 : 1: crop it" in refusal(data, LoadLimits(aspect=1.9))
    assert load(data, LoadLimits(pixels=800, side=40, aspect=2)).size == (40, 20)


@pytest.mark.parametrize(
    ("size", "want"), [((1, 101), "100 : 1"), ((30_001, 400), "30,000"), ((20_000, 10_001), "pixels in all")]
)
def test_default_limits_hold_before_any_pixel_is_read(size: tuple[int, int], want: str) -> None:
    assert want in refusal(png(*size, 8, 2, b"no pixels at all"))


def test_pillows_own_limits_are_neither_met_nor_changed() -> None:
    """Pillow warns past 89 megapixels and raises past 179: 190 megapixels get as far as their (missing) pixels."""
    before = Image.MAX_IMAGE_PIXELS
    assert "cannot be decoded" in refusal(png(20_000, 9_500, 1, 0, zlib.compress(b"too few")))
    assert Image.MAX_IMAGE_PIXELS == before is not None


@pytest.mark.skipif(PILLOW < 13, reason="Pillow has this refusal since release 13")
def test_pillows_own_refusal_of_a_large_webp_becomes_ours() -> None:
    head = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") + (11_999).to_bytes(3, "little")
    assert "more pixels than Pillow allows a WEBP" in refusal(
        b"RIFF" + struct.pack("<I", len(head) + 4) + b"WEBP" + head
    )


def bomb() -> bytes:
    """A PNG of 40,000 x 40,000 two-tone pixels in a few hundred kilobytes."""
    packer, row = zlib.compressobj(1), bytes(1 + BOMB_SIDE // 8)
    rows = b"".join(packer.compress(row * 400) for _ in range(BOMB_SIDE // 400)) + packer.flush()
    return png(BOMB_SIDE, BOMB_SIDE, 1, 0, rows)


def test_a_decompression_bomb_is_refused_from_its_header_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb())
    script = """if True:
        import sys
        from cof.errors import InputError, InvalidImage
        from cof.vision.load import load
        from tests.memory import peak
        try:
            load(sys.argv[1])
        except InvalidImage as error:
            print(error)
        print(peak())
    """
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "bomb.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE)
    message, memory = done.stdout.splitlines()
    assert "is 40000 x 40000 pixels; want at most 200,000,000 pixels in all" in message
    assert int(memory) < MEMORY_BYTES


def test_many_threads_at_once() -> None:
    """Good pictures load and large ones are refused side by side; nothing process-wide is touched."""
    good, large = encoded(colours(), "PNG"), png(BOMB_SIDE, BOMB_SIDE, 8, 2, b"")
    before, seen = list(warnings.filters), []

    def work() -> None:
        for _ in range(20):
            seen.append(load(good) == colours())
            try:
                load(large)
            except InvalidImage:
                seen.append(True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * (8 * 20 * 2)
    assert list(warnings.filters) == before


# Every form of a picture


class Pipe(io.RawIOBase):
    """A stream that gives a few bytes at once and cannot be wound back."""

    def __init__(self, content: bytes) -> None:
        self.inner = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.inner.read(min(700, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def at_its_end(content: bytes) -> io.BytesIO:
    file = io.BytesIO()
    file.write(content)
    return file


FORMS: dict[str, Callable[[Path], Any]] = {
    "a path as text": str,
    "bytes": Path.read_bytes,
    "a bytearray": lambda path: bytearray(path.read_bytes()),
    "a memoryview": lambda path: memoryview(path.read_bytes()),
    "part of a memoryview": lambda path: memoryview(b"abc" + path.read_bytes())[3:],
    "a file in memory": lambda path: io.BytesIO(path.read_bytes()),
    "a file that was just written": lambda path: at_its_end(path.read_bytes()),
    "a pipe": lambda path: Pipe(path.read_bytes()),
    "a data URL": lambda path: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode(),
    "an opened Pillow picture": lambda path: Image.open(io.BytesIO(path.read_bytes())),
    "a picture of ours": load,
    "an array of a picture of ours": lambda path: np.asarray(load(path)),
}
FIXTURES: dict[str, Callable[[], bytes]] = {
    **{kind: functools.partial(encoded, colours(), kind) for kind in WRITTEN if kind != "HEIC"},
    "a turned photo": lambda: turned(colours(), 6, "JPEG"),
    "a turned PNG": lambda: turned(colours(), 5, "PNG"),
    "a turned TIFF": lambda: turned(colours(), 8, "TIFF", compression="tiff_lzw"),
    "a turned AVIF": lambda: turned(colours(), 7, "AVIF"),
    "a CMYK photo": lambda: encoded(colours().convert("CMYK"), "JPEG"),
    "a CMYK TIFF": lambda: encoded(colours().convert("CMYK"), "TIFF"),
    "transparency": lambda: encoded(see_through(), "PNG"),
    "transparency in WEBP": lambda: encoded(see_through(), "WEBP"),
    "a palette with transparency": lambda: encoded(see_through().quantize(8), "PNG"),
    "a GIF with transparency": lambda: encoded(see_through(), "GIF"),
    "16-bit grey": lambda: encoded(Image.fromarray(np.arange(600, dtype="uint16").reshape(20, 30) * 100), "PNG"),
    "16-bit grey in TIFF": lambda: encoded(
        Image.fromarray(np.arange(600, dtype="uint16").reshape(20, 30) * 100), "TIFF"
    ),
    "two tones": lambda: encoded(colours().convert("1"), "PNG"),
    "grey": lambda: encoded(colours().convert("L"), "JPEG"),
}


def see_through() -> Image.Image:
    image = colours().convert("RGBA")
    image.paste((9, 9, 9, 0), (5, 5, 15, 15))
    image.paste((9, 9, 9, 100), (20, 5, 30, 15))
    return image


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fixture", FIXTURES)
def test_one_picture_has_the_same_pixels_in_every_form(tmp_path: Path, fixture: str, form: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(FIXTURES[fixture]())
    seen, wanted = load(FORMS[form](path)), load(path)
    assert (seen.mode, seen.size, seen.info) == ("RGB", wanted.size, {})
    assert seen.tobytes() == wanted.tobytes()


def test_an_open_file_is_read_from_its_start_and_not_closed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(colours(), "PNG"))
    with open(tmp_path / "a.png", "rb") as file:
        file.read(9)
        assert load(file) == load(file) == colours()
        assert not file.closed
    assert "cannot be read (read of closed file); open it again" in refusal(file)
    with open(tmp_path / "a.png", encoding="latin-1") as text:
        assert "gives str, not bytes; want it open in binary mode ('rb')" in refusal(text, kind=InputError)
    assert "file object is empty (0 bytes)" in refusal(io.BytesIO())


def test_a_stream_is_read_no_further_than_the_limit() -> None:
    endless = Pipe(bytes(10**7))
    assert "has more than 3,000,000 bytes" in refusal(endless, LoadLimits(file_bytes=3_000_000))
    assert endless.inner.tell() < 5_000_000
    data = encoded(colours(), "PNG")
    piped: Any = Pipe(data)
    assert load(piped, LoadLimits(file_bytes=len(data))) == colours()
    assert "has more than" in refusal(Pipe(data), LoadLimits(file_bytes=len(data) - 1))


@pytest.mark.parametrize("form", [str, Path])
@pytest.mark.parametrize(
    "address", ["http://a.org/b.png", "HTTPS://a.org/b.png", "http:/a.org/b.png", " https://a.org/b.png"]
)
def test_an_address_is_refused_with_what_allows_it(address: str, form: Callable[[str], Any]) -> None:
    want = "is an address; want --fetch to fetch it (Python: fetch=True)"
    scheme = "https" if "s:" in address.lower() else "http"
    assert refusal(form(address)) == f"picture '{scheme}://a.org/b.png' {want}"


def test_an_address_is_shown_without_its_secrets() -> None:
    assert "'https://a.org:8/b'" in refusal("https://me:secret@a.org:8/b?token=secret#secret")


def test_a_long_path_is_cut_in_the_message() -> None:
    assert len(refusal("x" * 5000)) < 500
    assert len(refusal("data:x" + "x" * 5000)) < 500


class Stdin(io.TextIOWrapper):
    """Standard input as Python has it, a terminal where it is so."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(colours(), "PNG")
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert load(read_stdin()) == colours()
    for empty, want in [
        (Stdin(b""), "the picture on standard input is empty (0 bytes); give a JPEG"),
        (Stdin(data, terminal=True), "no picture is piped into standard input"),
        (None, "no picture is piped into standard input"),
    ]:
        monkeypatch.setattr(sys, "stdin", empty)
        with pytest.raises(InvalidImage, match=re.escape(want)):
            read_stdin()
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    with pytest.raises(InvalidImage, match="has more than 9 bytes"):
        read_stdin(LoadLimits(file_bytes=9))


# Limits that an option raises


def test_limits_grow_together() -> None:
    assert limits_of() == limits_of(200) == LoadLimits(raisable=True)
    assert limits_of(400).side >= 40_000
    assert limits_of(400).pixels == 400_000_000
    assert limits_of(400).file_bytes == 2 * LoadLimits.file_bytes
    assert limits_of(0.5) == LoadLimits(pixels=500_000, raisable=True)


@pytest.mark.parametrize("odd", [0, -1, float("nan"), float("inf"), True, "400", None])
def test_odd_limits(odd: Any) -> None:
    with pytest.raises(InputError, match="max_megapixels is .*; want a number above 0, such as 400"):
        limits_of(odd)


@pytest.mark.parametrize(
    ("size", "n"), [((40_000, 10_000), 400), ((20_000, 10_001), 201), ((35_000, 500), 273), ((30_001, 400), 201)]
)
def test_a_refusal_at_a_limit_names_the_option_and_a_number_that_is_enough(size: tuple[int, int], n: int) -> None:
    head = png(*size, 8, 2, b"no pixels at all")
    want = f"or raise it with --max-megapixels {n} (Python: max_megapixels={n})"
    assert refusal(head, limits_of()).endswith(want)
    assert pixels_of(head, limits_of(n)) == size[0] * size[1]
    assert "raise" not in refusal(head)


def test_a_large_file_names_the_option_too(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, 2**30)
    assert "compress or downscale it, or raise it with --max-megapixels 400 (Python" in refusal(path, limits_of())
    assert "is of an unknown format" in refusal(path, limits_of(400))


def test_no_option_helps_a_picture_that_is_too_thin() -> None:
    assert refusal(png(20_000, 199, 8, 2, b""), limits_of()).endswith("want at most 100 : 1: crop it")
