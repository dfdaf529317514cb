"""A model in this process, through transformers: Qwen2-VL, Qwen2.5-VL and Qwen3-VL classes, from a folder or a hub id.

Pixels arrive at the size the view asks for and are never resized again. torchvision is not needed. Weights are read as
safetensors only, and no remote code is run. A folder may hold `cof.json` with the `ViewSpec` that its model was trained
with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.errors import ModelError
from cof.models.base import Request
from cof.models.encoding import IMAGE_PAD, template_messages, views_in, visual_repeats
from cof.types import Completion, Sampling, ViewSpec
from cof.vision.views import PAPER

EMBEDDED = "nano"
CARD = "cof.json"
SUPPORTED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
LOAD_FAULTS = (OSError, ValueError, RuntimeError, SafetensorError)  # what transformers and peft raise on bad folders


class LocalModel:
    """Continues conversations with a transformers model, `batch` of them at a time."""

    def __init__(
        self, name: str, network: Any, tokenizer: Any, processor: Any, spec: ViewSpec, batch: int = 16
    ) -> None:
        self.name, self.network, self.tokenizer, self.processor = name, network, tokenizer, processor
        self.spec, self.batch = spec, batch
        self.image_token = int(network.config.image_token_id)
        self.ends = _ends(network, tokenizer)

    @classmethod
    def load(
        cls, name: str = EMBEDDED, device: str | None = None, adapter: str | None = None, batch: int = 16
    ) -> LocalModel:
        """The model called `name`: "nano", a folder, or a hub id; `adapter` is a LoRA folder or id.

        Runs on a GPU in bfloat16 where there is one, else on the CPU in float32. Raises ModelError where it cannot.
        """
        path = str(embedded_folder()) if name == EMBEDDED else name
        full = f"{name}+{adapter}" if adapter else name
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            config = AutoConfig.from_pretrained(path)
            if config.model_type not in SUPPORTED:
                raise ModelError(f"model {name} is of type {config.model_type}; want one of {', '.join(SUPPORTED)}")
            tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
            _check_tokenizer(tokenizer, config)
            processor = Qwen2VLImageProcessorPil.from_pretrained(path, do_resize=False)
            spec = _spec(path, int(processor.patch_size * processor.merge_size))
            dtype = torch.float32 if device == "cpu" else torch.bfloat16
            network: Any = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, use_safetensors=True)
            if adapter:
                network = _with_adapter(network, adapter)
        except LOAD_FAULTS as error:
            want = "'nano', a folder in Hugging Face layout or a hub id"
            raise ModelError(f"cannot load model {full}: {_reason(error)}; want {want}") from None
        return cls(full, network.to(device).eval(), tokenizer, processor, spec, batch)

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        done: list[Completion] = []
        for start in range(0, len(requests), self.batch):
            done += self._generate(requests[start : start + self.batch])
        return done

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request]) -> list[Completion]:
        prompts = [self._ids(request) for request in requests]
        most = max(request.sampling.tokens for request in requests)
        torch.manual_seed(requests[0].sampling.seed)
        try:
            inputs = self._inputs(requests, prompts)
            out = self.network.generate(**inputs, **self._drawn(requests[0].sampling), max_new_tokens=most)
        except (RuntimeError, IndexError, ValueError) as error:
            raise ModelError(f"{self.name} failed to generate: {_reason(error)}") from error
        width = inputs["input_ids"].shape[1]
        return [
            self._completion(row[width:].tolist()[: request.sampling.tokens], prompt)
            for row, prompt, request in zip(out, prompts, requests, strict=True)
        ]

    def _drawn(self, sampling: Sampling) -> dict[str, Any]:
        """How to choose tokens: as `sampling` says, whatever the checkpoint's own generation_config.json prefers."""
        config = self.network.config
        fixed = {
            "repetition_penalty": 1.0,
            "eos_token_id": sorted(self.ends),
            "pad_token_id": self.tokenizer.pad_token_id,
            "suppress_tokens": [config.image_token_id, config.video_token_id],  # they would stand for pictures
        }
        if sampling.temperature == 0:
            return fixed | {"do_sample": False}
        return fixed | {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}

    def _ids(self, request: Request) -> np.ndarray:
        text = self.tokenizer.apply_chat_template(
            template_messages(request.messages), tokenize=False, add_generation_prompt=True
        )
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        views = views_in(request.messages)
        if odd := [view.size for view in views if view.size[0] % self.factor or view.size[1] % self.factor]:
            want = f"sides in multiples of {self.factor} pixels: give the loop the model's `spec`"
            raise ModelError(f"{self.name} got a view of {odd[0][0]} x {odd[0][1]} pixels; want {want}")
        repeats = visual_repeats(ids, views, self.image_token, self.factor)
        return np.repeat(np.asarray(ids, np.int64), repeats)

    @property
    def factor(self) -> int:
        """Side of one visual token in pixels."""
        return int(self.processor.patch_size * self.processor.merge_size)

    def _inputs(self, requests: Sequence[Request], prompts: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        width = max(len(prompt) for prompt in prompts)
        ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = torch.from_numpy(prompt), 1
        pictures = [request.pixels[view] for request in requests for view in views_in(request.messages)]
        patches = self.processor(pictures)
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "mm_token_type_ids": (ids == self.image_token).int() * mask,
            "pixel_values": torch.from_numpy(np.asarray(patches["pixel_values"])),
            "image_grid_thw": torch.from_numpy(np.asarray(patches["image_grid_thw"])),
        }
        return {name: tensor.to(self.network.device) for name, tensor in inputs.items()}

    def _completion(self, ids: list[int], prompt: np.ndarray) -> Completion:
        stop = next((n for n, token in enumerate(ids) if token in self.ends), None)
        text = self.tokenizer.decode(ids[:stop], skip_special_tokens=False)
        produced = len(ids) if stop is None else stop + 1
        visual = int((prompt == self.image_token).sum())
        return Completion(text, produced, len(prompt), visual, "length" if stop is None else "stop")


def embedded_folder() -> Path:
    """Where cof-nano lies in the installed package."""
    return Path(str(resources.files("cof.models"))) / EMBEDDED


def _spec(path: str, factor: int) -> ViewSpec:
    """The spec on the model's card, or the paper's with sides that this model takes."""
    card = Path(path) / CARD
    if not card.is_file():
        return replace(PAPER, factor=factor)
    try:
        spec = ViewSpec(**json.loads(card.read_text())["spec"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f'{card} is damaged ({_reason(error)}); want {{"spec": {{…}}}} with fields of ViewSpec'
        ) from None
    if spec.factor != factor:
        raise ModelError(f"{card} says factor {spec.factor}, but visual tokens are {factor} pixels wide; mend the card")
    return spec


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
    if isinstance(error.__cause__, HFValidationError):
        return "there is no such folder"
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _with_adapter(network: Any, adapter: str) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(network, adapter).merge_and_unload()
