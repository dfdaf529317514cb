"""Why an endpoint gave no answer: its failure as a value, whether it may pass, and what helps against it.

Failures come with a status, or within a reply of status 200, as gateways send them once an upstream breaks. Omits what an
endpoint lacks and how to do without it (`refusals.py`).
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
# Refusals that mean the context length: OpenAI and vLLM ("maximum context length", "max_model_len"), SGLang ("longer than the
# model's context length"), llama.cpp ("exceeds the available context size"), llama-cpp-python ("exceed context window"),
# Anthropic ("prompt is too long", "exceed context limit"), Gemini ("input token count … exceeds the maximum"), TGI
# ("`inputs` must have less than"), Bedrock ("Input is too long"), DashScope ("Range of input length")
CONTEXT = re.compile(
    r"context[_ ](length|size|window|limit)|context_length_exceeded|max(imum)?[_ ]model[_ ]len|(prompt|input) is too long"
    r"|prompt \([^)]{1,60}\) is too long|token count\W.{0,40}exceeds? the max|inputs\W{0,2} (must have less|tokens \+)"
    r"|range of input length|too many (input )?tokens|reduce the length of the (messages|prompt|input)",
    re.IGNORECASE,
)
# Refusals that mean the bytes of the body, of a picture, or its sides: nginx ("Request Entity Too Large"), Anthropic ("image
# exceeds 5 MB maximum", "image dimensions exceed"), Gemini ("Request payload size exceeds the limit"), OpenAI ("Maximum
# content size limit"), TGI ("length limit exceeded"), DashScope ("max bytes per data-uri item")
BODY = re.compile(
    r"(entity|payload|request|body|content|image|file)( data| size)? (is )?too (large|big)|payload size exceeds"
    r"|request_too_large|image (size )?exceeds|image dimensions exceed|exceeds the maximum size|length limit exceeded|max bytes"
    r"|content size limit|(request|body) (size )?exceeds|total image (data|size)",
    re.IGNORECASE,
)
TOKENS_A_MINUTE = re.compile(r"request too large|must be reduced", re.IGNORECASE)  # a 429 that no wait helps
NO_MODEL = re.compile(
    r"model\b.{0,120}(not exist|not found|not a valid|unavailable to|no such)|(invalid|unknown|no such|unsupported) model"
    r"|not a valid model|unable to access model|model_not_found",
    re.IGNORECASE,
)
KEY_WORDS = re.compile(r"api[-_ ]?key|credentials|unauthori[sz]ed", re.IGNORECASE)

FEWER_TOKENS = (
    "; want fewer visual tokens: a smaller --budget N or --crop-budget N, or --limit zooms=N; "
    "or more context at the server, as vLLM with --max-model-len"
)
SMALLER_BODY = (
    "; want smaller pictures: --wire jpeg:85, a smaller --budget N or --crop-budget N, or --limit zooms=N; "
    "or a larger limit at the server, as nginx with client_max_body_size"
)
ITS_KEY = "; want its key: $OPENAI_API_KEY or --key-file (cof serve: --upstream-key-file)"
ANOTHER_MODEL = "; want the name of one of its models as --model"
ANOTHER_URL = "; does the URL end in /v1?"
MOVED = "; want the URL that it moved to, perhaps with https"


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
        return self.text[:QUOTED]


def refusal(status: int, text: str, retry_after: str = "") -> Fault:
    """The failure that a status means; `retry_after` is that header."""
    passing = status in RETRIED and not _oversize(status, text)
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


def explained(content: bytes) -> str:
    """What the body of a refusal says, without the request that some servers repeat in it."""
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
    """What an error says, in the forms of OpenAI, OpenRouter and FastAPI; "" where it is of no known form."""
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


def advice(fault: Fault) -> str:
    """What helps, as the end of an error's line; "" where that is not known."""
    if oversize(fault):
        by_tokens = CONTEXT.search(fault.text) or (TOKENS_A_MINUTE.search(fault.text) and "token" in fault.text)
        return FEWER_TOKENS if by_tokens else SMALLER_BODY
    if fault.status in (401, 403) or (fault.status == REFUSED and KEY_WORDS.search(fault.text)):
        return ITS_KEY
    if no_model(fault):
        return ANOTHER_MODEL
    if fault.status in (404, 405):
        return ANOTHER_URL
    return MOVED if 300 <= fault.status < 400 else ""


def oversize(fault: Fault) -> bool:
    """Whether a request is refused for its size, in tokens or bytes, so that the same will be refused again."""
    return _oversize(fault.status, fault.text)


def no_model(fault: Fault) -> bool:
    """Whether a refusal means that the endpoint has no model of that name."""
    if fault.status == 404:  # a path that is not there says nothing of models
        return re.search(r"\bmodels?\b", fault.text, re.IGNORECASE) is not None
    return fault.status in (400, 422) and NO_MODEL.search(fault.text) is not None


def seconds_after(header: str) -> float:
    """Seconds until the moment of a Retry-After header, which is a number of seconds or a date; 0 where it says nothing."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _oversize(status: int, text: str) -> bool:
    if status == 429:
        return TOKENS_A_MINUTE.search(text) is not None
    return status == 413 or (status >= 400 and (CONTEXT.search(text) or BODY.search(text)) is not None)


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
