"""The wire form of OpenAI's chat completions, as far as a picture and a question need it: requests read, replies written.

The question is the last user message; the picture is the latest one that a user sent, as a data URL. What clients send beyond
that is ignored where it cannot change the answer. Extensions stand under `cof`.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cof.errors import InputError
from cof.types import Answer, Malformed, Trace, Turn, Zoom

DATA_URL = re.compile(r"data:image/(?:jpeg|jpg|png|webp);base64,")
WANTED = 'want {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,…"}}'


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class ImageUrl(_Wire):
    url: str


class Part(_Wire):
    """A part of a message; one of another type than text and image_url is refused."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | str | None = None


class ChatMessage(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class WireLimits(_Wire):
    """Limits of one request, within the server's."""

    turns: int | None = Field(default=None, ge=1)
    zooms: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=1)
    pixels: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Extension(_Wire):
    """What OpenAI's form has no place for. `letter`: the answer is the letter of its choice, from A on."""

    limits: WireLimits = WireLimits()
    choices: list[str] = Field(default_factory=list, max_length=26)
    budget: int | None = Field(default=None, ge=4)
    mode: Literal["focus", "direct"] = "focus"
    letter: bool = False


class ChatRequest(_Wire):
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


def question_in(request: ChatRequest) -> tuple[str, bytes]:
    """The question, and the file that the picture is. Raises InputError."""
    users = [message for message in request.messages if message.role == "user"]
    text = "\n".join(part.text for part in _parts(users[-1]) if part.type == "text").strip() if users else ""
    if not text:
        raise InputError("the last user message asks nothing; want a text in it")
    urls = [part.image_url for message in users for part in _parts(message) if part.type == "image_url"]
    if not urls or urls[-1] is None:
        raise InputError(f"there is no picture in the user's messages; {WANTED}")
    last = urls[-1]
    return text, picture_in(last if isinstance(last, str) else last.url)


def picture_in(url: str) -> bytes:
    """The bytes in a data URL; nothing is fetched. Raises InputError."""
    begin = DATA_URL.match(url)
    if begin is None:
        raise InputError(f"the picture is no data URL of a JPEG, PNG or WEBP, and this server fetches none; {WANTED}")
    try:
        return base64.b64decode(url[begin.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"the picture's data URL is not base64; {WANTED}") from None


def completion(name: str, trace: Trace, answer: str, cut: bool) -> dict[str, Any]:
    """The whole reply."""
    message = {"role": "assistant", "content": answer, "reasoning_content": "\n".join(map(thought, trace.own))}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if cut else "stop"}
    return _envelope("chat.completion", name, trace) | {
        "choices": [choice],
        "usage": usage(trace),
        "cof": extension(trace),
    }


def chunk(name: str, trace: Trace, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    """A piece of a streamed reply."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _envelope("chat.completion.chunk", name, trace) | {"choices": [choice]}


def usage(trace: Trace) -> dict[str, int]:
    """What the question cost: the tokens of the last prompt, which held all that was shown, and those that were sampled."""
    prompt = max((turn.completion.prompt_tokens for turn in trace.own), default=0)
    return {"prompt_tokens": prompt, "completion_tokens": trace.tokens, "total_tokens": prompt + trace.tokens}


def extension(trace: Trace) -> dict[str, Any]:
    """What the form has no place for: why the run ended, and where it looked (source pixels)."""
    asked = [box for turn in trace.own if isinstance(turn.action, Zoom) for box in turn.action.boxes]
    return {
        "trace": trace.id,
        "stop": trace.stop.value,
        "zooms": trace.zooms,
        "visual_tokens": trace.visual_tokens,
        "boxes": [[round(v, 1) for v in box.as_tuple()] for box in asked],
        "seconds": round(trace.seconds, 3),
    }


def thought(turn: Turn) -> str:
    """What a turn thought, and where it looked."""
    match turn.action:
        case Zoom(found, label, said):
            looks = ", ".join(f"[{', '.join(f'{v:.0f}' for v in box.as_tuple())}]" for box in found)
            return f"{said} (looks at {label or 'a part'}: {looks})".strip()
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


def _envelope(kind: str, name: str, trace: Trace) -> dict[str, Any]:
    return {"id": f"chatcmpl-{trace.id}", "object": kind, "created": int(time.time()), "model": name}
