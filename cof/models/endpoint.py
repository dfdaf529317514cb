"""The HTTP side of a remote model: one POST, answered or told apart by what can be done about its failure.

Owns the key, which comes from the environment or a file and stands in no error text. Omits retries and routing, which
`remote.py` decides, and what goes over the wire (`wire.py`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from cof.errors import InputError

CONNECT = 10.0  # seconds for an endpoint to take the connection, so that another gets its turn where a machine is off
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # statuses that may pass
ELSEWHERE = frozenset({500, 502, 503, 504})  # of these, what another replica may do better; 429 is worth its wait
LARGEST = 16 * 2**20  # bytes of a reply
QUOTED = 200  # characters of a refusal that are told
LATE = "no whole answer in time"
HIDDEN = "[key]"  # what stands in the place of a key


@dataclass(frozen=True)
class Fault:
    """Why there is no answer, in one line without keys, `told` in short. `status` is 0 where no reply came.

    `passing`: it may work later, not before `after` seconds (Retry-After). `elsewhere`: it may work at another replica.
    """

    text: str
    status: int = 0
    passing: bool = False
    elsewhere: bool = False
    after: float = 0.0

    @property
    def told(self) -> str:
        return self.text[:QUOTED]


class Endpoint:
    """Posts to endpoints that share one key. Safe to use from several threads; keeps `connections` open between posts."""

    def __init__(self, key: str, connections: int) -> None:
        checked_key(key)
        self._spellings = [
            spelling for spelling in (json.dumps(key)[1:-1], key) if spelling
        ]  # as JSON has it, and as it is
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=connections)
        self._client = httpx.Client(headers=headers, limits=limits)

    def post(self, url: str, body: Mapping[str, Any], until: float) -> Any:
        """The JSON that `url` answers, or a Fault. `until` is a time of `time.monotonic`, after which no more is waited for; a
        piece of a reply that is waited for already may take as long again."""
        left = until - time.monotonic()
        if left <= 0:
            return Fault(LATE)
        timeout = httpx.Timeout(left, connect=min(left, CONNECT))
        try:
            sent = json.dumps(body, separators=(",", ":")).encode()  # in ASCII: half a character is no error
            with self._client.stream("POST", url, content=sent, timeout=timeout) as reply:
                content = b"".join(_in_time(reply.iter_bytes(), until))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Fault(self._one_line(_named(error)), passing=True, elsewhere=True)
        except httpx.TimeoutException:
            return Fault(LATE, elsewhere=True)
        except (httpx.NetworkError, httpx.ProxyError, httpx.RemoteProtocolError) as error:
            return Fault(self._one_line(_named(error)), passing=True)
        except httpx.HTTPError as error:
            return Fault(self._one_line(_named(error)))
        return self._read(reply, content)

    def _read(self, reply: httpx.Response, content: bytes) -> Any:
        status = reply.status_code
        if not reply.is_success:
            told = f"status {status}: {self._one_line(_told(content))}"
            after = _after(reply.headers.get("Retry-After", "")) if status in RETRIED else 0.0
            return Fault(told, status, status in RETRIED, status in ELSEWHERE, after)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return Fault("an answer that is not JSON", status)

    def _one_line(self, text: str) -> str:
        """A text without the key, which goes first: with a line end inside it would not be found."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return " ".join(text.split())


def checked_key(key: str) -> str:
    """The key, if a header may hold it. Raises InputError."""
    if not (key.isascii() and all(letter.isprintable() and letter != " " for letter in key)):
        raise InputError("the key holds characters that no HTTP header may; want printable ASCII without spaces")
    return key


def address(url: str) -> str:
    """Where an endpoint takes chats, given its address up to `/v1`. Raises InputError where that is none, or holds a secret."""
    try:
        found = httpx.URL(url.strip().rstrip("/"))
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.userinfo or found.query or found.fragment:
        want = "want http://host:port/v1, and keys in a file or the environment"
        raise InputError(f"an endpoint's URL has a user, password, query or fragment; {want}")
    if found.scheme not in ("http", "https") or not found.host:
        raise InputError(f"{url.rpartition('@')[2]!r} is no endpoint; want a URL such as http://127.0.0.1:8000/v1")
    return f"{found}/chat/completions"


def _in_time(pieces: Iterable[bytes], until: float) -> Iterable[bytes]:
    """The pieces of a reply; a timeout of httpx is for each piece, and a server that dribbles would never reach it."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if time.monotonic() > until:
            raise httpx.ReadTimeout("")
        if size > LARGEST:
            raise httpx.DecodingError(f"a reply of more than {LARGEST} bytes")
        yield piece


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _told(content: bytes) -> str:
    """What a refusal says, without the request that some servers repeat in it."""
    text = content.decode("utf-8", "replace")
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return text
    reply = reply[0] if isinstance(reply, list) and reply else reply  # as one cloud wraps it
    said = reply.get("error", reply.get("detail", reply.get("message"))) if isinstance(reply, dict) else None
    match said:
        case str():
            return said
        case {"message": str(message), "param": str(place)}:
            return f"{message} ({place})"
        case {"message": str(message)}:
            return message
        case [*faults] if faults and all(isinstance(fault, dict) for fault in faults):
            return "; ".join(f"{fault.get('msg')} ({_place(fault.get('loc'))})" for fault in faults)
    return text


def _place(path: Any) -> str:
    return ".".join(map(str, path)) if isinstance(path, list) else str(path)


def _after(header: str) -> float:
    """Seconds until the moment of a Retry-After header, which is a number of seconds or a date; 0 where it says nothing."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
