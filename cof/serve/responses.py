"""The wire form of OpenAI's responses API, as far as the official client needs it for a picture and a question.

A request is read as a chat request. Nothing is stored between requests, and tools are the focus loop's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cof.serve.fields import (
    NO_EFFORT,
    NO_LOGPROBS,
    NO_VERBOSITY,
    NOT_KEPT,
    Only,
    RequestObject,
    WithTools,
    check_filled,
)
from cof.serve.request import (
    ChatMessage,
    ChatRequest,
    ContentPart,
    Extension,
    ImageUrl,
    JsonSchema,
    ResponseFormat,
)
from cof.serve.service import Refused, bad
from cof.serve.wire import Form, Reply, answered, extension, step, thoughts_of, usage
from cof.trace import Trace

HELD_BY = {"input_text": "text", "output_text": "text", "input_image": "image_url", "refusal": "refusal"}
NO_FILES = "no files are kept here; want the picture as a data URL in image_url"


class InputPart(RequestObject):
    """A part of an item. The notes beside an earlier answer, such as `logprobs`, are taken and not read."""

    type: Literal["input_text", "output_text", "input_image", "refusal"]
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] = "auto"
    file_id: Annotated[Any, Only(why=NO_FILES)] = None
    annotations: Annotated[Any, Only([], why="this server takes no annotations of an answer; leave it out")] = None
    logprobs: Any = None

    @model_validator(mode="after")
    def filled(self) -> InputPart:
        check_filled(self, HELD_BY[self.type], HELD_BY.values())
        return self


class InputItem(RequestObject):
    """A message, earlier or new. `id`, `status` and `phase` of an earlier answer are taken and not read."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart] = ""
    id: Any = None
    status: Any = None
    phase: Any = None


class ReasoningItem(RequestObject):
    """Earlier thoughts, as they were sent to the client: taken and not read."""

    type: Literal["reasoning"]
    id: Any = None
    summary: Any = None
    content: Any = None
    encrypted_content: Any = None
    status: Any = None


def _type_of(item: Any) -> str:
    """Which class reads an item, so that a fault is named by the fields of its own type."""
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return ReasoningItem.__name__ if kind == "reasoning" else InputItem.__name__


AnyItem = Annotated[
    Annotated[ReasoningItem, Tag(ReasoningItem.__name__)] | Annotated[InputItem, Tag(InputItem.__name__)],
    Discriminator(_type_of),
]


class TextFormat(RequestObject):
    """As `response_format` of a chat request, with the schema beside the type."""

    type: Literal["text", "json_object", "json_schema"]
    name: Any = None
    description: str = ""
    strict: Any = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")

    @model_validator(mode="after")
    def with_schema(self) -> TextFormat:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise ValueError("schema goes with the type json_schema; want both, or neither")
        return self


class TextOptions(RequestObject):
    """The field `text`: the form of the answer."""

    format: TextFormat | None = None
    verbosity: Annotated[Any, Only("medium", why=NO_VERBOSITY)] = None


class ReasoningOptions(RequestObject):
    """The field `reasoning`. `summary` asks for a form of the thoughts, which are sent in any case."""

    effort: Annotated[Any, Only("medium", why=NO_EFFORT)] = None
    summary: Any = None
    generate_summary: Any = None


class ResponsesStreamOptions(RequestObject):
    """Obfuscation pads pieces, which changes no answer. The usage is always in the last event."""

    include_obfuscation: Any = None


class ResponsesRequest(WithTools):
    """The body of a request; `max_output_tokens` is the length of the answer, not of the thoughts."""

    input: str | list[AnyItem]
    instructions: str = ""
    model: str = ""
    stream: bool = False
    stream_options: ResponsesStreamOptions = ResponsesStreamOptions()
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    text: TextOptions = TextOptions()
    cof: Extension = Extension()
    max_tool_calls: Any = None
    reasoning: ReasoningOptions = ReasoningOptions()
    include: Annotated[Any, Only([], ["reasoning.encrypted_content"], why="nothing more is included; leave it out")] = (
        None
    )
    truncation: Annotated[Any, Only("auto", "disabled", why='want "auto" or "disabled"')] = None
    background: Annotated[Any, Only(False, why="answers are not kept for later; want false")] = None
    top_logprobs: Annotated[Any, Only(0, why=NO_LOGPROBS)] = None
    previous_response_id: Annotated[Any, Only("", why=f"{NOT_KEPT.partition(';')[0]}; want all of it in input")] = None
    conversation: Annotated[Any, Only(why=f"{NOT_KEPT.partition(';')[0]}; want all of it in input")] = None
    prompt: Annotated[Any, Only(why="no prompts are kept here; want its text in instructions or input")] = None


def as_chat(request: ResponsesRequest) -> ChatRequest:
    """The same question as a chat request. Raises Refused."""
    items = request.input if isinstance(request.input, list) else [InputItem(role="user", content=request.input)]
    messages = [ChatMessage(role=item.role, content=_content(item)) for item in items if isinstance(item, InputItem)]
    if not messages:
        raise bad("input is empty; want a user message with a question and its picture", "input")
    if request.instructions:
        messages.insert(0, ChatMessage(role="system", content=request.instructions))
    return ChatRequest(
        messages=messages,
        model=request.model,
        stream=request.stream,
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        response_format=_format(request.text.format),
        cof=request.cof,
    )


def _format(wanted: TextFormat | None) -> ResponseFormat | None:
    if wanted is None or wanted.schema_ is None:
        return None if wanted is None else ResponseFormat(type=wanted.type)
    schema = JsonSchema(schema=wanted.schema_, description=wanted.description)
    return ResponseFormat(type="json_schema", json_schema=schema)


def response(name: str, trace: Trace, reply: Reply) -> dict[str, Any]:
    """The whole reply."""
    output = [*(_reasoning(trace, n) for n in range(len(trace.model_turns))), _message(trace, reply)]
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
        "cof": extension(trace, reply),
    }


async def pieces(
    name: str, trace: Trace, traces: AsyncIterator[Trace], reply_of: Callable[[Trace], Reply], _counted: bool
) -> AsyncIterator[str]:
    """Server-sent events: an item of reasoning for each turn as it comes, then the message, then the whole reply."""
    numbers, sent = count(), 0

    def event(kind: str, **data: Any) -> str:
        body = {"type": kind, "sequence_number": next(numbers)} | data
        return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"

    yield event("response.created", response=_envelope(name, trace, "in_progress"))
    async for trace in traces:
        for turn in trace.model_turns[sent:]:
            item, extra = _reasoning(trace, sent), {"cof": {"step": step(turn), "outside": trace.outside}}
            for kind, data in _item(item, sent, "reasoning_text"):
                yield event(kind, **data, **(extra if kind.endswith("item.done") else {}))
            sent += 1
    try:
        reply = answered(trace, reply_of)
    except Refused as refused:
        fault = {"code": "server_error", "message": refused.message}
        yield event("response.failed", response=_envelope(name, trace, "failed") | {"error": fault})
        return
    for kind, data in _item(_message(trace, reply), sent, "output_text"):
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
    texts = [{"type": "reasoning_text", "text": thoughts_of(trace)[n]}]
    return {"id": f"rs_{trace.id}_{n}", "type": "reasoning", "summary": [], "content": texts, "status": "completed"}


def _message(trace: Trace, reply: Reply) -> dict[str, Any]:
    texts = [{"type": "output_text", "text": reply.answer, "annotations": [], "logprobs": []}]
    status = "incomplete" if reply.cut else "completed"
    return {"id": f"msg_{trace.id}", "type": "message", "role": "assistant", "status": status, "content": texts}


def _content(item: InputItem) -> str | list[ContentPart]:
    return item.content if isinstance(item.content, str) else [_part(part) for part in item.content]


def _part(part: InputPart) -> ContentPart:
    if part.type != "input_image":
        return ContentPart(type="text", text=part.refusal if part.type == "refusal" else part.text)
    assert part.image_url is not None  # InputPart.filled
    return ContentPart(type="image_url", image_url=ImageUrl(url=part.image_url, detail=part.detail))


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


FORM = Form(ResponsesRequest, "input", "text.format", as_chat, response, pieces)
