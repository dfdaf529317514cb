"""Formats: told by content, each read rightly in its kinds; the rest refused by name with what to do."""

from __future__ import annotations

import builtins
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import cof.vision.readers
from cof.errors import MissingExtra
from cof.vision.load import LoadLimits, load, pixels_of
from cof.vision.readers import FORMATS, WEB, format_of
from tests.patience import PATIENCE
from tests.vision.files import RED, WHITE, WRITTEN, chunk, colours, encoded, near, png, refusal, turned

ROOT = Path(cof.vision.readers.__file__).parents[2]
MEMORY_BYTES = 1_500_000_000  # with room for what a child is billed of its parent's memory before exec
GREYS = Image.frombytes("I;16", (256, 256), struct.pack("<65536H", *range(65536)))
EIGHT_BIT = bytes((shade + 128) // 257 for shade in range(65536))


def tiff(width: int, height: int, tags: dict[int, tuple[str, tuple[int, ...]]], data: bytes, order: str = "<") -> bytes:
    """A TIFF by hand: a directory of the size and of `tags` (struct's letter, values), then `data`, to which the tags point."""
    entries = {256: ("I", (width,)), 257: ("I", (height,)), **tags}
    start = 8 + 2 + 12 * len(entries) + 4
    extra, body = b"", b""
    for tag, (form, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{form}", *values)
        if len(packed) > 4:
            extra, packed = extra + packed, struct.pack(order + "I", start + len(extra))
        body += struct.pack(order + "HHI", tag, 3 if form == "H" else 4, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return head + body + bytes(4) + extra + data


def tiled(order: str) -> bytes:
    """48 x 32 pixels in uncompressed tiles of 16 x 16, of which the last row and column are full."""
    image = colours((48, 32))
    tiles = [image.crop((x, y, x + 16, y + 16)).tobytes() for y in (0, 16) for x in (0, 16, 32)]
    start = 8 + 2 + 12 * 10 + 4 + 6 + 24 + 24
    tags = {
        258: ("H", (8, 8, 8)), 259: ("H", (1,)), 262: ("H", (2,)), 277: ("H", (3,)), 322: ("H", (16,)), 323: ("H", (16,)),
        324: ("I", tuple(start + 768 * n for n in range(6))), 325: ("I", (768,) * 6),
    }  # fmt: skip
    return tiff(48, 32, tags, b"".join(tiles), order)


def striped(bits: int, pixels: bytes, kind: int = 2, samples: int = 3, order: str = "<", **more: Any) -> bytes:
    """2 x 1 pixels in one strip, of photometric interpretation `kind`; further `tags` may say otherwise."""
    tags = {
        258: ("H", (bits,) * samples), 259: ("H", (1,)), 262: ("H", (kind,)), 273: ("I", (0,)), 277: ("H", (samples,)),
        278: ("I", (1,)), 279: ("I", (len(pixels),)), **more.get("tags", {}),
    }  # fmt: skip
    start = len(tiff(2, 1, tags, b"", order))
    return tiff(2, 1, tags | {273: ("I", (start,))}, pixels, order)


# What is read


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_format_is_told_by_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(colours(), kind))
    assert format_of(path.read_bytes()) == {"JPEG2000": "JPEG 2000"}.get(kind, kind)
    seen = load(path)
    assert (seen.mode, seen.size, seen.info, type(seen)) == ("RGB", (40, 20), {}, Image.Image)
    assert near(seen, colours())
    assert pixels_of(path) == 800


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "BMP", "JPEG2000", "PNG"])
def test_what_has_no_loss_comes_without_loss(kind: str) -> None:
    assert load(encoded(colours(), kind)) == colours()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_compressed_tiff(compression: str, mode: str) -> None:
    image = colours().convert(mode)
    assert load(encoded(image, "TIFF", compression=compression)) == image.convert("RGB")


@pytest.mark.parametrize(("mode", "compression"), [("RGB", "jpeg"), ("YCbCr", "jpeg"), ("L", "jpeg"), ("1", "group4")])
def test_tiff_of_photos_and_faxes(mode: str, compression: str) -> None:
    image = colours((80, 40)).convert(mode)
    assert near(load(encoded(image, "TIFF", compression=compression)), image.convert("RGB"), 8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiled_tiff(order: str) -> None:
    assert load(tiled(order)) == colours((48, 32))


def test_tiff_cmyk_big_and_of_several_pages() -> None:
    cmyk = colours().convert("CMYK")
    assert load(encoded(cmyk, "TIFF")) == cmyk.convert("RGB")
    assert load(encoded(colours(), "TIFF", big_tiff=True)) == colours()
    pages = [Image.new("RGB", (9, 9), "blue"), Image.new("L", (500, 2))]
    assert load(encoded(colours(), "TIFF", save_all=True, append_images=pages)) == colours()
    assert load(turned(colours(), 6, "TIFF", save_all=True, append_images=pages)).size == (20, 40)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_16_bits(order: str) -> None:
    grey = striped(
        16, struct.pack(order + "3H", 0, 385, 65535), kind=1, samples=1, order=order, tags={256: ("I", (3,))}
    )
    assert load(grey).tobytes() == bytes([0, 0, 0, 1, 1, 1, 255, 255, 255])
    colour = striped(16, struct.pack(order + "6H", 0x1234, 0x80FF, 0xFFFF, 0, 255, 256), order=order)
    assert load(colour).tobytes() == bytes([0x12, 0x80, 0xFF, 0, 0, 1])


def test_tiff_of_floats_from_0_to_1_and_no_others() -> None:
    seen = load(encoded(Image.new("F", (1, 1), 0.5), "TIFF"))
    assert seen.getpixel((0, 0)) == (128, 128, 128)
    assert "values from 255 to 255; want floats from 0 to 1" in refusal(encoded(Image.new("F", (1, 1), 255.0), "TIFF"))


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_large_tiff_is_turned_without_a_look_at_pillows_limit(
    orientation: int, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = turned(colours(), orientation, "TIFF", compression=compression)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert load(data).size == ((20, 40) if orientation > 4 else (40, 20))


def test_gif_first_frame_palette_and_transparency() -> None:
    frames = [Image.new("RGB", (8, 8), "blue")]
    data = encoded(Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=frames, disposal=2)
    assert load(data).getextrema() == ((255, 255), (0, 0), (0, 0))
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 9, *RED])
    image.putpixel((1, 0), 1)
    assert load(encoded(image, "GIF", transparency=0)).tobytes() == bytes([*WHITE, *RED])
    assert load(encoded(image, "GIF")).tobytes() == bytes([0, 0, 9, *RED])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp(mode: str) -> None:
    image = colours().convert(mode)
    assert load(encoded(image, "BMP")) == image.convert("RGB")


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_jpeg_2000(bare: bool, mode: str) -> None:
    image = GREYS if mode == "I;16" else colours().convert(mode)
    data = encoded(image, "JPEG2000", no_jp2=bare)
    assert data.startswith(b"\xff\x4f\xff\x51") == bare
    seen = load(data)
    assert seen.getchannel("R").tobytes() == EIGHT_BIT if mode == "I;16" else seen == image.convert("RGB")


@pytest.mark.parametrize("kind", ["AVIF", "HEIC", "JPEG2000", "TIFF"])
def test_transparency_lies_on_white_in_other_formats(kind: str) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (32, 0, 64, 64))
    options = {"quality": 100} if kind == "AVIF" else {}
    seen = load(encoded(image, kind, **options))
    found = np.asarray(seen, dtype=int)
    assert abs(found[30, 10]).max() < 6
    assert abs(found[30, 50] - WHITE).max() < 6


@pytest.mark.parametrize(
    ("box", "form"),
    [
        (b"mif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"msf1\0\0\0\0hevcmsf1", "HEIC"),
        (b"mif1\0\0\0\0miaf", "HEIC"),
        (b"avis\0\0\0\0avifmsf1", "AVIF"),
        (b"isom\0\0\2\0isomiso2avc1mp41", None),
        (b"qt  \0\0\0\0qt  ", None),
    ],
)
def test_pictures_and_videos_in_one_kind_of_container(box: bytes, form: str | None) -> None:
    head = struct.pack(">I", 8 + len(box)) + b"ftyp" + box + b"\0\0\0\x08freeheicavif"
    assert format_of(head) == form
    if form is None:
        assert "is a video, not a JPEG, PNG" in refusal(head)
        assert refusal(head).endswith("take a frame of it as a picture")


def test_heic_of_more_bits_grey_and_several_pictures() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pictures = heif.from_pillow(Image.new("RGB", (64, 64), RED))
    pictures.add_from_pillow(Image.new("RGB", (32, 32), "blue"))
    pictures.save(file, quality=-1, primary_index=0)
    assert near(load(file.getvalue()), Image.new("RGB", (64, 64), RED))
    assert near(load(encoded(GREYS, "HEIC")), load(GREYS), 3)
    assert Image.open(io.BytesIO(encoded(colours(), "PNG"))).format == "PNG"  # nothing is registered
    assert "HEIF" not in Image.OPEN


def test_heic_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pillow_heif":
            raise ImportError("no such module", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    message = refusal(head, kind=MissingExtra)
    assert message.startswith("a HEIC picture needs pillow_heif; want the extra heif installed: ")
    assert "[heif]" in message


# What is refused


@pytest.mark.parametrize(
    ("content", "kind", "advice"),
    [
        (b"This is no picture.\n", "text", "convert it first"),
        (b"%PDF-1.7\n", "a PDF", "render what you ask about to a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG", "render what you ask about to a PNG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg>", "an SVG", "render what you ask about to a PNG"),
        (b"<?xml version='1.0'?><note/>", "text", "convert it first"),
        (b"\n<!DOCTYPE html><html>", "a web page", "give the picture itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "get the file itself (git lfs pull)"),
        (b"\x1aE\xdf\xa3\1\0\0", "a video", "take a frame of it as a picture"),
        (b"RIFF\0\0\0\0AVI LIST", "a video", "take a frame of it as a picture"),
        (b"RIFF\0\0\0\0WAVEfmt ", "of an unknown format", "convert it first"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(9), "a camera's raw file", "develop it to a JPEG or PNG"),
        (b"8BPS\0\1", "a Photoshop file", "convert it first"),
        (b"\xff\x0a\0\0", "a JPEG XL", "convert it first"),
        (b"PK\3\4" + bytes(9), "an archive", "unpack it first"),
        (b"\x93NUMPY\1\0", "a numpy file", "give the array (numpy.load)"),
        (b"\x7fELF\2\1\1\0\0", "of an unknown format", "convert it first"),
        (b"\xff", "of an unknown format", "convert it first"),
        (b"GIF90a", "text", "convert it first"),
        (b"BM", None, None),
        (b"BMW", None, None),
    ],
)
def test_other_content_is_named_whatever_its_name(
    tmp_path: Path, content: bytes, kind: str | None, advice: str
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    if kind is None:
        assert "picture.png' starts as BMP but cannot be decoded" in refusal(path)
    else:
        want = "a JPEG, PNG, WEBP, HEIC, AVIF, TIFF, GIF, BMP or JPEG 2000 picture"
        assert refusal(path).endswith(f"picture.png' is {kind}, not {want}; {advice}")


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA"])
def test_other_picture_formats_are_refused(kind: str) -> None:
    assert f"not {LoadLimits().wanted}; convert it first" in refusal(encoded(colours(), kind))


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if kind not in WEB])
def test_formats_can_be_limited(kind: str) -> None:
    few = LoadLimits(formats=WEB)
    assert refusal(encoded(colours(), kind), few).endswith("not a JPEG, PNG or WEBP picture; convert it first")
    assert load(encoded(colours(), "PNG"), few) == colours()
    assert set(WEB) < set(FORMATS)


def test_a_preview_before_a_raw_picture_is_not_taken_for_it() -> None:
    preview = striped(8, bytes(6), tags={254: ("I", (1,))})
    assert "its first page is a preview, as in a camera's raw file" in refusal(preview)
    assert load(striped(8, bytes(6), tags={254: ("I", (0,))})).size == (2, 1)
    assert load(striped(8, bytes(6), tags={254: ("I", (2,))})).size == (2, 1)  # a page of several


def test_tiff_that_nothing_here_decodes(caplog: pytest.LogCaptureFixture) -> None:
    assert "starts as TIFF but cannot be decoded" in refusal(striped(8, bytes(40), kind=32803, samples=1))
    assert "too many samples a pixel" in refusal(striped(8, bytes(40), samples=20))
    assert "mode LAB; want it as RGB" in refusal(encoded(Image.new("LAB", (2, 2)), "TIFF"))
    assert not caplog.records


# Large chunks, and what does not fit


def packed(megabytes: int) -> bytes:
    """Zeros, packed by zlib, in little time: one block that is there many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\x9c" + block * (megabytes // 16) + b"\3\0" + bytes(4)


def test_png_with_large_text_and_profile() -> None:
    """Pillow reads no text and no profile that unpacks to more than a megabyte."""
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a" * 3_000_000, zip=True)
    text.add_itxt("workflow", "b" * 3_000_000, zip=True)
    text.add_text("plain", "c" * 3_000_000)
    data = encoded(colours(), "PNG", pnginfo=text, icc_profile=bytes(3_000_000))
    assert load(data) == colours()
    late = encoded(colours(), "PNG")
    assert load(late[:-12] + chunk(b"zTXt", b"a\0\0" + packed(16)) + late[-12:]) == colours()
    assert load(turned(colours(), 6, "PNG", pnginfo=text)).size == (20, 40)


@pytest.mark.parametrize(
    ("name", "content"), [(b"zTXt", b"a\0\7x"), (b"iCCP", b"p\0\7x"), (b"iTXt", b""), (b"gAMA", b"\0"), (b"pHYs", b"")]
)
def test_damage_in_what_no_pixel_depends_on_does_not_matter(name: bytes, content: bytes) -> None:
    extra = chunk(name, content)
    assert load(png(1, 1, 8, 2, zlib.compress(bytes([0, *RED])), extra)).getpixel((0, 0)) == RED


def test_png_chunks_that_count_are_still_read() -> None:
    broken = bytearray(chunk(b"tEXt", b"a\0b"))
    broken[-1] ^= 1
    assert "bad header checksum in b'tEXt'" in refusal(png(1, 1, 8, 2, zlib.compress(bytes([0, *RED])), bytes(broken)))
    see_through = chunk(b"tRNS", struct.pack(">3H", *RED))
    assert load(png(1, 1, 8, 2, zlib.compress(bytes([0, *RED])), see_through)).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_what_unpacks_to_gigabytes_is_never_unpacked(tmp_path: Path, name: bytes) -> None:
    before = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[name]
    data = png(1, 1, 8, 2, zlib.compress(bytes([0, *RED])), chunk(name, before + packed(4096)))
    (tmp_path / "bomb.png").write_bytes(data)
    script = """if True:
        import sys
        from cof.vision.load import load
        from tests.memory import peak
        print(load(sys.argv[1]).getpixel((0, 0)))
        print(peak())
    """
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "bomb.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE)
    pixel, memory = done.stdout.splitlines()
    assert pixel == str(RED)
    assert int(memory) < MEMORY_BYTES


def huge(kind: str) -> bytes:
    """The header of 60,000 x 60,000 pixels, and hardly more."""
    if kind == "TIFF":
        return striped(8, bytes(6), tags={256: ("I", (60_000,)), 257: ("I", (60_000,))})
    data = encoded(colours(), kind)
    if kind == "GIF":  # the screen alone, then the frame, too, which is taken away again
        frame = data.index(b",\0\0\0\0\x28\0\x14\0")
        control = b"!\xf9\x04\x08\0\0\0\0"
        large = struct.pack("<HH", 60_000, 60_000)
        return data[:6] + large + data[10:frame] + control + data[frame : frame + 5] + large + data[frame + 9 :]
    if kind in ("AVIF", "HEIC"):
        sizes = data.index(b"ispe") + 8
        return data[:sizes] + struct.pack(">II", 60_000, 60_000) + data[sizes + 8 :]
    order, sides = ("<", (40, 20)) if kind == "BMP" else (">", (20, 40))
    return data.replace(struct.pack(order + "II", *sides), struct.pack(order + "II", 60_000, 60_000), 1)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "BMP", "JPEG2000"])
def test_a_large_header_is_refused_before_anything_is_decoded(kind: str) -> None:
    assert "is 60000 x 60000 pixels; want at most 200,000,000 pixels in all" in refusal(huge(kind))


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_their_own_decoders_refuse_larger_ones(kind: str) -> None:
    assert "cannot be decoded" in refusal(huge(kind)) or "is 60000 x 60000 pixels" in refusal(huge(kind))
