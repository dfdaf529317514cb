"""Loading: every kind of picture a person may have comes out upright and right, everything else in one clear line."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

import cof.vision.load
from cof.errors import InvalidImage
from cof.vision.load import LoadLimits, load

ROOT = Path(cof.vision.load.__file__).parents[2]
BOMB_SIDE = 40_000  # pixels; decoded by Pillow this takes 1.6 GB
MEMORY_BYTES = 1_500_000_000  # with room for what a child is billed of its parent's memory before exec
FORMATS = ("JPEG", "PNG", "WEBP")
DEFAULT = LoadLimits()
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colours(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red, green, blue and grey quarters: no two orientations alike."""
    image = Image.new("RGB", size, (128, 128, 128))
    w, h = size[0] // 2, size[1] // 2
    image.paste(RED, (0, 0, w, h))
    image.paste((0, 255, 0), (w, 0, 2 * w, h))
    image.paste((0, 0, 255), (0, h, w, 2 * h))
    return image


def near(a: Image.Image, b: Image.Image, most: float = 24) -> bool:
    """Whether the quarters' centres of two pictures differ by at most `most` of 255."""
    spots = [(a.width * x // 4, a.height * y // 4) for x in (1, 3) for y in (1, 3)]
    pairs = [(a.getpixel(s), b.getpixel(s)) for s in spots]
    return a.size == b.size and all(abs(p - q) <= most for x, y in pairs for p, q in zip(_rgb(x), _rgb(y), strict=True))


def _rgb(pixel: object) -> tuple[int, ...]:
    assert isinstance(pixel, tuple)
    return pixel


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand: of `rows` already compressed, with `extra` chunks before them."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# What comes in


@pytest.mark.parametrize("kind", FORMATS)
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


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_upright_and_are_not_turned_twice(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(colours(), kind, exif=exif)
    image, wanted = load(data), ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert image.tobytes() == wanted.convert("RGB").tobytes()
    assert image.size == wanted.size == ((40, 20) if orientation < 5 else (20, 40))
    assert ImageOps.exif_transpose(image) == image


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


def refusal(source: str | os.PathLike[str] | bytes, limits: LoadLimits = DEFAULT) -> str:
    """The message, which is one line."""
    with pytest.raises(InvalidImage) as caught:
        load(source, limits)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file_a_directory_and_a_pipe(tmp_path: Path) -> None:
    assert "no.png' does not exist; give the path of a JPEG, PNG or WEBP" in refusal(tmp_path / "no.png")
    assert "is a directory; give the path of" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device; give" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "https://example.org/a.png"])
def test_odd_paths(path: str) -> None:
    assert "give the path of a JPEG, PNG or WEBP picture" in refusal(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "a.png' is empty (0 bytes)" in refusal(tmp_path / "a.png")
    assert "is empty (0 bytes)" in refusal(b"")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"This is no picture.\n", "text"),
        (b"GIF89a\1\0\1\0", "a GIF"),
        (b"II*\0\1\2\3", "a TIFF"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\0\0\0\x20ftypheic\0\0", "a HEIC, AVIF or video file"),
        (b"\x7fELF\2\1\1\0\0", "of an unknown format"),
        (b"\xff", "of an unknown format"),
    ],
)
def test_other_content_is_named_whatever_its_name(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    assert f"picture.png' is {kind}, not a JPEG, PNG or WEBP picture; convert it first" in refusal(path)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_other_picture_formats_are_refused(kind: str) -> None:
    assert "not a JPEG, PNG or WEBP picture; convert it first" in refusal(encoded(colours(), kind))


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.frombytes("RGB", size, random.Random(0).randbytes(size[0] * size[1] * 3))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused_and_never_half_grey(kind: str, part: float) -> None:
    data = encoded(noise(), kind)
    assert refusal(data[: max(16, int(len(data) * part))]).endswith("save it again")


@settings(max_examples=1_000, deadline=None)
@given(st.sampled_from(FORMATS), st.booleans(), st.floats(0, 1), st.binary(min_size=0, max_size=8), st.integers(0, 8))
def test_damage_anywhere_raises_our_error_or_nothing(kind: str, exif: bool, at: float, put: bytes, drop: int) -> None:
    data = _sample(kind, exif)
    place = int(at**2 * len(data))  # denser in the header
    with contextlib.suppress(InvalidImage):
        load(data[:place] + put + data[place + drop :], LoadLimits(pixels=4_000_000))


def _sample(kind: str, exif: bool) -> bytes:
    options: dict[str, object] = {}
    if exif:
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = 6
        tags[ExifTags.Base.Make] = "a camera"
        options["exif"] = tags
    return encoded(noise((24, 16)), kind, **options)


# Limits, from the header


def test_too_many_bytes_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, 10**12)  # sparse
    assert "has 1,000,000,000,000 bytes; want at most 536,870,912" in refusal(path)
    data = encoded(colours(), "PNG")
    assert f"want at most {len(data) - 1}: compress" in refusal(data, LoadLimits(file_bytes=len(data) - 1))
    assert load(data, LoadLimits(file_bytes=len(data))) == colours()


@pytest.mark.parametrize("kind", FORMATS)
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
        import resource, sys
        from cof.errors import InvalidImage
        from cof.vision.load import load
        try:
            load(sys.argv[1])
        except InvalidImage as error:
            print(error)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    """
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "bomb.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
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
