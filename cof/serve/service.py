"""What a server allows, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from cof.dialects.dialect import Dialect
from cof.serve.fetch import Fetching
from cof.types import Limits


@dataclass(frozen=True)
class Service:
    """What a server allows.

    `letters` of a question with its choices; `body` in bytes, which may take `body_seconds` to arrive; `together` questions run
    at once and `waiting` more may wait; pictures of `pixels` in all are decoded at most, 4 bytes each and their views besides,
    and more questions wait; `idle_pixels` of these may be of pictures that nobody asks about any more; `decoding` pictures are
    decoded at once; `kept` finished traces can be asked for by id, as long as their files have `kept_bytes` in all;
    `fetching`: pictures may be given by address. Without a `dialect` the model's own is spoken.
    """

    limits: Limits = Limits()
    dialect: Dialect | None = None
    key: str | None = None
    body: int = 32 * 2**20
    body_seconds: float = 30.0
    letters: int = 2_000
    together: int = 16
    waiting: int = 256
    pixels: int = 250_000_000
    idle_pixels: int = 32_000_000
    decoding: int = 2
    kept: int = 64
    kept_bytes: int = 128 * 2**20
    fetching: Fetching | None = None


class Refused(Exception):
    """Carries a refusal out of a route: status, the kind of error, and one sentence."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def bad(message: str) -> Refused:
    """A request that cannot be answered as it is."""
    return Refused(400, "invalid_request_error", message)


def busy(message: str) -> Refused:
    """A request that may be answered a moment later."""
    return Refused(429, "rate_limit_error", message)


def gone() -> Refused:
    """The client hung up. Nobody hears it; the status is nginx's."""
    return Refused(499, "invalid_request_error", "the client hung up")
