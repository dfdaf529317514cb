"""The wire form of OpenAI's chat completions, as far as a picture and a question need it: requests read, replies written.
Other forms are read into this one.

The question is the last user message; the picture is the latest one that a user sent, by its URL. What clients send beyond
that is ignored where it cannot change the answer. Extensions stand under `cof`.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cof.errors import InputError
from cof.focus.notes import notes
from cof.scoring.traces import listed
from cof.types import Answer, Malformed, Stop, Trace, Turn, Zoom
from cof.vision.addresses import bytes_of_data_url
from cof.vision.boxes import in_words, rounded
from cof.worlds.outside import OUTSIDE

WANTED = 'want {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,…"}}'
FAILED = "the model failed; try again"


class Wire(BaseModel):
    """What came as JSON. Unknown fields are ignored, as clients send many; one that is null counts as not sent."""

    model_config = ConfigDict(extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def sent(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class ImageUrl(Wire):
    url: str


class Part(Wire):
    """A part of a message; one of another type than text and image_url is refused."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | str | None = None


class ChatMessage(Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class Strict(Wire):
    """A part of ours, in which an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WireLimits(Strict):
    """Limits of one request, within the server's."""

    turns: int | None = Field(default=None, ge=1)
    zooms: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=1)
    pixels: int | None = Field(default=None, ge=0)
    crop_pixels: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Extension(Strict):
    """What OpenAI's form has no place for. `letter`: the answer is the letter of its choice, from A on."""

    limits: WireLimits = WireLimits()
    choices: list[str] = Field(default_factory=list, max_length=26)
    budget: int | None = Field(default=None, ge=4)
    mode: Literal["focus", "direct"] = "focus"
    letter: bool = False

    @model_validator(mode="after")
    def lettered(self) -> Extension:
        if self.letter and not self.choices:
            raise ValueError("letter is asked for without choices; want choices, whose letter the answer is")
        return self


class ChatRequest(Wire):
    """The body of a request; `max_tokens` is the length of the answer, not of the thoughts."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str = ""
    stream: bool = False
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    n: int = Field(default=1, ge=1, le=1)
    cof: Extension = Extension()


@dataclass(frozen=True)
class Reply:
    """The answer in the form it was asked for; `cut`: it was longer, or a limit came before it."""

    answer: str
    cut: bool = False


@dataclass(frozen=True)
class Form:
    """How an API of OpenAI's asks and is answered.

    `read` makes a chat request of its `request`; `whole` is the reply to a finished trace under the model's name; `pieces` are
    the server-sent events of a trace that is under way, from its beginning and the traces after every turn.
    """

    request: type[Wire]
    read: Callable[[Any], ChatRequest]
    whole: Callable[[str, Trace, Reply], dict[str, Any]]
    pieces: Callable[[str, Trace, AsyncIterator[Trace], Callable[[Trace], Reply]], AsyncIterator[str]]


def question_in(request: ChatRequest) -> tuple[str, str]:
    """The question, and the URL of its picture. Raises InputError."""
    users = [message for message in request.messages if message.role == "user"]
    text = "\n".join(part.text for part in _parts(users[-1]) if part.type == "text").strip() if users else ""
    if not text:
        raise InputError("the last user message asks nothing; want a text in it")
    urls = [part.image_url for message in users for part in _parts(message) if part.type == "image_url"]
    if not urls or urls[-1] is None:
        raise InputError(f"there is no picture in the user's messages; {WANTED}")
    last = urls[-1]
    return text, last if isinstance(last, str) else last.url


def picture_in(url: str) -> bytes:
    """The bytes in a data URL; nothing is fetched. Raises InputError."""
    try:
        return bytes_of_data_url(url)
    except InputError as error:
        raise InputError(f"{error}; {WANTED}") from None


def completion(name: str, trace: Trace, reply: Reply) -> dict[str, Any]:
    """The whole reply."""
    thoughts = "\n".join(thoughts_of(trace))
    message = {"role": "assistant", "content": reply.answer, "reasoning_content": thoughts}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if reply.cut else "stop"}
    return _envelope("chat.completion", name, trace) | {
        "choices": [choice],
        "usage": usage(trace),
        "cof": extension(trace),
    }


async def pieces(
    name: str, trace: Trace, heard: AsyncIterator[Trace], reply_of: Callable[[Trace], Reply]
) -> AsyncIterator[str]:
    """Server-sent events: thoughts and steps as they come, then the answer, what it cost, and the end."""
    told = 0
    async for trace in heard:
        for turn, said in list(zip(trace.own, thoughts_of(trace), strict=True))[told:]:
            role = {"role": "assistant"} if told == 0 else {}
            delta = {**role, "reasoning_content": said + "\n"}
            yield event(_chunk(name, trace, delta) | {"cof": {"step": step(turn), "outside": trace.outside}})
            told += 1
    if trace.stop is Stop.FAILED:
        yield event(failure("server_error", FAILED, "model_failed"))
    else:
        reply = reply_of(trace)
        yield event(_chunk(name, trace, {"content": reply.answer}))
        last = _chunk(name, trace, {}, "length" if reply.cut else "stop")
        yield event(last | {"usage": usage(trace), "cof": extension(trace)})
    yield "data: [DONE]\n\n"


def event(data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _chunk(name: str, trace: Trace, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _envelope("chat.completion.chunk", name, trace) | {"choices": [choice]}


def usage(trace: Trace) -> dict[str, int]:
    """What the question cost: the tokens of the last prompt, which held all that was shown, and those that were sampled."""
    prompt = max((turn.completion.prompt_tokens for turn in trace.own), default=0)
    return {"prompt_tokens": prompt, "completion_tokens": trace.tokens, "total_tokens": prompt + trace.tokens}


def extension(trace: Trace) -> dict[str, Any]:
    """What the form has no place for: why the run ended, and where it looked (source pixels).

    `outside`: whether the picture is none of the kind that the model was trained on, null where it makes no such claim;
    `listed`: whether the answer is one of the choices, null where there are none; `notes`: what limits did, in sentences.
    """
    return {
        "trace": trace.id,
        "stop": trace.stop.value,
        "outside": trace.outside,
        "listed": listed(trace),
        "notes": list(notes(trace)),
        "zooms": trace.zooms,
        "visual_tokens": trace.visual_tokens,
        "boxes": [rounded(box) for box in trace.looked],
        "seconds": round(trace.seconds, 3),
    }


def step(turn: Turn) -> dict[str, Any]:
    """A turn for whoever watches: what it did, what it asked to see (`boxes`) and was shown (`regions`), in source pixels."""
    told = {
        "kind": type(turn.action).__name__.lower(),
        "regions": [rounded(view.region) for view in turn.views],
        "note": turn.note,
        "tokens": turn.completion.tokens,
        "seconds": round(turn.seconds, 3),
    }
    match turn.action:
        case Zoom(found, label, said):
            return told | {"label": label, "thought": said, "boxes": [rounded(box) for box in found]}
        case Answer(text, said):
            return told | {"answer": text, "thought": said}
        case Malformed(fault):
            return told | {"fault": fault}


def thoughts_of(trace: Trace) -> list[str]:
    """What each turn thought, and where it looked; before the first of them, that the picture is outside where it is."""
    said = [_thought(turn) for turn in trace.own]
    return [f"{OUTSIDE}\n{said[0]}".strip(), *said[1:]] if trace.outside and said else said


def _thought(turn: Turn) -> str:
    match turn.action:
        case Zoom(found, label, said):
            seen, thing = found[: len(turn.views)], label or "a part"
            looks = f"looks at {thing}: {', '.join(map(in_words, seen))}" if seen else f"is not shown {thing}"
            return f"{said} ({looks})".strip()
        case Answer(_, said):
            return said
        case Malformed(fault):
            return f"(a turn that could not be read: {fault})"


def failure(kind: str, message: str, code: str) -> dict[str, Any]:
    """The form of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _parts(message: ChatMessage) -> Iterator[Part]:
    if isinstance(message.content, str):
        yield Part(type="text", text=message.content)
    else:
        yield from message.content or ()


def _same(request: ChatRequest) -> ChatRequest:
    return request


def _envelope(kind: str, name: str, trace: Trace) -> dict[str, Any]:
    return {"id": f"chatcmpl-{trace.id}", "object": kind, "created": int(time.time()), "model": name}


FORM = Form(ChatRequest, _same, completion, pieces)
