"""langchain-openai: `python use_langchain.py http://127.0.0.1:8000`."""

from __future__ import annotations

from asked import BASE, LATER, PARTS, Seen, attempt
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="nano", base_url=BASE, api_key="none", max_retries=0, stream_usage=True)
asked = [HumanMessage(PARTS)]


def question() -> str:
    return str(model.invoke(asked).content)


def follow_up() -> str:
    return str(model.invoke([*asked, model.invoke(asked), HumanMessage(LATER)]).content)


def schema() -> str:
    return str(model.with_structured_output(Seen).invoke(asked).answer)


def stream() -> str:
    whole = None
    for piece in model.stream(asked):
        whole = piece if whole is None else whole + piece
    return f"{whole.content} ({whole.usage_metadata['total_tokens']} tokens)"


attempt("question", question)
attempt("follow-up", follow_up)
attempt("schema", schema)
attempt("stream", stream)
