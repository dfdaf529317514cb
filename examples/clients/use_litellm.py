"""litellm: `python use_litellm.py http://127.0.0.1:8000`."""

from __future__ import annotations

import functools
import json
import os

from asked import BASE, MESSAGES, Seen, attempt, later

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before litellm is imported, which fetches prices otherwise

import litellm

ask = functools.partial(litellm.completion, model="openai/nano", base_url=BASE, api_key="none", num_retries=0)


def question() -> str:
    return str(ask(messages=MESSAGES).choices[0].message.content)


def follow_up() -> str:
    return str(ask(messages=later(question())).choices[0].message.content)


def schema() -> str:
    content = ask(messages=MESSAGES, response_format=Seen).choices[0].message.content
    return Seen(**json.loads(content)).answer


def stream() -> str:
    pieces = list(ask(messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
    return f"{text} ({pieces[-1].usage.total_tokens} tokens)"


attempt("question", question)
attempt("follow-up", follow_up)
attempt("schema", schema)
attempt("stream", stream)
