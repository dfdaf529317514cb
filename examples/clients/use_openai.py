"""OpenAI's own client for Python: `python use_openai.py http://127.0.0.1:8000`."""

from __future__ import annotations

import openai
from asked import BASE, MESSAGES, Seen, attempt, later

client = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0)


def question() -> str:
    return str(client.chat.completions.create(model="nano", messages=MESSAGES).choices[0].message.content)


def follow_up() -> str:
    reply = client.chat.completions.create(model="nano", messages=later(question()))
    return str(reply.choices[0].message.content)


def schema() -> str:
    reply = client.chat.completions.parse(model="nano", messages=MESSAGES, response_format=Seen)
    return str(reply.choices[0].message.parsed.answer)


def stream() -> str:
    options = {"include_usage": True}
    pieces = list(client.chat.completions.create(model="nano", messages=MESSAGES, stream=True, stream_options=options))
    text = "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
    return f"{text} ({pieces[-1].usage.total_tokens} tokens)"


attempt("question", question)
attempt("follow-up", follow_up)
attempt("schema", schema)
attempt("stream", stream)
