"""Why an endpoint gave no answer: its failure as a value, and whether it may pass.

Failures come with a status, or within a reply of status 200, as gateways send them once an upstream breaks. Omits what
helps (`wordings.py`), and what an endpoint lacks and how to do without it (`refusals.py`).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cof.models.remote import wordings

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # statuses that may pass
ELSEWHERE = frozenset({500, 502, 503, 504})  # of these, what another replica may do better; 429 is worth its wait
QUOTED = 200  # characters of a refusal that are quoted
REFUSED, BROKEN = 400, 502  # the statuses of an error within a reply that names none, and of a turn that broke off
NAMED = (  # the status that the code or the type of an error within a reply means
    (r"rate_?limit|resource_exhausted|too_many_requests", 429),
    (r"overloaded|unavailable", 503),
    (r"server_error|internal|network_error", 500),
    (r"timeout", 504),
    (r"too_large", 413),
    (r"authentication|api_key|unauthorized", 401),
    (r"permission|forbidden", 403),
    (r"not_found", 404),
)


@dataclass(frozen=True)
class Fault:
    """Why there is no answer, in one line without keys; `short` is its beginning. `status` is 0 where no reply came.

    `passing`: it may work later, not before `after` seconds (Retry-After). `elsewhere`: it may work at another replica.
    """

    text: str
    status: int = 0
    passing: bool = False
    elsewhere: bool = False
    after: float = 0.0

    @property
    def short(self) -> str:
        """The beginning of the text, for a table."""
        return self.text[:QUOTED]

    @property
    def explained(self) -> str:
        """Its beginning, and what helps."""
        return self.short + wordings.advice(self.status, self.text)


def refusal(status: int, text: str, retry_after: str = "") -> Fault:
    """The failure that a status means; `retry_after` is that header."""
    passing = status in RETRIED and not (wordings.oversize(status, text) or wordings.blind(text))
    after = seconds_after(retry_after) if passing else 0.0
    return Fault(text, status, passing, passing and status in ELSEWHERE, after)


def within(reply: Any) -> tuple[int, str] | None:
    """The status and the words of an error that a reply of status 200 holds; None where it holds none."""
    if not isinstance(reply, Mapping):
        return None
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    for error in (reply.get("error"), first.get("error")):
        if error:
            return _status(error), words(error) or json.dumps(error)
    if reply.get("object") == "error":  # as FastChat has it
        return _status(reply), words(reply)
    if first.get("finish_reason") in ("error", "network_error"):
        return BROKEN, "the turn broke off"
    return None


def words_of(content: bytes) -> str:
    """The message in the body of a refusal, without the request that some servers repeat in it."""
    text = content.decode("utf-8", "replace")
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return text
    reply = reply[0] if isinstance(reply, list) and reply else reply  # as Gemini wraps it
    if not isinstance(reply, Mapping):
        return text
    error = reply.get("error", reply.get("detail", reply.get("message")))
    return words(error) or text


def words(error: Any) -> str:
    """The message of an error, in the forms of OpenAI, OpenRouter and FastAPI; "" where it is of no known form."""
    match error:
        case str():
            return error
        case {"message": str(message), "metadata": {"raw": str(cause)}}:
            return f"{message}: {cause}"
        case {"message": str(message), "param": str(place)}:
            return f"{message} ({place})"
        case {"message": str(message)}:
            return message
        case [*faults] if faults and all(isinstance(fault, Mapping) for fault in faults):
            return "; ".join(f"{fault.get('msg')} ({_place(fault.get('loc'))})" for fault in faults)
    return ""


def seconds_after(header: str) -> float:
    """Seconds until the moment of a Retry-After header, which is a number of seconds or a date; 0 where it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _status(error: Any) -> int:
    """The HTTP status that an error within a reply stands for."""
    found = [error.get(name) for name in ("code", "status", "type")] if isinstance(error, Mapping) else []
    for each in found:
        if re.fullmatch(r"[45]\d\d", str(each)):
            return int(str(each))
    named = " ".join(each for each in found if isinstance(each, str))
    return next((status for pattern, status in NAMED if re.search(pattern, named, re.IGNORECASE)), REFUSED)


def _place(path: Any) -> str:
    return ".".join(map(str, path)) if isinstance(path, list) else str(path)
