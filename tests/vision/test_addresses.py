"""Data URLs as RFC 2397 and browsers have them; which text is an address, and what of it is shown."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cof.errors import InvalidImage
from cof.vision.addresses import bytes_of_data_url, shown, url_of
from cof.vision.load import load
from cof.vision.urls import jpeg_url, png_url
from tests.vision.files import RED, refusal

CONTENT = bytes(range(256))
PACKED = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64," + PACKED,
        "data:;base64," + PACKED,
        "DATA:IMAGE/PNG;BASE64," + PACKED,
        "data:image/png;charset=utf-8;base64," + PACKED,
        'data:image/png;name="a,b;c.png";base64,' + PACKED,
        "data:image/png;name=a.png;x=1;base64 ," + PACKED,
        "data:image/png;base64,\n" + "\r\n".join(PACKED[i : i + 76] for i in range(0, len(PACKED), 76)) + "\n",
        "data:image/png;base64," + PACKED.rstrip("="),
        "data:image/png;base64," + quote(PACKED, safe=""),
        "data:image/png," + quote(CONTENT, safe=""),
        "data:," + quote(CONTENT),
    ],
)
def test_data_urls_are_read(url: str) -> None:
    assert bytes_of_data_url(url) == CONTENT


@given(st.binary(max_size=60), st.sampled_from(["", "image/png", "image/webp;a=b"]), st.booleans())
def test_any_content_comes_back(content: bytes, kind: str, packed: bool) -> None:
    body = ";base64," + base64.b64encode(content).decode() if packed else "," + quote(content)
    assert bytes_of_data_url(f"data:{kind}{body}") == content


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png", "data:;base64", 'data:image/png;a="b,c', "image/png,abc", ""]
)
def test_what_is_no_data_url(url: str) -> None:
    with pytest.raises(InvalidImage, match="^the picture is no data URL$"):
        bytes_of_data_url(url)


@pytest.mark.parametrize("body", ["A", "AAAAA", "AA=A", "AA-_", "%00AAA", "AAA\u00e9", "data:image/png;base64,AAAA"])
def test_what_is_no_base64(body: str) -> None:
    with pytest.raises(InvalidImage, match="the picture's data URL is not base64"):
        bytes_of_data_url("data:image/png;base64," + body)


def test_long_texts_without_a_comma_take_no_time() -> None:
    with pytest.raises(InvalidImage):
        bytes_of_data_url("data:" + "a" * 5_000_000 + '"' * 3)


def test_pictures_as_data_urls_load() -> None:
    red = Image.new("RGB", (9, 7), RED)
    assert load(png_url(red)) == red
    assert load(jpeg_url(red, 95)).size == (9, 7)
    assert load("DATA" + png_url(red)[4:]) == red
    assert "the picture in the data URL is text, not a JPEG" in refusal("data:image/png,hello")
    assert "the picture in the data URL is empty" in refusal("data:image/png;base64,")


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("http://a.org/b.png", "http://a.org/b.png"),
        ("HTTPS://a.org/B.png?c#d", "https://a.org/B.png?c#d"),
        (Path("http://a.org/b.png"), "http://a.org/b.png"),
        ("https:/a.org", "https://a.org"),
        ("  https://a.org/b.png\n", "https://a.org/b.png"),
        ("http:a.png", None),
        ("a/http://b", None),
        ("ftp://a.org/b.png", None),
        ("httpx://a.org", None),
        ("data:image/png,x", None),
        ("photo.jpg", None),
        (b"http://a.org", None),
        (None, None),
    ],
)
def test_what_is_an_address(source: object, url: str | None) -> None:
    assert url_of(source) == url


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://me:secret@a.org:8/b.png?token=secret#secret", "https://a.org:8/b.png"),
        ("https://secret@a.org", "https://a.org"),
        ("https://a@secret@a.org/b@c", "https://a.org/b@c"),
        ("http://[::1/secret", "..."),
        ("https://a.org/" + "x" * 999, "https://a.org/" + "x" * 186 + "..."),
    ],
)
def test_what_is_shown_of_an_address(url: str, seen: str) -> None:
    assert shown(url) == seen
