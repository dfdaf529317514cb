"""Fetching pictures: from a host on loopback that a test takes for public, while every other address is what it is."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cof.errors import InputError
from cof.serve.fetch import Fetching, fetched, public
from tests.serve.test_hostile import ADDRESSES, picture

OUTSIDE = "127.0.0.2"  # stands for a public address; 127.0.0.1 is what it is


class Host(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Counted)
        self.server.asked.append(f"{self.client_address[0]} {self.path}")
        port = self.server.server_address[1]
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/").replace("PORT", str(port)))
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            threading.Event().wait(1.5)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(2**16))
            except OSError:
                pass
        elif self.path == "/picture.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(picture())
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


class Counted(ThreadingHTTPServer):
    asked: list[str]


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Counted, Counted]]:
    """One outside and one inside, at the same port."""
    outside = Counted((OUTSIDE, 0), Host)
    inside = Counted(("127.0.0.1", outside.server_address[1]), Host)
    for server in (outside, inside):
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield outside, inside
    for server in (outside, inside):
        server.shutdown()
        server.server_close()


@pytest.fixture
def rules(hosts: tuple[Counted, Counted]) -> Fetching:
    async def resolve(host: str, _: int) -> Sequence[str]:
        names = {"pictures.example": [OUTSIDE], "both.example": [OUTSIDE, "127.0.0.1"], "inside.example": ["127.0.0.1"]}
        if host not in names:
            raise socket.gaierror(f"{host} is not known")
        return names[host]

    port = hosts[0].server_address[1]
    return Fetching(
        ports=frozenset({port}), seconds=5, size=2**20, resolve=resolve, public=lambda address: address == OUTSIDE
    )


def get(path: str, rules: Fetching, host: str = "pictures.example") -> bytes:
    (port,) = rules.ports
    return asyncio.run(fetched(f"http://{host}:{port}{path}", rules))


def test_a_picture_of_a_public_host_is_fetched(rules: Fetching) -> None:
    assert get("/picture.png", rules) == picture()
    assert get("/to//picture.png", rules) == picture()
    assert get("/to/http://pictures.example:PORT/picture.png", rules) == picture()


@pytest.mark.parametrize(
    ("path", "host", "fault"),
    [
        ("/picture.png", "inside.example", "not public"),
        ("/picture.png", "both.example", "not public"),
        ("/picture.png", "unknown.example", "cannot be reached"),
        ("/to/http://inside.example:PORT/picture.png", "pictures.example", "not public"),
        ("/to/http://127.0.0.1:PORT/picture.png", "pictures.example", "cannot be reached"),
        ("/to/file:///etc/passwd", "pictures.example", "not an http or https one"),
        ("/to/http://user:pass@pictures.example:PORT/", "pictures.example", "without password"),
        ("/to/http://pictures.example:22/", "pictures.example", "does not fetch"),
        ("/loop", "pictures.example", "more than 3 times"),
        ("/endless", "pictures.example", "larger than 1048576 bytes"),
        ("/none", "pictures.example", "status 404"),
    ],
)
def test_what_may_not_be_fetched(
    rules: Fetching, hosts: tuple[Counted, Counted], path: str, host: str, fault: str
) -> None:
    hosts[1].asked.clear()
    with pytest.raises(InputError, match=fault) as caught:
        get(path, rules, host)
    assert "127.0.0" not in str(caught.value)
    assert "example" not in str(caught.value)
    assert hosts[1].asked == []


def test_a_name_that_changes_its_mind_changes_nothing(rules: Fetching, hosts: tuple[Counted, Counted]) -> None:
    """Rebinding: what was checked is what is connected to, and each redirect asks and checks anew."""
    answers = iter([[OUTSIDE], ["127.0.0.1"], ["127.0.0.1"]])

    async def resolve(*_: object) -> Sequence[str]:
        return next(answers)

    hosts[1].asked.clear()
    changing = replace(rules, resolve=resolve)
    assert get("/picture.png", changing) == picture()
    with pytest.raises(InputError, match="not public"):
        get("/picture.png", changing)
    assert hosts[1].asked == []


def test_a_host_that_stalls_is_given_up(rules: Fetching) -> None:
    with pytest.raises(InputError, match="within 0.3 seconds"):
        get("/slow", replace(rules, seconds=0.3))


def test_only_named_hosts(rules: Fetching) -> None:
    with pytest.raises(InputError, match="does not fetch"):
        get("/picture.png", replace(rules, hosts=frozenset({"other.example"})))
    assert get("/picture.png", replace(rules, hosts=frozenset({"pictures.example"}))) == picture()


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: repr(address[:40]))
def test_no_address_inside_is_reached_with_the_systems_own_resolver(address: str) -> None:
    with pytest.raises(InputError):
        asyncio.run(fetched(address, Fetching(ports=frozenset(range(1, 65536)), seconds=10)))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("2001:0:7f00:1::", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert public(address) is expected
