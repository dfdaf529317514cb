"""Control tokens: texts that a tokenizer or a chat template reads as structure, such as the end of a turn or a picture.

Owns the one test for them. A user's text that spells one could forge a turn or stand for a picture that is not there, so
questions and training data that hold one are refused where they enter. The tokens are those of the chat templates of the
families in `families/`; the tags of a dialect's own grammar (`<think>`, `<answer>`) are text and pass. The placeholder of a
picture is one as well: a reader takes it out of a question first.
"""

from __future__ import annotations

import re

from cof.trace import Trace
from cof.types import Question

CONTROL = re.compile(
    r"<\|[A-Za-z0-9_/\"\-]{1,40}\|?>"  # Qwen, GLM, Llama 3, Phi: <|im_end|>, <|image_pad|>; Gemma 4: <|channel>
    r"|<[A-Za-z0-9_/\-]{1,40}\|>"  # Gemma 4: <channel|>
    r"|<｜[^<>｜]{1,40}｜>"  # DeepSeek
    r"|</?(?:start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|bos|eos|pad)>"  # Gemma 3
    r"|<(?:IMG_CONTEXT|/?img|image_pad|video_pad)>"  # InternVL
    r"|<(?:/?image|/?image_id|/?slice|video)>"  # LLaVA, MiniCPM-V, and the files of training frameworks
    r"|\[/?(?:INST|IMG|IMG_BREAK|IMG_END|SYSTEM_PROMPT)\]"  # Mistral
    r"|\[/?(?:TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS)\]"  # Mistral
    r"|</?s>|<unk>|<</?SYS>>"  # Llama 2, Mistral, LLaVA
    r"|\[gMASK\]|<[se]op>"  # GLM
    r"|\[(?:BOS|EOS|EOT)\]"  # Kimi
)


def control_token(text: str, own: str = "") -> str | None:
    """The first control token that `text` spells, None where it spells none. Those in `own`, a dialect's `grammar`, pass."""
    return next((found[0] for found in CONTROL.finditer(text) if found[0] not in own), None)


def spelt_in(trace: Trace, own: str) -> str | None:
    """Where a trace spells a control token, such as "'<|im_end|>' in turn 2"; None where nowhere.

    The model's turns, and the notes of its dialect, may hold the tags in `own`; the question may not.
    """
    for number, turn in enumerate(trace.turns, 1):
        if token := control_token(turn.completion.text, own):
            return f"{token!r} in turn {number}"
        if token := control_token(turn.note, own):
            return f"{token!r} in the note after turn {number}"
    return spelt_in_question(trace.question)


def spelt_in_question(question: Question) -> str | None:
    """Where a question spells a control token; None where nowhere."""
    earlier = tuple(text for each in question.earlier for text in (each.question, each.answer))
    places = {"question": (question.text,), "choices": question.choices, "system prompt": (question.system,)}
    for place, texts in (places | {"earlier turns": earlier}).items():
        if token := next(filter(None, map(control_token, texts)), None):
            return f"{token!r} in its {place}"
    return None
