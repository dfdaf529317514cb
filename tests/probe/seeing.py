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
from tests.models.remote.endpoints import Reply

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
    alone: bool = True  # whether a request without a picture is answered
    looks: str = "Look closer"  # words of a question that make it zoom
    key: str = "bbox_2d"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        messages = body["messages"]
        pictures = [picture for message in messages for picture in pictures_of(message)]
        if not self.system and messages[0]["role"] == "system":
            return _refused("System role not supported")
        if not self.several and len(pictures) > 1:
            return _refused("At most 1 image may be provided in one request")
        if not (self.alone or pictures):
            return _refused("want a picture")
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


def pictures_of(message: dict[str, Any]) -> list[Image.Image]:
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


def _colour(picture: Image.Image) -> str:
    """The colour that most of a picture has, of those that are looked for, by every eighth pixel across and down."""
    return max(
        COLOURS, key=lambda name: int(_mask(picture.resize(_rough(picture), Image.Resampling.NEAREST), name).sum())
    )


def _corners(picture: Image.Image) -> list[float]:
    """Those of the rectangle: roughly by every eighth pixel, then exactly about there."""
    name = _colour(picture)
    small = picture.resize(_rough(picture), Image.Resampling.NEAREST)
    x0, y0, x1, y1 = _extent(_mask(small, name))
    across, down = picture.width / small.width, picture.height / small.height
    left, top = max(0, int((x0 - 1) * across)), max(0, int((y0 - 1) * down))
    part = picture.crop(
        (left, top, min(picture.width, int((x1 + 1) * across)), min(picture.height, int((y1 + 1) * down)))
    )
    x0, y0, x1, y1 = _extent(_mask(part, name))
    return [float(left + x0), float(top + y0), float(left + x1), float(top + y1)]


def _rough(picture: Image.Image) -> tuple[int, int]:
    return max(1, picture.width // 8), max(1, picture.height // 8)


def _mask(picture: Image.Image, name: str) -> np.ndarray:
    return np.all(abs(np.asarray(picture, np.int16) - np.array(COLOURS[name], np.int16)) < NEAR, axis=-1)


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    xs, ys = np.nonzero(mask.any(0))[0], np.nonzero(mask.any(1))[0]
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _refused(words: str) -> Reply:
    return Reply(json.dumps({"error": {"message": words}}).encode(), 400)
