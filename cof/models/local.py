"""A model in this process, through transformers: Qwen2-VL, Qwen2.5-VL and Qwen3-VL classes, from a folder or a hub id.

Pixels arrive at the size the view asks for and are never resized again. torchvision is not needed. Weights are read as
safetensors only, and no remote code is run. A folder may hold `cof.json` with the `ViewSpec` its model was trained with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.errors import ModelError
from cof.models.base import Request
from cof.models.encoding import IMAGE_PAD, template_messages, views_in, visual_repeats
from cof.types import Completion, ViewSpec
from cof.vision.views import PAPER

EMBEDDED = "nano"
CARD = "cof.json"
SUPPORTED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


class LocalModel:
    """Continues conversations with a transformers model, `batch` of them at a time."""

    def __init__(self, name: str, network: Any, tokenizer: Any, processor: Any, spec: ViewSpec, batch: int = 16) -> None:
        self.name, self.network, self.tokenizer, self.processor = name, network, tokenizer, processor
        self.spec, self.batch = spec, batch
        self.image_token = int(tokenizer.convert_tokens_to_ids(IMAGE_PAD))

    @classmethod
    def load(cls, name: str = EMBEDDED, device: str | None = None, adapter: str | None = None, batch: int = 16) -> LocalModel:
        """The model called `name`: "nano", a folder, or a hub id; `adapter` is a LoRA folder or id.

        Runs on a GPU in bfloat16 where there is one, else on the CPU in float32. Raises ModelError if it cannot be read.
        """
        path = str(embedded_folder()) if name == EMBEDDED else name
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            config = AutoConfig.from_pretrained(path)
            if config.model_type not in SUPPORTED:
                raise ModelError(f"model {name} is of type {config.model_type}; want one of {', '.join(SUPPORTED)}")
            dtype = torch.float32 if device == "cpu" else torch.bfloat16
            network = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
            processor = Qwen2VLImageProcessorPil.from_pretrained(path, do_resize=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"cannot load model {name}: {reason}; want 'nano', a folder in Hugging Face layout or a hub id") from None
        if adapter:
            network = _with_adapter(network, adapter)
        return cls(name, network.to(device).eval(), tokenizer, processor, _spec(path), batch)

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        done: list[Completion] = []
        for start in range(0, len(requests), self.batch):
            done += self._generate(requests[start : start + self.batch])
        return done

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request]) -> list[Completion]:
        prompts = [self._ids(request) for request in requests]
        inputs = self._inputs(requests, prompts)
        sampling = requests[0].sampling
        torch.manual_seed(sampling.seed)
        drawn = {"do_sample": False} if sampling.temperature == 0 else {
            "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p,
        }
        most = max(request.sampling.tokens for request in requests)
        try:
            out = self.network.generate(**inputs, **drawn, max_new_tokens=most, pad_token_id=self.tokenizer.pad_token_id)
        except (RuntimeError, IndexError) as error:
            raise ModelError(f"{self.name} failed to generate: {str(error).splitlines()[0]}") from error
        width = inputs["input_ids"].shape[1]
        return [
            self._completion(row[width:].tolist()[: request.sampling.tokens], len(prompt), int((prompt == self.image_token).sum()))
            for row, prompt, request in zip(out, prompts, requests, strict=True)
        ]

    def _ids(self, request: Request) -> np.ndarray:
        text = self.tokenizer.apply_chat_template(
            template_messages(request.messages), tokenize=False, add_generation_prompt=True
        )
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        repeats = visual_repeats(ids, views_in(request.messages), self.image_token, self.factor)
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

    def _completion(self, ids: list[int], prompt_tokens: int, visual_tokens: int) -> Completion:
        ends = {self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        stop = next((n for n, token in enumerate(ids) if token in ends), None)
        text = self.tokenizer.decode(ids[:stop], skip_special_tokens=False)
        produced = len(ids) if stop is None else stop + 1
        return Completion(text, produced, prompt_tokens, visual_tokens, "length" if stop is None else "stop")


def embedded_folder() -> Path:
    """Where cof-nano lies in the installed package."""
    return Path(str(resources.files("cof.models"))) / EMBEDDED


def _spec(path: str) -> ViewSpec:
    card = Path(path) / CARD
    return ViewSpec(**json.loads(card.read_text())["spec"]) if card.is_file() else PAPER


def _with_adapter(network: Any, adapter: str) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(network, adapter).merge_and_unload()
