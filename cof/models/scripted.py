"""A deterministic model for tests and demonstrations: its turns are given beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cof.errors import ModelError
from cof.models.base import Conversation, ModelInfo, Request
from cof.types import Completion

Line = str | Callable[[Request], str]


class ScriptedModel:
    """Gives `lines[n]` as the n-th assistant turn of any conversation, and the last line for all turns after it.

    A line may be a function of the request, which may raise ModelError. All requests are kept in `requests`.
    """

    def __init__(self, lines: Sequence[Line], info: ModelInfo = ModelInfo("scripted")) -> None:
        if not lines:
            raise ValueError("a script has no lines; want at least one")
        self.lines, self.info = tuple(lines), info
        self.requests: list[Request] = []

    def converse(self, conversations: Iterable[Conversation]) -> None:
        for conversation in conversations:
            while (request := conversation.request()) is not None:
                self.requests.append(request)
                conversation.receive(self._say(request), 0.0)

    def _say(self, request: Request) -> Completion | ModelError:
        before = sum(message.role == "assistant" for message in request.messages)
        line = self.lines[min(before, len(self.lines) - 1)]
        try:
            text = line if isinstance(line, str) else line(request)
        except ModelError as error:
            return error
        return Completion(text, tokens=len(text.split()))
