"""What a model is to this package: `info`, which describes it, and `converse`, which continues conversations.

A model is handed conversations rather than single requests, so that it may keep what it has read of each, run several
together, and take in the next as soon as one ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from PIL import Image

from cof.dialects.base import Message
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import ModelError
from cof.geometry import Shown, ViewSpec
from cof.types import Completion, Sampling

SERVED = "served"  # the dialect of a server of cof, which zooms by itself


class Tokenizer(Protocol):
    """Text as tokens and back, so that the tokens of an answer can be counted."""

    def encode(self, text: str) -> Sequence[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


def _unknown() -> None:
    """No dialect is found."""


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model besides its turns. A model of your own needs a `name` alone.

    `name`: goes into traces, manifests and error texts; where no dialect is given, it may name a family (`dialect_for`).
    `spec`: the view rules that the model takes; None: those of its dialect.
    `carded`: whether `spec` is on the model's card, as it was trained. Else only the factor of `spec` is the model's own.
    `dialect`: the name of the dialect that the model was trained in; None: by `find_dialect`, else by `name`, else COF.
    `find_dialect`: finds the name of the dialect where only the model's server knows it. It may send a request, so that it is
    called only where no dialect is given. None: it is not known.
    `zoom_opening`: the text with which a turn of the model begins that zooms; None: the dialect's bare call.
    `turn_tokens`: the most tokens that a turn of the model needs; None: not known.
    `world`: the name of the only world whose pictures the model knows, such as "needle"; None: it is not tied to one.
    `fingerprint`: what identifies the weights: a hash, or where they are served; "": not known.
    `wire`: the form in which pictures are sent to the model's server, such as "png"; None: they are not sent.
    `tokenizer`: counts and cuts text in the model's tokens; None: they cannot be counted here.
    """

    name: str
    spec: ViewSpec | None = None
    carded: bool = False
    dialect: str | None = None
    find_dialect: Callable[[], str | None] = field(default=_unknown, repr=False)
    zoom_opening: str | None = None
    turn_tokens: int | None = None
    world: str | None = None
    fingerprint: str = ""
    wire: str | None = None
    tokenizer: Tokenizer | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Request:
    """One assistant turn that is wanted. `pixels` gives an RGB picture of exactly `view.size` for every view in it. It may
    render the picture when it is asked for, which may take long.

    The turn begins with the text `prefix`, which is given and not chosen by the model, and is part of the completion.
    `transcript` asks for the completion's tokens, which only a model in this process can give. `dialect` is that of the
    messages and of the turn.
    """

    messages: tuple[Message, ...]
    pixels: Mapping[Shown, Image.Image]
    sampling: Sampling
    prefix: str = ""
    transcript: bool = False
    dialect: Dialect = COF


class Conversation(Protocol):
    """What a model continues: it asks for turns, and receives them."""

    def request(self) -> Request | None:
        """The next turn that is wanted, the same until `receive` was called; None where the conversation is over. Returns at
        once."""
        ...

    def receive(self, completion: Completion | ModelError, seconds: float) -> None:
        """Take in the turn, or why there is none; `seconds` is its share of the model's time."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the turn is not wanted any more, so that a model may drop it."""
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


@runtime_checkable
class Model(Protocol):
    """Continues conversations; `info` is what is known of it."""

    @property
    def info(self) -> ModelInfo: ...

    def converse(self, conversations: Iterable[Conversation]) -> None:
        """Continue every conversation until it is over. They are taken as there is room, so that a generator may make them
        late, and conversations may join a `ConversationQueue` at any time.

        A conversation that cannot be continued receives a ModelError, which affects no other.
        """
        ...


@dataclass
class Usage:
    """What a model did so far: prompt tokens read, tokens sampled, pictures encoded, seconds in the network.

    Of a remote model: as its server counts, pictures that were sent, seconds until it answered, and the parts of a request
    that were `left_out` as the server refuses them.
    """

    prefilled: int = 0
    decoded: int = 0
    images: int = 0
    seconds: float = 0.0
    left_out: frozenset[str] = frozenset()

    def add(self, other: Usage) -> None:
        """Count what `other` counts too."""
        self.prefilled += other.prefilled
        self.decoded += other.decoded
        self.images += other.images
        self.seconds += other.seconds
        self.left_out |= other.left_out


class MeteredModel(Model, Protocol):
    """A model that counts what it did."""

    @property
    def usage(self) -> Usage: ...


def complete(model: Model, requests: Sequence[Request]) -> list[Completion]:
    """One completion per request, in order. Raises ModelError where one cannot be completed."""
    conversations = [_OneTurn(request) for request in requests]
    model.converse(conversations)
    return [conversation.result() for conversation in conversations]


class _OneTurn:
    """A conversation of one turn."""

    def __init__(self, request: Request) -> None:
        self.wanted: Request | None = request
        self.received: Completion | ModelError = ModelError("the model said nothing")

    def request(self) -> Request | None:
        return self.wanted

    def receive(self, completion: Completion | ModelError, _seconds: float) -> None:
        self.wanted, self.received = None, completion

    @property
    def cancelled(self) -> bool:
        return False

    def result(self) -> Completion:
        if isinstance(self.received, ModelError):
            raise self.received
        return self.received
