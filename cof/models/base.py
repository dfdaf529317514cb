"""What a model is to this package: something that continues conversations. One method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from cof.dialects.base import Message
from cof.types import Completion, Sampling, View


@dataclass(frozen=True)
class Request:
    """One conversation to continue. `pixels` holds an RGB picture of exactly `view.size` for every view in it."""

    messages: tuple[Message, ...]
    pixels: dict[View, Image.Image]
    sampling: Sampling


class Model(Protocol):
    """Continues conversations. `name` goes into traces and manifests."""

    @property
    def name(self) -> str: ...

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order. Raises ModelError if the batch cannot be completed."""
        ...
