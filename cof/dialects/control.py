"""Control tokens: texts that a tokenizer or a chat template reads as structure, such as the end of a turn or a picture.

Owns the one test for them. A user's text that spells one could forge a turn or stand for a picture that is not there, so
questions and training data that hold one are refused where they enter. The tokens are those of the chat templates of the
families in `families/`; the tags of a dialect's own grammar (`<think>`, `<answer>`) are text and pass.
"""

from __future__ import annotations

import re

CONTROL = re.compile(
    r"<\|[A-Za-z0-9_/\"\-]{1,40}\|?>"  # Qwen, GLM, Llama 3, Phi: <|im_end|>, <|image_pad|>; Gemma 4: <|channel>
    r"|<[A-Za-z0-9_/\-]{1,40}\|>"  # Gemma 4: <channel|>
    r"|<｜[^<>｜]{1,40}｜>"  # DeepSeek
    r"|</?(?:start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|bos|eos|pad)>"  # Gemma 3
    r"|<(?:IMG_CONTEXT|/?img|image_pad|video_pad)>"  # InternVL
    r"|\[/?(?:INST|IMG|IMG_BREAK|IMG_END|SYSTEM_PROMPT)\]"  # Mistral
    r"|\[/?(?:TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS)\]"  # Mistral
    r"|</?s>|<unk>|<</?SYS>>"  # Llama 2, Mistral, LLaVA
    r"|\[gMASK\]|<[se]op>"  # GLM
    r"|\[(?:BOS|EOS|EOT)\]"  # Kimi
)


def control_token(text: str, own: str = "") -> str | None:
    """The first control token that `text` spells, None where it spells none. Those in `own`, the patterns of a dialect, are
    tags of its grammar and pass."""
    return next((found[0] for found in CONTROL.finditer(text) if found[0] not in own), None)
