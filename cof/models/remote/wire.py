"""The body that asks for a turn, in OpenAI's chat form.

Messages that were sent are sent again byte for byte, so that prefix caches hit: bodies are pure functions of the
conversation, and a call's id of its place in it. Omits streaming, and the reply (`reply.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cof.dialects.base import Message, Part
from cof.dialects.dialect import Dialect
from cof.dialects.native import FOLLOWS, split_tool_calls, tools
from cof.geometry import Shown
from cof.models.base import Request
from cof.models.remote.refusals import Unsupported
from cof.types import Sampling
from cof.vision.urls import Wire

Urls = dict[Shown, str]  # the pictures of one conversation as data URLs, each encoded once


def chat(
    model: str, request: Request, lacks: frozenset[Unsupported], urls: Urls, wire: Wire = Wire()
) -> dict[str, Any]:
    """The body that asks for a turn, without what the endpoint `lacks`. Pictures that are not yet in `urls` are added to it."""
    for view, picture in request.pixels.items():
        if view not in urls:
            urls[view] = wire.url(picture)
    messages = _folded(request.messages) if "system" in lacks else request.messages
    native = request.dialect.native != "no"
    in_tool = request.dialect.native == "tool" and "tool pictures" not in lacks
    told = _natively(request.dialect, messages, in_tool, urls) if native else (_plainly(m, urls) for m in messages)
    offered = {"tools": tools(request.dialect)} if native else {}
    return {"model": model, "messages": list(told), **offered, **_sampled(request.sampling, lacks)}


def _sampled(sampling: Sampling, lacks: frozenset[Unsupported]) -> dict[str, float]:
    fields = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
    most = "max_completion_tokens" if "max_tokens" in lacks else "max_tokens"  # its newer name
    return {most: sampling.tokens} | {name: value for name, value in fields.items() if name not in lacks}


def _folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with the system's words at the beginning of the first user turn."""
    match messages:
        case [Message("system", system), Message("user", question), *rest]:
            return (Message("user", (*system, "\n\n", *question)), *rest)
        case [Message("system", system), *rest]:
            return (Message("user", system), *rest)
    return tuple(messages)


def _plainly(message: Message, urls: Urls) -> dict[str, Any]:
    return {"role": message.role, "content": _content(message.parts, urls)}


def _natively(dialect: Dialect, messages: Sequence[Message], in_tool: bool, urls: Urls) -> Iterator[dict[str, Any]]:
    """Calls as the assistant's `tool_calls`, and the user turn after them as replies of the tool."""
    named, ids = 0, list[str]()
    for message, after in zip(messages, [*messages[1:], None], strict=True):
        replied = message.role == "assistant" and after is not None and after.role == "user"
        words, calls = split_tool_calls(dialect, str(message.parts[0])) if replied else ("", ())
        if calls:
            # nine letters and digits, as the strictest chat templates (Mistral's) want an id
            ids = [f"call{named + n:05d}" for n in range(len(calls))]
            named += len(calls)
            made = [_call(*call, key) for call, key in zip(calls, ids, strict=True)]
            yield {"role": "assistant", "content": words, "tool_calls": made}
        elif ids:
            yield from _replies(message, ids, in_tool, urls)
            ids = []
        else:
            yield _plainly(message, urls)


def _call(name: str, arguments: str, key: str) -> dict[str, Any]:
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def _replies(message: Message, ids: Sequence[str], in_tool: bool, urls: Urls) -> Iterator[dict[str, Any]]:
    """A reply to every call; where pictures may not stand there, they follow in a user turn."""
    apiece = in_tool or not any(isinstance(part, Shown) for part in message.parts)
    shares: list[list[Part]] = _dealt(message.parts, len(ids)) if apiece else [[FOLLOWS] for _ in ids]
    for key, share in zip(ids, shares, strict=True):
        yield {"role": "tool", "tool_call_id": key, "content": _content(share, urls)}
    if not apiece:
        yield _plainly(message, urls)


def _dealt(parts: Sequence[Part], calls: int) -> list[list[Part]]:
    """The parts by call: a picture each, as far as there are any. Words before the pictures go to the first call, words after
    them to the last that has one, and to every call that has none."""
    pictures, shown = sum(isinstance(part, Shown) for part in parts), 0
    shares: list[list[Part]] = [[] for _ in range(calls)]
    for part in parts:
        if isinstance(part, Shown):
            shares[min(shown, calls - 1)].append(part)
            shown += 1
        elif shown < pictures:
            shares[0].append(part)
        else:
            for share in shares[max(0, min(pictures, calls) - 1) :]:
                share.append(part)
    return shares


def _content(parts: Sequence[Part], urls: Urls) -> str | list[dict[str, Any]]:
    """Text alone as a string, which every server takes."""
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    return [_part(part, urls) for part in parts]


def _part(part: Part, urls: Urls) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": urls[part]}}
