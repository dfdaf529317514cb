"""A deterministic model for tests and demonstrations: it says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cof.models.base import Request
from cof.types import Completion

Line = str | Callable[[Request], str]


class ScriptedModel:
    """Says `lines[n]` as the n-th assistant turn of any conversation, and the last line ever after.

    A line may be a function of the request. What was asked is kept in `requests`.
    """

    name = "scripted"

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = tuple(lines)
        self.requests: list[Request] = []

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        self.requests += requests
        return [self._say(request) for request in requests]

    def _say(self, request: Request) -> Completion:
        spoken = sum(message.role == "assistant" for message in request.messages)
        line = self.lines[min(spoken, len(self.lines) - 1)]
        text = line if isinstance(line, str) else line(request)
        return Completion(text, tokens=len(text.split()))
