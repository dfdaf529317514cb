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

    `limits`: of every question; a request may ask for less.
    `dialect`: how the model is asked; without one by the model's own.
    `key`: what clients must send as a Bearer token; without one the server answers at loopback addresses alone.
    `body`: bytes of a request, which may take `body_seconds` to arrive.
    `question_characters`: of a question with its choices. `characters`: of all texts of a request.
    `max_running`: questions that run at once. `max_waiting`: questions that may wait besides.
    `pixels`: of the pictures that are decoded at one time, 4 bytes each and their views besides; other questions wait.
    `idle_pixels`: of these, of pictures that no question is about any more.
    `decoding`: pictures that are decoded at once.
    `max_traces`: finished traces that can be asked for by id, as long as their files have at most `max_trace_bytes`.
    `fetching`: from where pictures may be fetched; without it none is.
    `origins`: sites whose pages may ask from a browser.
    """

    limits: Limits = Limits()
    dialect: Dialect | None = None
    key: str | None = None
    body: int = 32 * 2**20
    body_seconds: float = 30.0
    question_characters: int = 2_000
    characters: int = 40_000
    max_running: int = 16
    max_waiting: int = 256
    pixels: int = 250_000_000
    idle_pixels: int = 32_000_000
    decoding: int = 2
    max_traces: int = 64
    max_trace_bytes: int = 128 * 2**20
    fetching: Fetching | None = None
    origins: tuple[str, ...] = ()


class Refused(Exception):
    """Carries a refusal out of a route: status, the kind of error, one sentence, and the field that it is about.

    The code is the status where none is given.
    """

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


def client_closed() -> Refused:
    """The client hung up. No reply reaches it; the status 499 is nginx's."""
    return Refused(499, "invalid_request_error", "the client hung up")
