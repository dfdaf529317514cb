"""What a refusal means, by the wordings of real servers, and what helps against it."""

from __future__ import annotations

import pytest

from cof.models.remote.faults import refusal
from cof.models.remote.wordings import (
    ANOTHER_KIND,
    ANOTHER_MODEL,
    ANOTHER_URL,
    FEWER_TOKENS,
    ITS_KEY,
    MOVED,
    SMALLER_BODY,
    advice,
    oversize,
)

# words as the servers named beside them have them, in issues and documentation of these projects
TOO_MANY_TOKENS = [
    (400, "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens"),  # vLLM, OpenAI
    (400, "The decoder prompt (length 25938) is longer than the maximum model length of 4096."),  # vLLM
    (400, "The prompt (total length 25938) is too long to fit into the model (context length 4096)."),  # vLLM
    (
        400,
        "'max_tokens' is too large: 512. This model's maximum context length is 8192 tokens and your request has 8000",
    ),
    (400, "Your input exceeds the context window of this model. Please adjust your input and try again."),  # OpenAI
    (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),  # SGLang
    (400, "request (1407 tokens) exceeds the available context size (256 tokens), try increasing it"),  # llama.cpp
    (500, "the request exceeds the available context size. try increasing the context size"),  # llama.cpp in 2025
    (500, "Requested tokens (2285) exceed context window of 2048"),  # llama-cpp-python
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),  # Anthropic
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),  # Anthropic
    (400, "The input token count (132478) exceeds the maximum number of tokens allowed (131072)."),  # Gemini
    (422, "Input validation error: `inputs` must have less than 3072 tokens. Given: 5000"),  # TGI
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."),  # TGI
    (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),  # Mistral
    (400, "Range of input length should be [1, 129024]"),  # DashScope
    (400, "Input is too long for requested model."),  # Bedrock
    (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."),  # OpenAI
    (413, "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000"),  # Groq
]
TOO_MANY_BYTES = [
    (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),  # nginx
    (413, "Request exceeds the maximum size"),  # Anthropic
    (413, ""),
    (413, "Failed to buffer the request body: length limit exceeded"),  # TGI
    (
        400,
        "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6500712 bytes > 5242880 bytes",
    ),  # Anthropic
    (400, "At least one of the image dimensions exceed max allowed size: 8000 pixels"),  # Anthropic
    (400, "Request payload size exceeds the limit: 20971520 bytes."),  # Gemini
    (400, "Exceeded limit on max bytes per data-uri item : 10485760"),  # DashScope
    (500, "request body too large"),  # Ollama behind a proxy
    (400, "Maximum content size limit (26214400) exceeded (26477984 bytes read)"),  # OpenAI
]
OTHER = [
    (400, "cannot identify image file"),
    (400, "max_tokens is too large: 4096. This model supports at most 2048 completion tokens"),
    (429, "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000. Please try again in 6s."),
    (429, "Too many tokens, please wait before trying again."),  # Bedrock's throttling
    (429, "Request too many; slow down"),
    (503, "the model is loading"),
    (500, "Internal Server Error"),
    (400, "At most 1 image(s) may be provided in one request."),
]


@pytest.mark.parametrize(("status", "text"), TOO_MANY_TOKENS)
def test_too_many_tokens_name_the_budget_and_are_not_tried_again(status: int, text: str) -> None:
    found = refusal(status, f"status {status}: {text}")
    assert advice(status, found.text) == FEWER_TOKENS
    assert oversize(status, found.text)
    assert not found.passing
    assert not found.elsewhere


@pytest.mark.parametrize(("status", "text"), TOO_MANY_BYTES)
def test_too_many_bytes_name_the_wire_and_are_not_tried_again(status: int, text: str) -> None:
    found = refusal(status, f"status {status}: {text}")
    assert advice(status, found.text) == SMALLER_BODY
    assert oversize(status, found.text)
    assert not found.passing
    assert not found.elsewhere


@pytest.mark.parametrize(("status", "text"), OTHER)
def test_other_words_name_neither(status: int, text: str) -> None:
    found = refusal(status, f"status {status}: {text}")
    assert advice(status, found.text) == ""
    assert not oversize(status, found.text)
    assert found.passing == (status != 400)


@pytest.mark.parametrize(
    ("status", "text", "helps"),
    [
        (401, "no key", ITS_KEY),
        (403, "", ITS_KEY),
        (400, "API key not valid. Please pass a valid API key.", ITS_KEY),  # Gemini
        (404, "The model `x` does not exist.", ANOTHER_MODEL),  # vLLM, OpenAI
        (404, 'model "x" not found, try pulling it first', ANOTHER_MODEL),  # Ollama
        (404, "models/x is not found for API version v1main", ANOTHER_MODEL),  # Gemini
        (400, "x is not a valid model ID", ANOTHER_MODEL),  # OpenRouter
        (400, "Invalid model: x", ANOTHER_MODEL),  # Mistral
        (400, "Model Not Exist", ANOTHER_MODEL),  # DeepSeek
        (404, "Not Found", ANOTHER_URL),  # FastAPI
        (404, "404 page not found", ANOTHER_URL),
        (405, "Method Not Allowed", ANOTHER_URL),
        (404, "Invalid URL (POST /chat/completions)", ANOTHER_URL),  # OpenAI
        (404, "", ANOTHER_URL),
        (404, "No endpoints found matching your data policy", ""),  # OpenRouter
        (404, "No endpoints found that support image input", ANOTHER_KIND),  # OpenRouter
        (500, "image input is not supported - hint: you may need to provide the mmproj", ANOTHER_KIND),  # llama.cpp
        (400, "x is not a multimodal model", ANOTHER_KIND),  # vLLM
        (400, "Invalid content type. image_url is only supported by certain models.", ANOTHER_KIND),  # OpenAI
        (400, "messages[1]: unknown variant `image_url`, expected `text`", ANOTHER_KIND),  # DeepSeek
        (400, "Failed to download the image_url", ""),
        (308, "moved", MOVED),
        (400, "the model refused the picture", ""),
        (400, "Invalid value: temperature", ""),
        (410, "the model is retired", ""),
    ],
)
def test_what_helps(status: int, text: str, helps: str) -> None:
    found = refusal(status, f"status {status}: {text}")
    assert advice(status, found.text) == helps
    assert found.explained == found.text + helps
    assert not found.passing
