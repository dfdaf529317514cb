"""What the words of a refusal mean, as real servers word it, and which option helps.

Owns patterns and advice alone. Omits the refusals that are done without (`refusals.py`).
"""

from __future__ import annotations

import re

# Refusals that mean the context length: OpenAI and vLLM ("maximum context length", "max_model_len"), SGLang ("longer than the
# model's context length"), llama.cpp ("exceeds the available context size"), llama-cpp-python ("exceed context window"),
# Anthropic ("prompt is too long", "exceed context limit"), Gemini ("input token count … exceeds the maximum"), TGI
# ("`inputs` must have less than"), Bedrock ("Input is too long"), DashScope ("Range of input length")
CONTEXT = re.compile(
    r"context[_ ](length|size|window|limit)|context_length_exceeded|max(imum)?[_ ]model[_ ]len|(prompt|input) is too long"
    r"|prompt \([^)]{1,60}\) is too long|token count\W.{0,40}exceeds? the max|inputs\W{0,2} (must have less|tokens \+)"
    r"|range of input length|too many (input )?tokens|reduce the length of the (messages|prompt|input)",
    re.IGNORECASE,
)
# Refusals that mean the bytes of the body, of a picture, or its sides: nginx ("Request Entity Too Large"), Anthropic ("image
# exceeds 5 MB maximum", "image dimensions exceed"), Gemini ("Request payload size exceeds the limit"), OpenAI ("Maximum
# content size limit"), TGI ("length limit exceeded"), DashScope ("max bytes per data-uri item")
BODY = re.compile(
    r"(entity|payload|request|body|content|image|file)( data| size)? (is )?too (large|big)|payload size exceeds"
    r"|request_too_large|image (size )?exceeds|image dimensions exceed|exceeds the maximum size|length limit exceeded|max bytes"
    r"|content size limit|(request|body) (size )?exceeds|total image (data|size)",
    re.IGNORECASE,
)
TOKENS_A_MINUTE = re.compile(r"request too large|must be reduced", re.IGNORECASE)  # a 429 that no wait helps
NO_MODEL = re.compile(
    r"model\b.{0,120}(not exist|not found|not a valid|unavailable to|no such)|(invalid|unknown|no such|unsupported) model"
    r"|not a valid model|unable to access model|model_not_found",
    re.IGNORECASE,
)
# Refusals of a model without vision: llama.cpp ("image input is not supported"), OpenRouter ("No endpoints found that support
# image input"), vLLM ("is not a multimodal model"), OpenAI ("image_url is only supported by"), DeepSeek ("unknown variant")
BLIND = re.compile(
    r"image input is not supported|support image input|not a multimodal model|image_url is only supported"
    r"|unknown variant `?image_url|not support (images?|vision|multimodal)|content must be a string",
    re.IGNORECASE,
)
NO_PATH = re.compile(r"not found|not allowed|cannot post|invalid url|no route|<html|: $", re.IGNORECASE)
KEY_WORDS = re.compile(r"api[-_ ]?key|credentials|unauthori[sz]ed", re.IGNORECASE)

FEWER_TOKENS = (
    "; want fewer visual tokens: a smaller --budget N or --crop-budget N, or --limit zooms=N; "
    "or more context at the server, as vLLM with --max-model-len"
)
SMALLER_BODY = (
    "; want smaller pictures: --wire jpeg:85, a smaller --budget N or --crop-budget N, or --limit zooms=N; "
    "or a larger limit at the server, as nginx with client_max_body_size"
)
ITS_KEY = "; want its key: $OPENAI_API_KEY or --key-file (cof serve: --upstream-key-file)"
ANOTHER_MODEL = "; want the name of one of its models as --model"
ANOTHER_URL = "; does the URL end in /v1?"
ANOTHER_KIND = "; want a vision-language model, and a server that was started with its vision part"
MOVED = "; want the URL that it moved to, perhaps with https"


def advice(status: int, text: str) -> str:
    """What helps against a refusal, as the end of an error's line; "" where that is not known."""
    if oversize(status, text):
        by_tokens = CONTEXT.search(text) or (TOKENS_A_MINUTE.search(text) and "token" in text)
        return FEWER_TOKENS if by_tokens else SMALLER_BODY
    if status in (401, 403) or (status == 400 and KEY_WORDS.search(text)):
        return ITS_KEY
    if blind(text):
        return ANOTHER_KIND
    if no_model(status, text):
        return ANOTHER_MODEL
    if status in (404, 405) and NO_PATH.search(text):
        return ANOTHER_URL
    return MOVED if 300 <= status < 400 else ""


def oversize(status: int, text: str) -> bool:
    """Whether a request is refused for its size, in tokens or bytes, so that the same will be refused again."""
    if status == 429:
        return TOKENS_A_MINUTE.search(text) is not None
    return status == 413 or (status >= 400 and (CONTEXT.search(text) or BODY.search(text)) is not None)


def no_model(status: int, text: str) -> bool:
    """Whether a refusal means that the endpoint has no model of that name."""
    if status == 404:  # a path that is not there says nothing of models
        return re.search(r"\bmodels?\b", text, re.IGNORECASE) is not None
    return status in (400, 422) and NO_MODEL.search(text) is not None


def blind(text: str) -> bool:
    """Whether a refusal means that the model takes no pictures."""
    return BLIND.search(text) is not None
