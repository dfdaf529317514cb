"""An endpoint that finds a filled rectangle in the pictures that it is sent, and names its box in a frame of its own."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from cof.probe.pictures import COLOURS
from tests.models.endpoints import Reply

NEAR = 40  # levels of a colour channel that count as the same, after JPEG


@dataclass
class Seeing:
    """Names boxes as `numbers` does of corners in pixels of what it sees: pictures shrunk to `side` pixels, where given.

    Without system role, `several` pictures or `thinks` it behaves as such servers do. `zooms`: whether it ever calls.
    """

    numbers: Callable[[list[float], tuple[int, int]], list[float]]
    side: int | None = None
    several: bool = True
    system: bool = True
    thinks: bool = False
    zooms: bool = True
    looks: str = "Look closer"  # words of a question that make it zoom
    key: str = "bbox_2d"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        messages = body["messages"]
        pictures = [picture for message in messages for picture in _pictures(message)]
        if not self.system and messages[0]["role"] == "system":
            return _refused("System role not supported")
        if not self.several and len(pictures) > 1:
            return _refused("At most 1 image may be provided in one request")
        words = " ".join(text for message in messages for text in _texts(message))
        return Reply(("<think>Well.</think>" if self.thinks else "") + self._say(words, pictures))

    def _say(self, words: str, pictures: list[Image.Image]) -> str:
        if not pictures:
            return "ready"
        if "bounding box alone" in words:
            return json.dumps({self.key: self._box(pictures[0])})
        if "of each picture" in words:
            return ", ".join(_colour(picture) for picture in pictures)
        if self.zooms and len(pictures) == 1 and self.looks in words:
            arguments = {self.key: self._box(pictures[0]), "label": "rectangle"}
            call = json.dumps({"name": "image_zoom_in_tool", "arguments": arguments})
            return (
                f"<tool_call>{call}</tool_call>"
                if self.thinks
                else f"<think>Closer.</think><tool_call>{call}</tool_call>"
            )
        return f"<answer>{_colour(pictures[-1])}</answer>"

    def _box(self, picture: Image.Image) -> list[float]:
        seen = picture.copy()
        if self.side is not None:
            seen.thumbnail((self.side, self.side))
        return [round(number, 4) for number in self.numbers(_corners(seen), seen.size)]


def pixels(box: list[float], _: tuple[int, int]) -> list[float]:
    return [float(round(number)) for number in box]


def parts(box: list[float], size: tuple[int, int]) -> list[float]:
    return [box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]]


def thousandths(box: list[float], size: tuple[int, int]) -> list[float]:
    return [float(round(1000 * part)) for part in parts(box, size)]


def y_first(box: list[float], size: tuple[int, int]) -> list[float]:
    x0, y0, x1, y1 = thousandths(box, size)
    return [y0, x0, y1, x1]


def _pictures(message: dict[str, Any]) -> list[Image.Image]:
    content = message["content"]
    urls = (
        [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        if isinstance(content, list)
        else []
    )
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB") for url in urls]


def _texts(message: dict[str, Any]) -> list[str]:
    content = message["content"]
    return [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]


def _found(picture: Image.Image) -> tuple[str, np.ndarray]:
    """The colour that most of a picture has, of those that are looked for, and where it is."""
    pixels = np.asarray(picture, np.int16)
    masks = {name: (abs(pixels - np.array(colour, np.int16)) < NEAR).all(-1) for name, colour in COLOURS.items()}
    name = max(masks, key=lambda each: int(masks[each].sum()))
    return name, masks[name]


def _colour(picture: Image.Image) -> str:
    return _found(picture)[0]


def _corners(picture: Image.Image) -> list[float]:
    _, mask = _found(picture)
    ys, xs = np.nonzero(mask)
    return [float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)]


def _refused(words: str) -> Reply:
    return Reply(json.dumps({"error": {"message": words}}).encode(), 400)
