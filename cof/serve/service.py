"""What a server allows, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from cof.dialects.dialect import Dialect
from cof.serve.fetch import Fetching
from cof.types import Limits

UNFIT = "answer_unfit"  # the code of an answer that cannot be put into the form that was asked for


@dataclass(frozen=True)
class Service:
    """What a server allows.

    `letters` of a question with its choices, and `conversation` letters of all texts of a request; `body` in bytes, which may
    take `body_seconds` to arrive; `together` questions run at once and `waiting` more may wait; pictures of `pixels` in all
    are decoded at most, 4 bytes each and their views besides, and more questions wait; `idle_pixels` of these may be of
    pictures that nobody asks about any more; `decoding` pictures are decoded at once; `kept` finished traces can be asked for
    by id, as long as their files have `kept_bytes` in all; `fetching`: pictures may be given by address; pages of the `origins`
    may ask from a browser. Without a `dialect` the model's own is spoken.
    """

    limits: Limits = Limits()
    dialect: Dialect | None = None
    key: str | None = None
    body: int = 32 * 2**20
    body_seconds: float = 30.0
    letters: int = 2_000
    conversation: int = 40_000
    together: int = 16
    waiting: int = 256
    pixels: int = 250_000_000
    idle_pixels: int = 32_000_000
    decoding: int = 2
    kept: int = 64
    kept_bytes: int = 128 * 2**20
    fetching: Fetching | None = None
    origins: tuple[str, ...] = ()


class Refused(Exception):
    """Carries a refusal out of a route: status, the kind of error, one sentence, the field that it is about, and a code, which
    is the status where there is no better one."""

    def __init__(self, status: int, kind: str, message: str, field: str | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.field, self.code = status, kind, message, field, code or str(status)


def bad(message: str, field: str | None = None) -> Refused:
    """A request that cannot be answered as it is; `field` names the part of it that is wrong."""
    return Refused(400, "invalid_request_error", message, field)


def failed(message: str, code: str = "model_failed") -> Refused:
    """A question that the model did not answer, or not in the form that was asked for."""
    return Refused(502, "server_error", message, code=code)


def no_model(name: str) -> Refused:
    """A request for another model than the one that is served, whose name is `name`."""
    message = f"there is no such model here; want {name!r}, or no model"
    return Refused(404, "invalid_request_error", message, "model", "model_not_found")


def busy(message: str) -> Refused:
    """A request that may be answered a moment later."""
    return Refused(429, "rate_limit_error", message)


def gone() -> Refused:
    """The client hung up. Nobody hears it; the status is nginx's."""
    return Refused(499, "invalid_request_error", "the client hung up")
