"""From messages to token ids, for models and for training alike: chat templates and image placeholders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cof.dialects.base import Message
from cof.errors import ModelError
from cof.types import View

IMAGE_PAD = "<|image_pad|>"


def template_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages in the form that Hugging Face chat templates take; a view becomes an image placeholder."""
    return [
        {
            "role": m.role,
            "content": [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in m.parts],
        }
        for m in messages
    ]


def views_in(messages: Sequence[Message]) -> tuple[View, ...]:
    """Every view of a conversation, in order of appearance."""
    return tuple(part for message in messages for part in message.parts if isinstance(part, View))


def visual_repeats(ids: Sequence[int], views: Sequence[View], image_token: int, factor: int) -> list[int]:
    """How often each id stands in the model's input: a placeholder once a visual token of its view, others once.

    Raises ModelError where the placeholders are not one a view: some text spells one, and would be taken for a picture.
    """
    places = sum(i == image_token for i in ids)
    if places != len(views):
        raise ModelError(
            f"{places} image placeholders for {len(views)} pictures; want as many, and no {IMAGE_PAD} in any text"
        )
    sizes = iter(view.pixels // factor**2 for view in views)
    return [next(sizes) if i == image_token else 1 for i in ids]
