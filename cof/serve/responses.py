"""The wire form of OpenAI's responses API, as far as the official client needs it for a picture and a question.

A request is read as a chat request. Nothing is stored between requests, and tools are the focus loop's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any, Literal

from pydantic import Field

from cof.errors import InputError
from cof.serve.wire import (
    FAILED,
    ChatMessage,
    ChatRequest,
    Extension,
    Form,
    ImageUrl,
    Part,
    Reply,
    Wire,
    extension,
    step,
    thoughts_of,
    usage,
)
from cof.types import Stop, Trace


class InputPart(Wire):
    type: Literal["input_text", "output_text", "input_image"]
    text: str = ""
    image_url: str | None = None


class Item(Wire):
    """What was said before, and is asked now."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart] = ""


class Reasoning(Wire):
    """Earlier thoughts, as they were sent to the client: not read."""

    type: Literal["reasoning"]


class ResponsesRequest(Wire):
    """The body of a request; `max_output_tokens` is the length of the answer, not of the thoughts."""

    input: str | list[Reasoning | Item]
    model: str = ""
    stream: bool = False
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    previous_response_id: str | None = None
    cof: Extension = Extension()


def as_chat(request: ResponsesRequest) -> ChatRequest:
    """The same question as a chat request. Raises InputError."""
    if request.previous_response_id:
        raise InputError("no conversations are kept here; want all of it in input, without previous_response_id")
    items = request.input if isinstance(request.input, list) else [Item(role="user", content=request.input)]
    messages = [ChatMessage(role=item.role, content=_content(item)) for item in items if isinstance(item, Item)]
    if not messages:
        raise InputError("input is empty; want a user message with a question and its picture")
    return ChatRequest(
        messages=messages,
        model=request.model,
        stream=request.stream,
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        cof=request.cof,
    )


def response(name: str, trace: Trace, reply: Reply) -> dict[str, Any]:
    """The whole reply."""
    output = [*(_reasoning(trace, n) for n in range(len(trace.own))), _message(trace, reply)]
    cost, cut = usage(trace), {"reason": "max_output_tokens"} if reply.cut else None
    return _envelope(name, trace, "incomplete" if reply.cut else "completed") | {
        "output": output,
        "incomplete_details": cut,
        "usage": {
            "input_tokens": cost["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": cost["completion_tokens"],
            "total_tokens": cost["total_tokens"],
        },
        "cof": extension(trace),
    }


async def pieces(
    name: str, trace: Trace, heard: AsyncIterator[Trace], reply_of: Callable[[Trace], Reply]
) -> AsyncIterator[str]:
    """Server-sent events: an item of reasoning for each turn as it comes, then the message, then all of it."""
    numbers, told = count(), 0

    def event(kind: str, **data: Any) -> str:
        body = {"type": kind, "sequence_number": next(numbers)} | data
        return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"

    yield event("response.created", response=_envelope(name, trace, "in_progress"))
    async for trace in heard:
        for turn in trace.own[told:]:
            item, extra = _reasoning(trace, told), {"cof": {"step": step(turn), "outside": trace.outside}}
            for kind, data in _item(item, told, "reasoning_text"):
                yield event(kind, **data, **(extra if kind.endswith("item.done") else {}))
            told += 1
    if trace.stop is Stop.FAILED:
        fault = {"code": "server_error", "message": FAILED}
        yield event("response.failed", response=_envelope(name, trace, "failed") | {"error": fault})
        return
    reply = reply_of(trace)
    for kind, data in _item(_message(trace, reply), told, "output_text"):
        yield event(kind, **data)
    yield event("response.incomplete" if reply.cut else "response.completed", response=response(name, trace, reply))


def _item(item: dict[str, Any], place: int, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events that bring an item with one part, a text of this kind."""
    (part,), where = item["content"], {"item_id": item["id"], "output_index": place}
    empty, within = part | {"text": ""}, where | {"content_index": 0}
    yield "response.output_item.added", {"output_index": place, "item": item | {"content": [], "status": "in_progress"}}
    yield "response.content_part.added", within | {"part": empty}
    yield f"response.{kind}.delta", within | {"delta": part["text"], "logprobs": []}
    yield f"response.{kind}.done", within | {"text": part["text"], "logprobs": []}
    yield "response.content_part.done", within | {"part": part}
    yield "response.output_item.done", {"output_index": place, "item": item}


def _reasoning(trace: Trace, n: int) -> dict[str, Any]:
    said = [{"type": "reasoning_text", "text": thoughts_of(trace)[n]}]
    return {"id": f"rs_{trace.id}_{n}", "type": "reasoning", "summary": [], "content": said, "status": "completed"}


def _message(trace: Trace, reply: Reply) -> dict[str, Any]:
    said = [{"type": "output_text", "text": reply.answer, "annotations": [], "logprobs": []}]
    status = "incomplete" if reply.cut else "completed"
    return {"id": f"msg_{trace.id}", "type": "message", "role": "assistant", "status": status, "content": said}


def _content(item: Item) -> str | list[Part]:
    if isinstance(item.content, str):
        return item.content
    return [
        Part(type="image_url", image_url=ImageUrl(url=part.image_url) if part.image_url else None)
        if part.type == "input_image"
        else Part(type="text", text=part.text)
        for part in item.content
    ]


def _envelope(name: str, trace: Trace, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{trace.id}",
        "object": "response",
        "created_at": int(time.time()),
        "model": name,
        "status": status,
        "error": None,
        "output": [],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }


FORM = Form(ResponsesRequest, as_chat, response, pieces)
