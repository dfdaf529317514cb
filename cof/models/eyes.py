"""Pictures as visual tokens: each picture is encoded once, as long as a conversation holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image

from cof.models.encoding import Codec


@dataclass(frozen=True)
class _Seen:
    """A picture's visual tokens, (tokens, width), and those that deeper layers take, where the network has such."""

    picture: Image.Image
    tokens: torch.Tensor
    deeper: tuple[torch.Tensor, ...]


class Eyes:
    """The vision tower of `network`. `encoded` counts pictures. The same picture is the same object, not the same pixels."""

    def __init__(self, network: Any, codec: Codec) -> None:
        self.network, self.codec, self.encoded = network, codec, 0
        self._known: dict[int, _Seen] = {}

    def see(self, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        """What the network's forward pass takes for `pictures`, in order of their placeholders."""
        if not pictures:
            return {}
        self._encode(list({id(picture): picture for picture in pictures if id(picture) not in self._known}.values()))
        seen = [self._known[id(picture)] for picture in pictures]
        deeper = list(zip(*(each.deeper for each in seen), strict=True))
        found = SimpleNamespace(pooler_output=tuple(each.tokens for each in seen), deepstack_features=deeper)
        return {"mm_encoder_outputs": {"image": found}}

    def keep(self, pictures: Iterable[Image.Image]) -> None:
        """Forget all pictures but these."""
        held = {id(picture) for picture in pictures}
        self._known = {key: seen for key, seen in self._known.items() if key in held}

    def _encode(self, pictures: Sequence[Image.Image]) -> None:
        if not pictures:
            return
        patches = {
            name: torch.tensor(a, device=self.network.device) for name, a in self.codec.patches(pictures).items()
        }
        found = self.network.get_image_features(**patches)
        layers = getattr(found, "deepstack_features", None) or []
        for n, picture in enumerate(pictures):
            self._known[id(picture)] = _Seen(picture, found.pooler_output[n], tuple(layer[n] for layer in layers))
        self.encoded += len(pictures)
