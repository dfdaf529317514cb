"""Pictures as visual tokens: each picture is encoded once, for all conversations, as long as any of them holds it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image

from cof.models.encoding import Codec
from cof.models.local.microbatches import microbatches


@dataclass(frozen=True)
class _Features:
    """A picture's visual tokens, (tokens, width), and those that deeper layers take, where the network has such."""

    tokens: torch.Tensor
    deeper: tuple[torch.Tensor, ...]


class VisionCache:
    """The vision tower of `network`, for several threads. `encoded` counts pictures.

    The same picture is the same object, not the same pixels.
    """

    def __init__(self, network: Any, codec: Codec) -> None:
        self.network, self.codec, self.encoded = network, codec, 0
        self._known: dict[int, Future[_Features]] = {}
        self._lock = Lock()

    def features(self, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        """What the network's forward pass takes for `pictures`, in order of their placeholders."""
        if not pictures:
            return {}
        with self._lock:  # what another thread encodes already is waited for
            new = {id(picture): picture for picture in pictures if id(picture) not in self._known}
            self._known |= {key: Future() for key in new}
            awaited = [self._known[id(picture)] for picture in pictures]
        for group in microbatches(new.values(), self._tokens, self.network.device.type):
            self._encode(group)
        found = [self._result(picture, future) for picture, future in zip(pictures, awaited, strict=True)]
        deeper = list(zip(*(each.deeper for each in found), strict=True))
        outputs = SimpleNamespace(pooler_output=tuple(each.tokens for each in found), deepstack_features=deeper)
        return {"mm_encoder_outputs": {"image": outputs}}

    def _result(self, picture: Image.Image, future: Future[_Features]) -> _Features:
        """A picture's features; where encoding failed, perhaps by another picture beside it, it is encoded once more, alone."""
        try:
            return future.result()
        except Exception:
            again: Future[_Features] = Future()
            with self._lock:
                known = self._known.setdefault(id(picture), again)
            if known is again:
                self._encode([picture])
            return known.result()

    def _tokens(self, picture: Image.Image) -> int:
        return picture.width * picture.height // self.codec.factor**2

    def _encode(self, pictures: Sequence[Image.Image]) -> None:
        """Fulfil the promises for `pictures`; where that fails, callers who wait get the error, and the next tries again."""
        try:
            encoded = self._encoded(pictures)
        except BaseException as error:
            for picture in pictures:
                self._known.pop(id(picture)).set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for picture, each in zip(pictures, encoded, strict=True):
            self._known[id(picture)].set_result(each)
            weakref.finalize(picture, self._known.pop, id(picture), None).atexit = False
        with self._lock:
            self.encoded += len(pictures)

    def _encoded(self, pictures: Sequence[Image.Image]) -> list[_Features]:
        patches = {
            name: torch.tensor(a, device=self.network.device) for name, a in self.codec.patches(pictures).items()
        }
        found = self.network.get_image_features(**patches)
        layers = getattr(found, "deepstack_features", None) or []
        return [_Features(found.pooler_output[n], tuple(layer[n] for layer in layers)) for n in range(len(pictures))]
