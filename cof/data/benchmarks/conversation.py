"""The messages of a row, in the forms that training sets have: roles and contents under several names, texts or lists of parts.

Owns those names, and where pictures are shown: in a text by the placeholder `<image>`, which takes the next of the row's
pictures, or by a part that names its own. Knows no dialect.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cof.data.benchmarks.rows import Row
from cof.data.benchmarks.wording import PLACEHOLDER
from cof.errors import InputError

Role = Literal["system", "user", "assistant"]
PICTURE = "<image>"
LISTS = ("messages", "conversations", "message_list", "prompt")  # LLaMA-Factory and TRL, LLaVA, Pixel-Reasoner, verl
ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "tool": "user",  # what a tool gave, as the model was shown it
    "function_response": "user",
    "observation": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "function_call": "assistant",
}


@dataclass(frozen=True)
class Said:
    """One message: its `text`, with `<image>` where a picture is shown, and how those `pictures` are given, in that order."""

    role: Role
    text: str
    pictures: tuple[Any, ...] = ()


def conversation(row: Row) -> tuple[Said, ...]:
    """The messages of a row, each with its pictures; empty where the row has none. Raises InputError."""
    found = messages(row)
    if not found:
        return ()
    listed, said = _pictures(row), []
    rest = iter(listed)
    for each in found:
        given = [next(rest, None) if picture is None else picture for picture in each.pictures]
        if any(picture is None for picture in given):
            raise InputError(f"{row.place} shows more pictures than the {len(listed)} that it has; want one each")
        said.append(Said(each.role, each.text, tuple(given)))
    if left := list(rest):
        if len(left) > 1 or any(message.pictures for message in said):
            raise InputError(f"{row.place} has {len(listed)} pictures, and {PICTURE} {len(listed) - len(left)} times")
        said = _with_first(said, left[0])
    return tuple(said)


def messages(row: Row) -> tuple[Said, ...]:
    """The messages of a row, whose pictures are None where they are the row's next; of its fields only LISTS are read.

    Raises InputError.
    """
    name = next((name for name in LISTS if isinstance(row.fields.get(name), list)), None)
    read = (_message(row, number, each) for number, each in enumerate(row.fields[name] if name else (), 1))
    return tuple(Said(role, text, tuple(own) if role == "user" else ()) for role, text, own in read)


def _with_first(said: list[Said], picture: Any) -> list[Said]:
    """The one picture of a conversation that has no placeholder is shown in its first user message."""
    first = next((n for n, message in enumerate(said) if message.role == "user"), None)
    if first is None:
        return said
    shown = Said("user", f"{PICTURE}\n{said[first].text}", (picture,))
    return [*said[:first], shown, *said[first + 1 :]]


def _pictures(row: Row) -> list[Any]:
    """The pictures of the whole row; one that is no list is one picture."""
    value: Any = next((row.fields[name] for name in ("images", "image") if row.fields.get(name)), [])
    return list(value) if isinstance(value, list | tuple) else [value]


def _message(row: Row, number: int, message: Any) -> tuple[Role, str, list[Any]]:
    """The role, the text, and for every placeholder in it a picture of its own, or None for the row's next."""
    if not isinstance(message, Mapping):
        raise InputError(f"{row.place}, message {number} is {reprlib.repr(message)}; want role and content")
    named = next((message[name] for name in ("role", "from") if name in message), None)
    role = ROLES.get(str(named).lower())
    if role is None:
        raise InputError(f"{row.place}, message {number} has the role {named!r}; want one of {', '.join(ROLES)}")
    content = next((message[name] for name in ("content", "value") if message.get(name) is not None), None)
    if isinstance(content, str):
        return role, content, [None] * len(PLACEHOLDER.findall(content))
    if not isinstance(content, list):
        raise InputError(f"{row.place}, message {number} has the content {reprlib.repr(content)}; want text, or parts")
    texts, pictures = list[str](), list[Any]()
    for part in content:
        text, shown = _part(row, number, part)
        texts.append(text)
        pictures += shown
    return role, "".join(texts), pictures


def _part(row: Row, number: int, part: Any) -> tuple[str, list[Any]]:
    """A part as text, a picture being its placeholder; a part may hold both, as Pixel-Reasoner's do."""
    match part:
        case str():
            return part, [None] * len(PLACEHOLDER.findall(part))
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return PICTURE, [url]
        case {"video": value} if value:
            raise InputError(f"{row.place}, message {number} shows a video; want one picture")
        case {"image": image} if image:
            return PICTURE + (part.get("text") or ""), [image]
        case {"type": "image"}:
            return PICTURE, [None]
        case {"text": str(text)}:
            return text, [None] * len(PLACEHOLDER.findall(text))
    raise InputError(f"{row.place}, message {number} has the part {reprlib.repr(part)}; want a text or an image")
