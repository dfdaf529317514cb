"""What the messages of a request come to: the question, its picture, the exchanges before it, and the system prompt.

Every text in the messages is part of one of them. Refuses what would have to be dropped: users who differ only in their names,
and a picture outside the user's messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cof.dialects.control import control_token
from cof.serve.request import ChatMessage, ContentPart, ImageUrl
from cof.serve.service import bad
from cof.types import Exchange

WANTED = 'want {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,…"}}'
SYSTEM = ("system", "developer")


@dataclass(frozen=True)
class RequestContent:
    """The content of the messages, sorted by its use.

    `text` is the question, and `earlier` are the exchanges before it. `pictures` are the different addresses of pictures, in
    the order of the messages. `low` is true where all of them are wanted at low resolution.
    """

    system: str
    earlier: tuple[Exchange, ...]
    text: str
    pictures: tuple[str, ...]
    low: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text, in any order."""
        return (self.system, self.text, *(text for each in self.earlier for text in (each.question, each.answer)))


def conversation_in(messages: Sequence[ChatMessage], field: str) -> RequestContent:
    """The content of a request whose messages are in `field`. Messages of one role in a row are one turn.

    Raises Refused.
    """
    exchanged = [message for message in messages if message.role not in SYSTEM]
    _check(messages, exchanged, field)
    system = "\n\n".join(filter(None, (_text(each) for each in messages if each.role in SYSTEM)))
    turns = [
        (role, "\n".join(filter(None, map(_text, each)))) for role, each in groupby(exchanged, lambda one: one.role)
    ]
    if turns[0][0] == "assistant":
        turns.insert(0, ("user", ""))
    texts = [text for _, text in turns]
    earlier = tuple(Exchange(*pair) for pair in zip(texts[:-1:2], texts[1::2], strict=True))
    if not texts[-1]:
        raise bad("the last user message asks nothing; want a text in it", field)
    images = [image for message in exchanged for image in _images(message)]
    found = RequestContent(
        system,
        earlier,
        texts[-1],
        tuple(dict.fromkeys(image.url for image in images)),
        bool(images) and all(image.detail == "low" for image in images),
    )
    for text in found.texts:
        if token := control_token(text):
            raise bad(f"a text holds {token}, which models read as a control token; leave it out", field)
    return found


def _check(messages: Sequence[ChatMessage], exchanged: Sequence[ChatMessage], field: str) -> None:
    """Raises Refused on what has no meaning here; `exchanged` are the messages of the user and the assistant."""
    if not exchanged or exchanged[-1].role != "user":
        raise bad("the last message is not the user's; want a user message with a question and its picture", field)
    for place, message in enumerate(messages):
        if message.role != "user" and any(_images(message)):
            raise bad(f"there is a picture in a message of the role {message.role}; want it in a user message", field)
        if message.refusal and message.role != "assistant":
            raise bad("only the assistant refuses; leave refusal out", f"{field}[{place}].refusal")
    names = {message.name for message in exchanged if message.role == "user" and message.name}
    if len(names) > 1:
        raise bad("users with different names are not distinguished here; want one name, or none", f"{field}.name")


def _text(message: ChatMessage) -> str:
    parts = [part.text for part in _parts(message) if part.type == "text"]
    return "\n".join(filter(None, (*parts, message.refusal))).strip()


def _images(message: ChatMessage) -> Iterator[ImageUrl]:
    for part in _parts(message):
        if part.image_url is not None:
            given = ImageUrl(url=part.image_url) if isinstance(part.image_url, str) else part.image_url
            yield ImageUrl(url=given.url.strip(), detail=given.detail)


def _parts(message: ChatMessage) -> Iterator[ContentPart]:
    if isinstance(message.content, str):
        yield ContentPart(type="text", text=message.content)
    else:
        yield from message.content or ()
