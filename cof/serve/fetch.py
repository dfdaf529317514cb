"""Pictures by address: fetched only where the server allows it, and only from public hosts.

A host's name is resolved once, every address it has must be public, and the connection goes to the address that was
checked: a name that answers differently the next time changes nothing. Redirects are followed by hand and checked like the
first address. Omits cookies, keys, compression and proxies. No error message holds an address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from cof.errors import InputError

REDIRECTS = (301, 302, 303, 307, 308)
LONGEST = 2_048  # characters of an address
PUBLIC = ipaddress.ip_network("2000::/3")  # all that was given out of IPv6 so far
DOCUMENTS = ipaddress.ip_network("3fff::/20")  # RFC 9637
HEADERS = (("Accept", "image/jpeg, image/png, image/webp"), ("Accept-Encoding", "identity"), ("User-Agent", "cof"))

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows for a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def public(address: str) -> bool:
    """Whether an address belongs to the public internet, looked at through the forms that wrap one in another."""
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in PUBLIC or ip in DOCUMENTS or ip.teredo or ip.sixtofour):
        return False
    return ip.is_global and not ip.is_multicast


def host_name(text: str) -> str:
    """A host as it is compared: in lower case, as it goes over the wire. Raises InputError for what is none."""
    try:
        found = httpx.URL(f"http://{text}/")
    except httpx.InvalidURL:
        found = httpx.URL("")
    if not found.host or found.port is not None or found.userinfo or found.path != "/":
        raise InputError(f"{text!r} is no host; want a name such as pictures.example.com, without port or path")
    return _host(found)


@dataclass(frozen=True)
class Fetching:
    """What may be fetched: from `hosts` (as `host_name` writes them; None: any that is public) and `ports`, at most `size`
    bytes within `seconds` in all."""

    hosts: frozenset[str] | None = None
    ports: frozenset[int] = frozenset({80, 443})
    size: int = 32 * 2**20
    seconds: float = 20.0
    redirects: int = 3
    resolve: Resolve = resolved
    public: Callable[[str], bool] = public


async def fetched(url: str, rules: Fetching) -> bytes:
    """The file at an http or https address. Raises InputError."""
    try:
        async with (
            asyncio.timeout(rules.seconds),
            httpcore.AsyncConnectionPool(network_backend=_Checked(rules)) as pool,
        ):
            return await _followed(pool, url, rules)
    except (TimeoutError, httpcore.TimeoutException):
        raise InputError(
            f"the picture did not arrive within {rules.seconds:g} seconds; send it as a data URL"
        ) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError, UnicodeError):
        raise InputError("the picture's host cannot be reached; send the picture as a data URL") from None


async def _followed(pool: httpcore.AsyncConnectionPool, url: str, rules: Fetching) -> bytes:
    at = _allowed(url, rules)
    for _ in range(rules.redirects + 1):
        async with pool.stream("GET", str(at), headers=HEADERS) as reply:
            if reply.status == 200:
                return await _body(reply, rules.size)
            location = httpx.Headers(reply.headers).get("location", "")
            if reply.status not in REDIRECTS or not location:
                raise InputError(f"the picture's host answered with status {reply.status}; want the picture itself")
        at = _allowed(location, rules, at)
    raise InputError(f"the picture's address leads on more than {rules.redirects} times; want a direct one")


def _allowed(url: str, rules: Fetching, base: httpx.URL | None = None) -> httpx.URL:
    """The address, if it may be asked at all."""
    try:
        found = httpx.URL(url[: LONGEST + 1])
        found = base.join(found) if base else found
    except (httpx.InvalidURL, ValueError, TypeError):
        raise InputError("the picture's address is not an http or https one") from None
    port = found.port or {"http": 80, "https": 443}.get(found.scheme)
    if len(url) > LONGEST or port is None or not found.host or found.userinfo:
        raise InputError(
            f"the picture's address is not an http or https one; want one without password, of {LONGEST} characters at most"
        )
    if port not in rules.ports or (rules.hosts is not None and _host(found) not in rules.hosts):
        raise InputError("this server does not fetch from the picture's host; send the picture as a data URL")
    return found


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower()


async def _body(reply: httpcore.Response, most: int) -> bytes:
    parts, size = list[bytes](), 0
    async for part in reply.aiter_stream():
        size += len(part)
        if size > most:
            raise InputError(f"the picture is larger than {most} bytes; want a smaller one")
        parts.append(part)
    return b"".join(parts)


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to nothing but addresses that were found public a moment ago."""

    def __init__(self, rules: Fetching) -> None:
        self.rules, self.beneath = rules, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self.rules.resolve(host, port)
        if not addresses or not all(self.rules.public(address) for address in addresses):
            raise InputError("the picture's host is not public; send the picture as a data URL")
        return await self.beneath.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self.beneath.sleep(seconds)
