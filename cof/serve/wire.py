"""The wire form of OpenAI's chat completions: replies, whole and in pieces. Extensions are under `cof`.

Owns also what a form is (`Form`), for others beside it. Omits requests (`request.py`) and what the answer is (`finish.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from cof.data.outside import OUTSIDE
from cof.loop.notes import notes
from cof.loop.session import NO_VIEW
from cof.scoring.traces import listed
from cof.serve.fields import RequestObject
from cof.serve.request import ChatRequest
from cof.serve.service import Refused, failed
from cof.trace import Trace, Turn
from cof.types import Answer, Malformed, Stop
from cof.vision.boxes import in_words, rounded

FAILED = "the model failed; try again"


@dataclass(frozen=True)
class Reply:
    """The answer in the form that was asked for.

    `cut` is true where the answer was longer, or a limit was reached before it. `notes` are sentences about what of the request
    was not done.
    """

    answer: str
    cut: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """How one of OpenAI's APIs asks and is answered.

    `request`: the type of a body. Its field `messages` has the conversation, its field `output` the form of the answer.
    `read`: makes a chat request of a body.
    `whole`: the reply to a finished trace under the model's name.
    `pieces`: the server-sent events of a trace that is under way, from its beginning and the traces after every turn. The last
    event has the usage where that is asked for.
    """

    request: type[RequestObject]
    messages: str
    output: str
    read: Callable[[Any], ChatRequest]
    whole: Callable[[str, Trace, Reply], dict[str, Any]]
    pieces: Callable[[str, Trace, AsyncIterator[Trace], Callable[[Trace], Reply], bool], AsyncIterator[str]]


def completion(name: str, trace: Trace, reply: Reply) -> dict[str, Any]:
    """The whole reply."""
    thoughts = "\n".join(thoughts_of(trace))
    message = {"role": "assistant", "content": reply.answer, "reasoning_content": thoughts}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if reply.cut else "stop"}
    return _envelope("chat.completion", name, trace) | {
        "choices": [choice],
        "usage": usage(trace),
        "cof": extension(trace, reply),
    }


async def pieces(
    name: str, trace: Trace, traces: AsyncIterator[Trace], reply_of: Callable[[Trace], Reply], counted: bool
) -> AsyncIterator[str]:
    """Server-sent events: thoughts and steps as they come, then the answer, its usage where it is `counted`, and the end."""
    sent, uncounted = 0, {"usage": None} if counted else {}
    async for trace in traces:
        for turn, thought in list(zip(trace.model_turns, thoughts_of(trace), strict=True))[sent:]:
            role = {"role": "assistant"} if sent == 0 else {}
            delta = {**role, "reasoning_content": thought + "\n"}
            extra = {"cof": {"step": step(turn), "outside": trace.outside}}
            yield event(_chunk(name, trace, delta) | uncounted | extra)
            sent += 1
    try:
        reply = answered(trace, reply_of)
        role = {"role": "assistant"} if sent == 0 else {}
        yield event(_chunk(name, trace, {**role, "content": reply.answer}) | uncounted)
        last = _chunk(name, trace, {}, "length" if reply.cut else "stop")
        yield event(last | uncounted | {"cof": extension(trace, reply)})
        if counted:
            yield event(_envelope("chat.completion.chunk", name, trace) | {"choices": [], "usage": usage(trace)})
    except Refused as refused:
        yield event(failure(refused))
    yield "data: [DONE]\n\n"


def answered(trace: Trace, reply_of: Callable[[Trace], Reply]) -> Reply:
    """The reply to a trace. Raises Refused where the model failed, or its answer does not have the form that was asked for."""
    silent = trace.answer is None and not trace.turns and trace.overview != NO_VIEW
    if trace.stop is Stop.FAILED or silent:
        raise failed(FAILED)
    return reply_of(trace)


def event(data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _chunk(name: str, trace: Trace, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _envelope("chat.completion.chunk", name, trace) | {"choices": [choice]}


def usage(trace: Trace) -> dict[str, int]:
    """What the question cost: the tokens of the last prompt, which held all that was shown, and those that were sampled."""
    prompt = max((turn.completion.prompt_tokens for turn in trace.model_turns), default=0)
    return {"prompt_tokens": prompt, "completion_tokens": trace.tokens, "total_tokens": prompt + trace.tokens}


def extension(trace: Trace, reply: Reply) -> dict[str, Any]:
    """What the form has no place for: why the run ended, and where it looked (`boxes`, source pixels).

    `trace`: the id by which the trace is kept, null where no picture was looked at.
    `outside`: whether the picture is of another kind than the model was trained on, null where the model makes no such claim.
    `listed`: whether the answer is one of the choices, null where there are none.
    `notes`: sentences about what limits did, and what of the request was not done.
    """
    return {
        "trace": None if trace.overview == NO_VIEW else trace.id,
        "stop": trace.stop.value,
        "outside": trace.outside,
        "listed": listed(trace),
        "notes": [*notes(trace), *reply.notes],
        "zooms": trace.zooms,
        "visual_tokens": trace.visual_tokens,
        "boxes": [rounded(box) for box in trace.shown_boxes],
        "seconds": round(trace.seconds, 3),
    }


def step(turn: Turn) -> dict[str, Any]:
    """A turn for a client that watches: what it did, asked to see (`boxes`) and was shown (`regions`), in source pixels."""
    common = {
        "kind": turn.kind,
        "regions": [rounded(view.region) for view in turn.views],
        "note": turn.note,
        "tokens": turn.completion.tokens,
        "seconds": round(turn.seconds, 3),
    }
    match turn.action:
        case Answer(text, thought):
            return common | {"answer": text, "thought": thought}
        case Malformed(fault):
            return common | {"fault": fault}
        case calls:
            found = [call.box for call in calls if call.box]
            said = {"label": calls[0].label, "thought": turn.thought, "boxes": [rounded(box) for box in found]}
            return common | said | {"tools": [call.tool for call in calls]}


def thoughts_of(trace: Trace) -> list[str]:
    """The thought of each turn, and where it looked. The first begins with the warning about a picture outside, where it is."""
    thoughts = [_with_looks(turn) for turn in trace.model_turns]
    return [f"{OUTSIDE}\n{thoughts[0]}".strip(), *thoughts[1:]] if trace.outside and thoughts else thoughts


def _with_looks(turn: Turn) -> str:
    match turn.action:
        case Answer(_, thought):
            return thought
        case Malformed(fault):
            return f"(a turn that could not be read: {fault})"
        case calls:
            seen = [call.box for call in calls[: len(turn.observations)] if call.box]
            others = [call.tool for call in calls[: len(turn.observations)] if not call.box]
            what = calls[0].label or "a part"
            looks = f"looks at {what}: {', '.join(map(in_words, seen))}" if seen else f"is not shown {what}"
            done = "; ".join(([] if others and not seen else [looks]) + [f"uses the tool {name}" for name in others])
            return f"{turn.thought} ({done})".strip()


def failure(refused: Refused) -> dict[str, Any]:
    """The form of an error."""
    about = {"type": refused.kind, "param": refused.field, "code": refused.code}
    return {"error": {"message": refused.message} | about}


def _same(request: ChatRequest) -> ChatRequest:
    return request


def _envelope(kind: str, name: str, trace: Trace) -> dict[str, Any]:
    return {"id": f"chatcmpl-{trace.id}", "object": kind, "created": int(time.time()), "model": name}


FORM = Form(ChatRequest, "messages", "response_format", _same, completion, pieces)
