"""The HTTP side of a remote model: a request, and its reply as JSON or as a Fault.

Owns the key, which comes from the environment or a file and is in no error text. Omits retries and routing, which
`remote.py` decides, and what goes over the wire (`wire.py`, `reply.py`).
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from cof.errors import InputError, ModelError
from cof.models.remote.faults import Fault, refusal, within, words_of

KEY = "OPENAI_API_KEY"  # environment variable
CONNECT = 10.0  # seconds for an endpoint to take the connection, so that another gets its turn where a machine is off
LISTING = 10.0  # seconds for an endpoint to list its models
LARGEST = 16 * 2**20  # bytes of a reply
HEAVY = 4_000_000  # bytes of a body whose size is named where the connection breaks
LATE = "no whole answer in time"
HIDDEN = "[key]"  # what is shown in the place of a key
CHAT = "/chat/completions"
STREAM = "a stream of events, which was not asked for; want an endpoint that replies in one piece"
NO_JSON = "an answer that is not JSON; does the URL end in /v1?"


class Endpoint:
    """Asks endpoints that share one key. Safe to use from several threads; keeps `connections` open between requests."""

    def __init__(self, key: str, connections: int) -> None:
        checked_key(key)
        self._spellings = [
            spelling for spelling in (json.dumps(key)[1:-1], key) if spelling
        ]  # as JSON has it, and as it is
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=connections)
        self._client = httpx.Client(headers=headers, limits=limits)
        weakref.finalize(self, self._client.close)  # for callers that do not close

    def post(self, url: str, body: Mapping[str, Any], until: float) -> Any:
        """The JSON that `url` answers, or a Fault. `until` is a time of `time.monotonic`, after which no more is waited for; a
        piece of a reply that is waited for already may take as long again."""
        sent = json.dumps(body, separators=(",", ":")).encode()  # in ASCII: half a character is no error
        return self._ask("POST", url, until, sent)

    def get(self, url: str, until: float) -> Any:
        """As `post`, without a body."""
        return self._ask("GET", url, until)

    def close(self) -> None:
        """Close the connections that are kept open; no request can be made afterwards."""
        self._client.close()

    def _ask(self, method: str, url: str, until: float, sent: bytes = b"") -> Any:
        left = until - time.monotonic()
        if left <= 0:
            return Fault(LATE)
        timeout = httpx.Timeout(left, connect=min(left, CONNECT))
        try:
            with self._client.stream(method, url, content=sent, timeout=timeout) as reply:
                content = b"".join(_in_time(reply.iter_bytes(), until))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            text = self._one_line(f"{_named(error)}; is a server running there?")
            return Fault(text, passing=True, elsewhere=True)
        except httpx.TimeoutException:
            return Fault(LATE, elsewhere=True)
        except (httpx.NetworkError, httpx.ProxyError, httpx.RemoteProtocolError) as error:
            return Fault(self._one_line(_named(error)) + _weight(sent), passing=True)
        except httpx.HTTPError as error:
            return Fault(self._one_line(_named(error)))
        return self._read(reply, content)

    def _read(self, reply: httpx.Response, content: bytes) -> Any:
        status, after = reply.status_code, reply.headers.get("Retry-After", "")
        if not reply.is_success:
            return refusal(status, f"status {status}: {self._one_line(words_of(content))}", after)
        if _streamed(reply, content):
            return Fault(STREAM, status)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return Fault(NO_JSON, status)
        if (error := within(found)) is None:
            return found
        meant, words = error
        return refusal(meant, f"status {status}, with an error in the reply: {self._one_line(words) or meant}", after)

    def _one_line(self, text: str) -> str:
        """A text without the key, which goes first: with a line end inside it would not be found."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return " ".join(text.split())


def models_at(url: str, key: str | None = None) -> list[str]:
    """The names of the models that an endpoint lists, in its order.

    `url` is its address up to `/v1`; `key` is taken from the environment (OPENAI_API_KEY) where it is None. Raises InputError
    for what is no URL or no key, ModelError where there is no list within 10 seconds.
    """
    place = address(url).removesuffix(CHAT)
    found = listed(Endpoint(own_key(key), 1), place, time.monotonic() + LISTING)
    if isinstance(found, Fault):
        raise ModelError(f"{place} lists no models ({found.explained}); give the model's name: --model (Python: model)")
    return found


def listed(endpoint: Endpoint, place: str, until: float) -> list[str] | Fault:
    """The names of the models at `place`, which is an address up to `/v1`, or why there is no list."""
    found = owners(endpoint, place, until)
    return found if isinstance(found, Fault) else list(found)


def owners(endpoint: Endpoint, place: str, until: float) -> dict[str, str] | Fault:
    """The owner of each model at `place` by the model's name, in the endpoint's order, or why there is no list."""
    found = endpoint.get(f"{place}/models", until)
    if isinstance(found, Fault):
        return found
    rows = found.get("data") if isinstance(found, dict) else found  # together.ai sends the bare list
    if not isinstance(rows, list):
        return Fault("its reply is no list")
    return {str(row["id"]): str(row.get("owned_by")) for row in rows if isinstance(row, dict) and row.get("id")}


def own_key(key: str | None) -> str:
    """The key, from the environment where it is None; "" for none."""
    return os.environ.get(KEY, "") if key is None else key


def key_in(file: Path) -> str:
    """The key that a file holds. Raises InputError."""
    try:
        key = file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); want a file with the key") from None
    if not key:
        raise InputError(f"{file} holds no key; want the key and nothing else in it")
    return checked_key(key)


def checked_key(key: str) -> str:
    """The key, if a header may hold it. Raises InputError."""
    if not isinstance(key, str):
        raise InputError(f"key is {type(key).__name__}; want a text, or None for the one in ${KEY}")
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
    return f"{found}{CHAT}"


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


def _streamed(reply: httpx.Response, content: bytes) -> bool:
    kind = reply.headers.get("Content-Type", "")
    return kind.startswith("text/event-stream") or content.lstrip().startswith((b"data:", b"event:"))


def _weight(sent: bytes) -> str:
    """Servers and proxies hang up on bodies that they find too large."""
    return f"; the body has {len(sent) / 1e6:.0f} MB: want --wire jpeg:85 or a smaller --budget N" * (len(sent) > HEAVY)
