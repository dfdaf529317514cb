"""What a model is to this package: something that continues conversations, turn after turn. One method.

A model is handed conversations rather than single requests, so that it may keep what it has read of each, run several
together, and take in the next as soon as one ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from cof.dialects.base import Message
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import ModelError
from cof.types import Completion, Sampling, Shown


@dataclass(frozen=True)
class Request:
    """One assistant turn that is wanted. `pixels` holds an RGB picture of exactly `view.size` for every view in it.

    The turn begins with the text `prefix`, which is given and not chosen by the model, and is part of the completion.
    `transcript` asks for the completion's tokens, which only a model in this process can give. `dialect` is how the model
    speaks.
    """

    messages: tuple[Message, ...]
    pixels: Mapping[Shown, Image.Image]
    sampling: Sampling
    prefix: str = ""
    transcript: bool = False
    dialect: Dialect = COF


class Conversation(Protocol):
    """One side of a talk with a model: says which turn is wanted, and hears it."""

    def request(self) -> Request | None:
        """The next turn that is wanted, the same until `receive` was called; None when the conversation is over."""
        ...

    def receive(self, completion: Completion | ModelError, seconds: float) -> None:
        """Take in the turn, or why there is none; `seconds` is its share of the model's time."""
        ...

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the turn any more, so that a model may drop it unheard."""
        ...


@runtime_checkable
class ConversationQueue(Protocol):
    """Conversations that come in while others run, as a server's do. Iterating waits for the next, and ends when closed."""

    def __iter__(self) -> Iterator[Conversation]: ...

    def poll(self) -> Conversation | None:
        """The next conversation, None if there is none now."""
        ...

    def wait(self) -> bool:
        """Wait until `poll` may give one; False if none will ever come."""
        ...


class Model(Protocol):
    """Continues conversations. `name` goes into traces and manifests."""

    @property
    def name(self) -> str: ...

    def converse(self, conversations: Iterable[Conversation]) -> None:
        """Continue every conversation until it is over. They are taken as there is room, so a generator may make them late,
        or a `ConversationQueue` line may be joined at any time.

        A conversation that cannot be continued hears a ModelError, which spoils no other.
        """
        ...


@dataclass
class Usage:
    """What a model did so far: prompt tokens read, tokens sampled, pictures encoded, seconds in the network.

    Of a remote model: as its server counts, pictures that were sent, seconds until it answered.
    """

    prefilled: int = 0
    decoded: int = 0
    images: int = 0
    seconds: float = 0.0

    def add(self, other: Usage) -> None:
        self.prefilled += other.prefilled
        self.decoded += other.decoded
        self.images += other.images
        self.seconds += other.seconds


def complete(model: Model, requests: Sequence[Request]) -> list[Completion]:
    """One completion a request, in order. Raises ModelError where one cannot be completed."""
    talks = [_One(request) for request in requests]
    model.converse(talks)
    return [talk.result() for talk in talks]


class _One:
    """A conversation of one turn."""

    def __init__(self, request: Request) -> None:
        self.wanted: Request | None = request
        self.heard: Completion | ModelError = ModelError("the model said nothing")

    def request(self) -> Request | None:
        return self.wanted

    def receive(self, completion: Completion | ModelError, _seconds: float) -> None:
        self.wanted, self.heard = None, completion

    @property
    def gone(self) -> bool:
        return False

    def result(self) -> Completion:
        if isinstance(self.heard, ModelError):
            raise self.heard
        return self.heard
