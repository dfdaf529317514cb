"""A model in this process, through transformers: Qwen2-VL, Qwen2.5-VL and Qwen3-VL classes, from a folder or a hub id.

Pixels arrive at the size the view asks for and are never resized again. torchvision is not needed. Weights are read as
safetensors only, and no remote code is run. A folder may hold a card, `cof.json`: the `ViewSpec` that its model was
trained with, the words with which its zooming turns begin, and the world that it knows where it knows no other.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.dialects.cof import COF
from cof.errors import ModelError
from cof.geometry import ViewSpec
from cof.models.base import Conversation, ModelInfo, Usage
from cof.models.encoding import IMAGE_PAD, Codec
from cof.models.local.engine import Engine
from cof.models.named import WANT, place_of, source_of
from cof.vision.views import PAPER

CARD = "cof.json"
FIRST_VALUES = 64  # of a tensor that are hashed
SUPPORTED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
LOAD_FAULTS = (OSError, ValueError, RuntimeError, SafetensorError)  # what transformers and peft raise on bad folders


@dataclass(frozen=True)
class Card:
    """A model's own card, `cof.json`.

    `spec`: the view rules that it was trained with.
    `zoom_opening`: how its zooming turns begin; None where the card has none.
    `world`: the name of the only kind of pictures that it knows, "needle" for cof-nano; None where it is not tied to one.
    `turn_tokens`: the most tokens that a turn of it needs; None where the card has none.
    """

    spec: ViewSpec
    zoom_opening: str | None = None
    world: str | None = None
    turn_tokens: int | None = None


class LocalModel:
    """Continues conversations with a transformers model, `batch` of them at a time. `usage` counts what that took.

    `carded`: whether `card` is the model's own. Without one, `card` has the paper's view rules with the model's factor.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        tokenizer: Any,
        processor: Any,
        card: Card,
        batch: int = 16,
        carded: bool = True,
    ) -> None:
        self.name, self.card, self.carded = name, card, carded
        self.network, self.codec = network, Codec(tokenizer, processor)
        never = (network.config.image_token_id, network.config.video_token_id)  # they would stand for pictures
        self.engine = Engine(network, self.codec, _ends(network, tokenizer), never, batch)

    @property
    def usage(self) -> Usage:
        return self.engine.usage

    @functools.cached_property
    def info(self) -> ModelInfo:
        """What is known of the model; its fingerprint is that of the weights when this was first asked for."""
        return ModelInfo(
            self.name,
            self.card.spec,
            self.carded,
            dialect=COF.name if self.carded else None,
            zoom_opening=self.card.zoom_opening,
            turn_tokens=self.card.turn_tokens,
            world=self.card.world,
            fingerprint=_fingerprint(self.network),
            tokenizer=self.codec,
        )

    def converse(self, conversations: Iterable[Conversation]) -> None:
        self.engine.run(conversations)

    @classmethod
    def load(
        cls, name: str = "nano", device: str | None = None, adapter: str | None = None, batch: int = 16
    ) -> LocalModel:
        """The model called `name`: "nano", "nano-sft", a folder, or a hub id; `adapter` is a LoRA folder or id.

        Runs on a GPU in bfloat16 where there is one, else on the CPU in float32. Raises ModelError where it cannot.
        """
        path = source_of(name)
        full = f"{name}+{adapter}" if adapter else name
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            lora = place_of(adapter) if adapter else None
            config = AutoConfig.from_pretrained(path)
            if config.model_type not in SUPPORTED:
                raise ModelError(f"model {name} is of type {config.model_type}; want one of {', '.join(SUPPORTED)}")
            tokenizer = AutoTokenizer.from_pretrained(path)
            _check_tokenizer(tokenizer, config)
            processor = Qwen2VLImageProcessorPil.from_pretrained(path, do_resize=False)
            card = _card(path, int(processor.patch_size * processor.merge_size))
            dtype = torch.float32 if device == "cpu" else torch.bfloat16
            network: Any = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, use_safetensors=True)
            if lora:
                network = _with_adapter(network, lora)
        except LOAD_FAULTS as error:
            raise ModelError(f"cannot load model {full}: {_reason(error)}; {WANT}") from None
        carded = (Path(path) / CARD).is_file()
        network = network.to(device).eval()
        return cls(full, network, tokenizer, processor, card, batch, carded)


def _fingerprint(network: Any) -> str:
    """A hash of the weights: of every tensor's name, shape and first values, so that a large model takes no time."""
    digest = hashlib.sha256()
    for name, tensor in network.named_parameters():
        first = tensor.detach().flatten()[:FIRST_VALUES].float().cpu().numpy()
        digest.update(f"{name} {tuple(tensor.shape)}".encode() + first.tobytes())
    return digest.hexdigest()[:16]


def _card(path: str, factor: int) -> Card:
    """The model's card; without one the paper's view rules with sides that this model takes."""
    card = Path(path) / CARD
    if not card.is_file():
        return Card(replace(PAPER, factor=factor))
    try:
        fields = json.loads(card.read_text())
        spec, (opening, world) = ViewSpec(**fields["spec"]), (fields.get(name) for name in ("zoom_opening", "world"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f'{card} is damaged ({_reason(error)}); want {{"spec": {{…}}}} with fields of ViewSpec'
        ) from None
    if spec.factor != factor:
        raise ModelError(f"{card} says factor {spec.factor}, but visual tokens are {factor} pixels wide; mend the card")
    tokens = fields.get("turn_tokens")
    opening, world = (text if isinstance(text, str) else None for text in (opening, world))
    return Card(spec, opening, world, tokens if type(tokens) is int and tokens > 0 else None)


def _check_tokenizer(tokenizer: Any, config: Any) -> None:
    """transformers makes up an empty tokenizer where a folder has none."""
    if tokenizer.convert_tokens_to_ids(IMAGE_PAD) != config.image_token_id:
        raise ValueError(
            f"its tokenizer is missing, or {IMAGE_PAD} is not token {config.image_token_id} as its config says"
        )
    if tokenizer.pad_token_id is None or not tokenizer.chat_template:
        raise ValueError("its tokenizer has no padding token or no chat template")


def _ends(network: Any, tokenizer: Any) -> set[int]:
    """Every token that ends a turn."""
    own = network.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    return {int(i) for i in (*listed, tokenizer.eos_token_id, tokenizer.pad_token_id) if i is not None}


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _with_adapter(network: Any, adapter: str) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(network, adapter).merge_and_unload()
