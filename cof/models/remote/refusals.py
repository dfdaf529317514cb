"""What an endpoint does not take, learnt from its refusals of real requests.

There is no probe call: a refusal comes before a token is sampled, so it costs as little as a probe would; it is exact about
the request that matters; and an endpoint that takes everything, as most do, pays nothing. What is tried because of a refusal
is remembered once the request goes through without it. Log-probabilities are never asked for, so nothing is to learn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cof.models.remote.faults import Fault

Field = Literal["seed", "top_p", "temperature", "max_tokens"]
Unsupported = Literal[Field, "system", "tool pictures"]
FIELDS: tuple[Field, ...] = ("seed", "top_p", "temperature", "max_tokens")
REFUSALS = frozenset({400, 422, 500, 501})  # 500: servers that fall over a chat template's refusal
SYSTEM = re.compile(
    r"system (role|message|prompt|instruction)|developer instruction|only user\W+(and )?assistant|roles must alternate"
    r"|role\W{1,9}system",
    re.IGNORECASE,
)
SEVERAL = re.compile(
    r"(at most|only|up to|no more than|maximum of|limit of) (one|a single|\d+) (image|picture)"
    r"|(multiple|several|too many|more than (one|\d+)) (image|picture)|limit-mm-per-prompt|\d+ image items",
    re.IGNORECASE,
)
TOOLS = re.compile(r"\btools?\b|tool[-_ ](choice|call)", re.IGNORECASE)


@dataclass(frozen=True)
class EndpointCapabilities:
    """What is known of an endpoint: what it `lacks`, and the most `pictures` that it takes in a request, None if not known."""

    lacks: frozenset[Unsupported] = frozenset()
    pictures: int | None = None


def lack_of(fault: Fault, body: Mapping[str, Any]) -> Unsupported | None:
    """What a refused request may be tried without. It is in the body, so that leaving it out comes to an end."""
    if fault.status not in REFUSALS:
        return None
    named = (field for field in FIELDS if field in body and re.search(rf"\b{field}\b", fault.text))
    if (field := next(named, None)) is not None:
        return field
    if body["messages"][0]["role"] == "system" and SYSTEM.search(fault.text):
        return "system"
    # servers word this in many ways, so that no words are asked for; 500 is too common to mean it
    if fault.status != 500 and any(m["role"] == "tool" and isinstance(m["content"], list) for m in body["messages"]):
        return "tool pictures"
    return None


def refuses_several(fault: Fault, pictures: int) -> bool:
    """Whether a refusal is about the number of pictures."""
    return pictures > 1 and fault.status in {*REFUSALS, 413} and SEVERAL.search(fault.text) is not None


def refuses_tools(fault: Fault, body: Mapping[str, Any]) -> bool:
    """Whether a refusal may be about native calls as such."""
    return "tools" in body and fault.status in REFUSALS and TOOLS.search(fault.text) is not None
