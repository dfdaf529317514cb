"""A turn as it is read out of a reply in OpenAI's chat form, as servers and gateways send it.

Some take a turn apart into its thought, its calls and the rest; it is put together as the dialect writes it. Omits what the
turn asks for, which the dialect reads, and errors within a reply (`faults.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cof.dialects.dialect import Dialect
from cof.dialects.reading import THINK
from cof.types import Completion

THOUGHTS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
)  # vLLM and others, OpenRouter, Ollama, again OpenRouter
WORDS = ("text", "thinking", "reasoning", "summary", "content")  # where the text of a part of a thought is
SILENT = frozenset({"redacted_thinking"})  # parts of a content without text
CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})  # finish reasons, lower case
FILTERED = frozenset({"content_filter", "sensitive", "safety"})
OF_ANOTHER_FORM = "its fields are of another form; want an OpenAI-compatible endpoint"


def completion(reply: Any, dialect: Dialect) -> Completion:
    """The turn in a reply. `finish` is "length" where it was cut off; then its last words may be half of an answer or a call.

    A turn whose tokens all went to its thought is that thought, not closed. Raises ValueError that says what came instead of
    a turn.
    """
    try:
        choice, usage = _choice(reply), _usage(reply)
        finish = str(choice.get("finish_reason")).lower()
        if finish in FILTERED:
            raise ValueError(f"its filter stopped the turn (finish_reason {finish!r}); want another question or model")
        tokens, prompt = _count(usage, "completion_tokens"), _count(usage, "prompt_tokens")
        text = _text(choice["message"], dialect, finish in CUT, tokens)
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError(OF_ANOTHER_FORM) from None
    text = text.encode(errors="replace").decode()  # half a character cannot be sent back
    return Completion(text, tokens, prompt, 0, "length" if finish in CUT else "stop")


def _choice(reply: Any) -> Mapping[str, Any]:
    match reply:
        case {"choices": [{"message": {}} as choice, *_]}:
            return dict(choice)
        case {"choices": [{"text": str()}, *_]}:
            raise ValueError("it is a text completion; want an endpoint for chats, a URL that ends in /v1")
        case {"choices": []}:
            raise ValueError("choices is empty, as where a filter stops a turn; want another question or model")
    raise ValueError(OF_ANOTHER_FORM)


def _usage(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    found = reply.get("usage")
    return found if isinstance(found, Mapping) else {}


def _count(usage: Mapping[str, Any], name: str) -> int:
    """A count of tokens; 0 where the server gives none."""
    found = usage.get(name)
    if found is None:
        return 0
    if not isinstance(found, int | float) or not 0 <= found < 2**53:
        raise ValueError(f"{name} is {found!r}; want a number of tokens")
    return int(found)


def _text(message: Mapping[str, Any], dialect: Dialect, cut: bool, tokens: int) -> str:
    content, within = _content(message.get("content"))
    thought = next((words for name in THOUGHTS if (words := _words(message.get(name))).strip()), within)
    refused = message.get("refusal") or ""
    calls = [(str(call["function"]["name"]), _arguments(call)) for call in message.get("tool_calls") or ()]
    if not (thought or calls or refused or "content" in message):
        raise ValueError(OF_ANOTHER_FORM)
    if cut and not (content.strip() or calls):
        return THINK.open + (thought or f"({tokens} tokens of thought that the endpoint does not show)")
    thought, content = _once(thought, content, dialect)
    return dialect.join(thought, content or str(refused), calls)


def _once(thought: str, content: str, dialect: Dialect) -> tuple[str, str]:
    """The thought and the rest, where a content that has a thought of its own repeats it: that content is left as it is."""
    tags = dialect.think
    if not (thought and tags.close):
        return thought, content
    own, closed, rest = content.rpartition(tags.close)
    if not closed:
        return thought, content
    return ("", content) if own.strip().removeprefix(tags.open).strip() else (thought, rest)


def _content(content: Any) -> tuple[str, str]:
    """The text and the thought of a content, which is a text or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise TypeError
    texts, thoughts = list[str](), list[str]()
    for part in content:
        match part:
            case str():
                texts.append(part)
            case {"type": str(kind)} if "thinking" in kind or "reasoning" in kind:
                thoughts.append("" if kind in SILENT else _words(part))
            case {"text": str(text)} | {"refusal": str(text)}:
                texts.append(text)
            case _:
                raise TypeError
    return "".join(texts), "\n".join(thoughts).strip()


def _words(thought: Any) -> str:
    """The text of a thought, which is a text, a part, or a list of parts."""
    match thought:
        case str():
            return thought
        case list():
            return "".join(map(_words, thought))
        case dict():
            return next((words for name in WORDS if (words := _words(thought.get(name)))), "")
    return ""


def _arguments(call: Mapping[str, Any]) -> str:
    given = call["function"]["arguments"]
    return given if isinstance(given, str) else json.dumps(given)
