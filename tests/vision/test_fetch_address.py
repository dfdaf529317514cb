"""Fetching: real servers on loopback that answer well and badly; every failure is one line without a secret."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cof.errors import InputError
from cof.vision.fetch import fetched
from cof.vision.load import LoadLimits, load
from tests.vision.files import colours, encoded

PNG = encoded(colours(), "PNG")
Answer = Callable[[BaseHTTPRequestHandler], None]


def sent(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(content)))
        to.end_headers()
        to.wfile.write(content)

    return answer


def led(to: str, status: int = 302) -> Answer:
    return sent(b"", status, Location=to)


def slowly(to: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever."""
    to.send_response(200)
    to.end_headers()
    while True:
        to.wfile.write(b"x")
        time.sleep(0.05)


def silent(_: BaseHTTPRequestHandler) -> None:
    time.sleep(60)


def cut(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("Content-Length", "1000")
    to.end_headers()
    to.wfile.write(b"x")


def endless(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.end_headers()
    while True:
        to.wfile.write(bytes(10_000))


ANSWERS: dict[str, Answer] = {
    "/a.png": sent(PNG),
    "/odd type": sent(PNG, Content_Type="text/html"),
    "/packed": sent(gzip.compress(PNG), Content_Encoding="gzip"),
    "/one": led("/a.png"),
    "/two": led("/one", 301),
    "/three": led("/two", 308),
    "/four": led("/three"),
    "/loop": led("/loop"),
    "/astray": led("file:///etc/passwd"),
    "/nowhere": led("http://[::1"),
    "/page": sent(b"\n<!DOCTYPE html><html><title>A photo</title>", Content_Type="text/html"),
    "/empty": sent(b""),
    "/none": sent(b"", 204),
    "/slowly": slowly,
    "/silent": silent,
    "/cut": cut,
    "/endless": endless,
    **{f"/{status}": sent(b"<html>", status) for status in (401, 403, 404, 429, 500)},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0].replace("%20", " ")
        self.server.asked.append((path, dict(self.headers)))  # type: ignore[attr-defined]
        try:
            ANSWERS[path](self)
        except OSError:
            self.close_connection = True  # the client has left

    def log_message(self, *_: object) -> None:
        pass


class Site(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = list[tuple[str, dict[str, str]]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def failure(url: str, limits: LoadLimits = LoadLimits(), seconds: float = 30.0) -> str:
    with pytest.raises(InputError) as caught:
        fetched(url, limits, seconds)
    message = str(caught.value)
    assert "\n" not in message
    assert "secret" not in message
    return message


@pytest.mark.parametrize("path", ["/a.png", "/a.png?size=large", "/odd%20type", "/packed", "/one", "/two", "/three"])
def test_a_picture_arrives(site: Site, path: str) -> None:
    assert fetched(site.url + path) == PNG
    assert load(fetched(site.url + path)) == colours()


def test_an_address_that_was_a_path_on_its_way(site: Site) -> None:
    assert fetched(str(Path(site.url + "/a.png"))) == PNG


def test_a_users_password_goes_to_its_host_alone(site: Site) -> None:
    with Site() as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ANSWERS["/abroad"] = led(other.url + "/a.png")
        fetched(site.url.replace("//", "//me:secret@") + "/abroad")
        assert "Authorization" in site.asked[-1][1]
        assert "Authorization" not in other.asked[-1][1]
        assert "Cookie" not in site.asked[-1][1]
        other.shutdown()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_another_status(site: Site, status: int) -> None:
    message = failure(site.url.replace("//", "//me:secret@") + f"/{status}?token=secret")
    want = "want the picture itself, or save the picture and give its path"
    assert message == f"{site.url}/{status} answered with status {status}; {want}"


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/four", "leads on more than 3 times; want the picture's own address"),
        ("/loop", "leads on more than 3 times"),
        ("/astray", "is, or leads to, no http or https address; save the picture and give its path"),
        ("/nowhere", "cannot be fetched"),
        ("/page", "is a web page, not a picture; want the address of the picture on it"),
        ("/empty", "sent an empty file; save the picture and give its path"),
        ("/none", "answered with status 204"),
        ("/cut", "cannot be fetched (peer closed connection"),
    ],
)
def test_what_is_no_picture(site: Site, path: str, want: str) -> None:
    message = failure(f"{site.url}{path}?token=secret")
    assert message.startswith(site.url + path)
    assert want in message


def test_time_and_size_have_limits(site: Site) -> None:
    assert "did not arrive in time, only" in failure(site.url + "/slowly", seconds=0.5)
    assert "did not answer within 0.5 seconds" in failure(site.url + "/silent", seconds=0.5)
    assert "has more than 50,000 bytes; want a smaller picture" in failure(
        site.url + "/endless", LoadLimits(file_bytes=50_000)
    )
    assert fetched(site.url + "/a.png", LoadLimits(file_bytes=len(PNG))) == PNG
    assert "has more than" in failure(site.url + "/a.png", LoadLimits(file_bytes=len(PNG) - 1))


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        message = failure(f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}/a.png?secret")
    assert "cannot be fetched (" in message
    assert "refused" in message
    assert "cannot be fetched" in failure("http://no-such-host.invalid/a.png")


@pytest.mark.parametrize("url", ["ftp://a.org/b.png", "photo.jpg", "", "//a.org/b.png", "file:///etc/passwd"])
def test_other_addresses(url: str) -> None:
    assert "is no address; want one that begins with http:// or https://" in failure(url)


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1/a", "http://a.org:port/b", "http://a.org:99999/b", "https://a b.org/"]
)
def test_broken_addresses(url: str) -> None:
    assert failure(url).endswith("save the picture and give its path")
