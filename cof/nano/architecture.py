"""A fresh cof-nano: the Qwen2.5-VL architecture at a few million parameters, with a tokenizer of its own. Untrained.

The tokenizer spells any text in bytes, and has one token for each word of the needle world, each fixed sentence of the
dialect and each multiple of four (places in a picture), so that a zoom costs some twenty tokens. Number embeddings start
as Fourier features of their value, so that near numbers start near.
"""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.dialects.cof import COF
from cof.dialects.dialect import CHOICES
from cof.errors import InvalidRun
from cof.geometry import Box, Shown
from cof.needle.phrases import GRID, PHRASES
from cof.needle.scenes import BOARD, COLOURS, KINDS, PATTERNS
from cof.tools.zoom import zooms

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
LARGEST_NUMBER = 1276  # pixels: the longer side of an overview of 256 tokens at an aspect of 8 : 1
QUESTION_PHRASES = (
    "What letter is on the",
    "What pattern does the",
    "What color is the",
    " left or right of the",
    " above or below the",
    "Is the",
    "On the",
    " is at ",
)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% for p in m['content'] %}{% if p['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ p['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_nano(folder: Path, seed: int, text: dict[str, Any], vision: dict[str, Any]) -> None:
    """Write an untrained nano to `folder` in Hugging Face layout; `text` and `vision` are fields of its two configs."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(_config(tokenizer, text, vision))
    _number_embeddings(model, tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil().save_pretrained(folder)


def pack(model: Path, out: Path) -> None:
    """Copy a trained model in Hugging Face layout to `out` with its weights in bfloat16, as the package carries it.

    Raises InvalidRun if `model` is no such folder.
    """
    if not (model / "model.safetensors").is_file():
        raise InvalidRun(f"{model} holds no model.safetensors; want the folder `model` of a finished training run")
    shutil.copytree(
        model, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "README.md")
    )
    weights = {name: tensor.bfloat16() for name, tensor in load_file(model / "model.safetensors").items()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, the special tokens, and one token for each word, sentence and number of the needle world."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    core.add_tokens([AddedToken(w, normalized=False) for w in dict.fromkeys(_words())])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def number_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[int, int]:
    """Token id of every number that has one."""
    return {n: int(tokenizer.convert_tokens_to_ids(str(n))) for n in range(0, LARGEST_NUMBER + 1, GRID)}


def _words() -> list[str]:
    frame_of_one = Shown(Box(0, 0, 1, 1), (1, 1))
    call = COF.write(zooms([frame_of_one.region], "x"), (frame_of_one,))
    opening, middle, closing = re.split(r"0, 0, 1, 1|(?<=\")x(?=\")", call.removeprefix("<think></think>"))
    fixed = [COF.system, COF.closer, COF.answer_now, COF.choose.partition(CHOICES)[0], opening, middle, closing]
    tags = [COF.think.open, COF.think.close, COF.answer.open, COF.answer.close]
    frame = [", ", ". ", ".\n", "?\n"]
    names = [*COLOURS, *KINDS, *PATTERNS, BOARD, "left", "right", "above", "below"]
    spaced = [" " + word for word in (*names, "the", "on", "have", "of", "or", "is", "at", "The", "On", "Is")]
    numbers = [str(n) for n in range(0, LARGEST_NUMBER + 1, GRID)]
    roles = ["system\n", "user\n", "assistant\n"]
    return [
        *fixed,
        *tags,
        *frame,
        *PHRASES,
        *QUESTION_PHRASES,
        *roles,
        *names,
        *spaced,
        "The",
        "On the",
        "letter",
        *numbers,
    ]


def _config(tokenizer: PreTrainedTokenizerFast, text: dict[str, Any], vision: dict[str, Any]) -> Qwen2_5_VLConfig:
    ids = {name: int(tokenizer.convert_tokens_to_ids(name)) for name in SPECIAL}
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": math.ceil(len(tokenizer) / 64) * 64,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            **text,
        },
        vision_config={"out_hidden_size": text["hidden_size"], **vision},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
        dtype="float32",
    )


@torch.no_grad()
def _number_embeddings(model: Qwen2_5_VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """All rows start at unit length; a number's row holds sines and cosines with wavelengths from 16 to 4,096 pixels."""
    table = model.get_input_embeddings().weight
    width = table.shape[1]
    torch.nn.init.normal_(table, std=width**-0.5)
    waves = 2 * math.pi / torch.logspace(4, 12, width // 2, base=2)
    for number, token in number_tokens(tokenizer).items():
        table[token] = torch.cat([torch.cos(number * waves), torch.sin(number * waves)]) * (2 / width) ** 0.5
