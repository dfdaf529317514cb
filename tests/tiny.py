"""Tiny random checkpoints in Hugging Face layout, one of each family that the package runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.nano.architecture import make_tokenizer

FAMILIES = {"qwen2_vl": 28, "qwen2_5_vl": 28, "qwen3_vl": 32}  # name: side of a visual token in pixels
HALF = (0.5, 0.5, 0.5)  # mean and deviation in the preprocessor_config.json of Qwen3-VL


def write_checkpoint(family: str, folder: Path) -> Path:
    """A random model of `family` with tokenizer and processor; returns the folder."""
    tokenizer, factor = make_tokenizer(), FAMILIES[family]
    network_of(family, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    own = {"image_mean": HALF, "image_std": HALF} if family == "qwen3_vl" else {}
    Qwen2VLImageProcessorPil(patch_size=factor // 2, **own).save_pretrained(folder)
    return folder


def network_of(family: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A random network, far from uniform so that different inputs give different texts."""
    ids = {name: int(tokenizer.convert_tokens_to_ids(f"<|{name}|>")) for name in ("im_end", "endoftext", "image_pad")}
    ids |= {name: int(tokenizer.convert_tokens_to_ids(f"<|{name}|>")) for name in ("video_pad", "vision_start")}
    text: dict[str, Any] = {
        "vocab_size": math.ceil(len(tokenizer) / 64) * 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [2, 3, 3]},
        "bos_token_id": None,
        "eos_token_id": ids["im_end"],
        "pad_token_id": ids["endoftext"],
        "initializer_range": 0.2,
    }
    vision: dict[str, Any] = {"depth": 2, "hidden_size": 32, "num_heads": 2, "initializer_range": 0.2}
    wide = vision | {"intermediate_size": 64, "out_hidden_size": 32}
    common: dict[str, Any] = {
        "image_token_id": ids["image_pad"],
        "video_token_id": ids["video_pad"],
        "vision_start_token_id": ids["vision_start"],
        "dtype": "float32",
    }
    torch.manual_seed(0)
    if family == "qwen2_vl":
        eyes = vision | {"embed_dim": 32, "mlp_ratio": 2}
        return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=eyes, **common))
    if family == "qwen2_5_vl":
        eyes = wide | {"fullatt_block_indexes": [1]}
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=eyes, **common))
    eyes = wide | {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 256}
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(text_config=text | {"head_dim": 16}, vision_config=eyes, **common)
    )
