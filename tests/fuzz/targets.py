"""What a fuzzer throws at: the reading of what models say, in every family, and the reading of what strangers send.

A target takes any bytes, and raises only where something is wrong: an error that is not ours, a box outside its picture, a
text that cannot be sent. Beside each stand the seeds to begin from and the words that inputs are put together from.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image
from pydantic import ValidationError

from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of, names
from cof.dialects.turns import NAMED_SHAPES, SAID, Tags
from cof.errors import InputError, InvalidImage
from cof.geometry import Box, Shown
from cof.plain import to_json
from cof.serve import request
from cof.serve.conversation import conversation_in
from cof.serve.prepare import picture_in
from cof.serve.schema import plan_of
from cof.serve.service import Refused
from cof.serve.structured import problem_of
from cof.tools.zoom import zooms
from cof.trace import Turn
from cof.types import Answer, Completion, Malformed
from cof.vision.load import pixels_of
from tests.calls import boxes_in

FAMILIES = [dialect_of(name) for name in names()]
OVERVIEW = Shown(Box(0, 0, 3840, 2160), (588, 336))
CLOSER = Shown(Box(960, 540, 1920, 1080), (252, 140))
SHOWN = Box(600, 300, 2000.5, 1200)
HEAD = "data:image/png;base64,"
WORDED = 128
ODD: tuple[Any, ...] = (
    10, 100, 200.5, 0.25, 0.75, 1, 0, -1, 588, 1000, 1e-320, 1e6, 1e308, float("nan"), float("inf"), 10**400, True, None, "",
    "a sign", "original_image", "observation_1", "observation_99", "half \ud800", "\0", "</tool_call>", "}", [], [1], {},
)  # fmt: skip
URL, BODY, FILE = 0, 1, 2  # what the first byte of a request's input says that the others are


@dataclass(frozen=True)
class Target:
    """`check` takes what the fuzzer makes of the `seeds` and the `words`."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...]


def read_turn(data: bytes) -> None:
    """What a model said, in the family that the first byte names; it has seen the overview and one closer look.

    From 128 on the first byte also says that every other byte from there on stands for a word.
    """
    first = data[0] if data else 0
    _read(FAMILIES[first % WORDED % len(FAMILIES)], _worded(data[1:]) if first >= WORDED else _plain(data[1:]))


def read_call(data: bytes) -> None:
    """A call of the family that the first byte names; the others choose what stands under each of its keys."""
    family, drawn = FAMILIES[data[0] % len(FAMILIES) if data else 0], iter(data[1:])

    def odd() -> Any:
        return ODD[next(drawn, 0) % len(ODD)]

    numbers = [odd() for _ in range(4)] if next(drawn, 0) % 8 else odd()
    arguments = {family.box: numbers, family.label: odd(), family.source: odd()}
    body: Any = {"name": family.tool, "arguments": arguments} if family.shape in NAMED_SHAPES else arguments
    body = {"list": [arguments], "numbers": numbers}.get(family.shape, body)
    _read(family, "<think>Look.</think>" + Tags.of(family.call).around(json.dumps(body)))


def _read(family: Dialect, text: str) -> None:
    action = family.parse(text, (OVERVIEW, *[CLOSER]))
    family.well_formed(text)
    match action:
        case tuple() as found:
            assert found
            assert all(0 <= one.x0 < one.x1 <= 3840 and 0 <= one.y0 < one.y1 <= 2160 for one in boxes_in(found)), found
        case Answer(said):
            assert said.strip()
        case Malformed(fault, raw):
            assert fault
            assert raw == text
    json.dumps(to_json(Turn(Completion(text), action)), ensure_ascii=False).encode()


def read_request(data: bytes) -> None:
    """A picture's address, the body of a request, or a picture's file, as the first byte says."""
    rest = data[1:]
    try:
        match data[0] % 3 if data else URL:
            case 0:
                pixels_of(picture_in(_plain(rest)))
            case 1:
                _read_body(rest)
            case _:
                file = picture_in(HEAD + base64.b64encode(rest).decode())
                assert file == rest
                pixels_of(file)
    except ValidationError as error:
        str(error.errors(include_url=False, include_input=False)[0]["msg"]).encode()
    except (InputError, InvalidImage) as error:
        str(error).encode()
    except Refused as refused:
        refused.message.encode()


def _read_body(data: bytes) -> None:
    """A request, its messages, the plan of its schema, and its picture."""
    wanted = request.ChatRequest.model_validate_json(data)
    found = conversation_in(wanted.messages, "messages")
    form = wanted.response_format
    if form and form.json_schema and not problem_of(form.json_schema.schema_):
        plan_of(form.json_schema.schema_)
    for url in found.pictures:
        pixels_of(picture_in(url))


def _plain(data: bytes) -> str:
    return data.decode(errors="replace")


def _worded(data: bytes) -> str:
    """The text that bytes stand for: each is its letter or, from 128 on, a word of the families."""
    return "".join(TAGS[(byte - WORDED) % len(TAGS)] if byte >= WORDED else chr(byte) for byte in data)


def _turns() -> Iterator[bytes]:
    """A zoom and an answer in every family's own words, and one call that names its picture."""
    for n, family in enumerate(FAMILIES):
        zoom = family.write(zooms((SHOWN, CLOSER.region), "a sign", "Too small."), (OVERVIEW,))
        for said in (zoom, family.write(Answer("B 2", "I see."), (OVERVIEW,))):
            yield bytes([n]) + said.encode()
            yield bytes([n + WORDED]) + said.encode()
        if family.source:
            yield bytes([n]) + zoom.replace('"original_image"', '"observation_1"').encode()


def _requests() -> Iterator[bytes]:
    for form in ("PNG", "JPEG", "WEBP"):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 30), "red").save(buffer, form)
        file = buffer.getvalue()
        url = f"data:image/{form.lower()};base64," + base64.b64encode(file).decode()
        parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
        extension = {"choices": ["A", "B"], "limits": {"turns": 2, "seconds": 1.5}, "policy": "direct", "letter": True}
        body = {"messages": [{"role": "user", "content": parts}], "stream": True, "seed": 1, "cof": extension}
        yield bytes([FILE]) + file
        yield bytes([URL]) + url.encode()
        yield bytes([BODY]) + json.dumps(body).encode()


def _tags() -> tuple[str, ...]:
    patterns = {one for family in FAMILIES for one in (*family.thoughts, family.call, *family.answers)}
    keys = {key for family in FAMILIES for key in (family.tool, family.box, family.label, family.source)}
    tags = {tag for pattern in patterns for tag in pattern.split(SAID)}
    values = {
        '{"name": "',
        '", "arguments": {',
        '"label": "',
        ": [1, 2, 90, 80]",
        "original_image",
        "observation_1",
        "source",
    }
    values |= {
        "NaN",
        "1e999",
        "1e-320",
        "9" * 400,
        "-1",
        "0.5",
        "\\ud800",
        "\u2028",
        "…",
        "null",
        "[[",
        "]]",
        "}}",
        "[{",
    }
    return tuple(sorted((tags | keys | values) - {""}))


TAGS = _tags()
FIELDS = (
    *request.ChatRequest.model_fields,
    *request.ChatMessage.model_fields,
    *request.ContentPart.model_fields,
    *request.Extension.model_fields,
    *request.RequestLimits.model_fields,
)
SENT = (
    *FIELDS,
    "user",
    HEAD,
    "data:image/jpeg;base64,",
    "\\ud800",
    "1e999",
    "null",
    "IHDR",
    "IDAT",
    "eXIf",
    "RIFF",
    "VP8X",
)
CALLS = tuple(
    bytes([family, 1, 0, 0, 1, 1, label, source])
    for family in range(len(FAMILIES))
    for label, source in ((19, 20), (19, 6))
)
TARGETS = {
    "calls": Target(read_call, CALLS, ()),
    "turns": Target(read_turn, tuple(_turns()), TAGS),
    "requests": Target(read_request, tuple(_requests()), SENT),
}
