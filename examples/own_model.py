"""A model of your own: anything that continues conversations. This one has no weights; it zooms into the brightest part.
Its turns are texts in the words of its dialect, which is `cof` here: boxes in pixels of the overview."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import cof
from cof.models.base import Conversation, Request
from cof.types import Completion

SIDE = 64  # pixels of a part


class Brightest:
    info = cof.ModelInfo("brightest")

    def converse(self, conversations: Iterable[Conversation]) -> None:
        for conversation in conversations:
            while (request := conversation.request()) is not None:
                conversation.receive(Completion(turn(request)), 0.0)


def turn(request: Request) -> str:
    *_, newest = (np.asarray(picture, dtype=float) for picture in request.pixels.values())
    if any(message.role == "assistant" for message in request.messages):
        return f"<think>I see it.</think><answer>its mean brightness is {newest.mean():.0f} of 255</answer>"
    rows, columns = newest.shape[0] // SIDE, newest.shape[1] // SIDE
    parts = newest[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3).mean(axis=(1, 3, 4))
    y, x = (int(each) * SIDE for each in np.unravel_index(parts.argmax(), parts.shape))
    call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x, y, x + SIDE, y + SIDE], "label": "brightest"}}
    return f"<think>I look closer.</think><tool_call>{json.dumps(call)}</tool_call>"


if __name__ == "__main__":
    print(cof.ask(Path(__file__).parent / "plaza.jpg", "How bright is the brightest part?", model=Brightest()).answer)
