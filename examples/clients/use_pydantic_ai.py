"""pydantic-ai: `python use_pydantic_ai.py http://127.0.0.1:8000`. By default it wants a tool call; NativeOutput is a schema."""

from __future__ import annotations

import asyncio

from asked import BASE, LATER, PICTURE, QUESTION, Seen, attempt
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("nano", provider=OpenAIProvider(base_url=BASE, api_key="none"))
agent = Agent(model, retries=0)
asked = [QUESTION, BinaryContent(PICTURE.read_bytes(), media_type="image/jpeg")]


def question() -> str:
    return str(agent.run_sync(asked).output)


def follow_up() -> str:
    first = agent.run_sync(asked)
    return str(agent.run_sync(LATER, message_history=first.all_messages()).output)


def schema() -> str:
    return str(Agent(model, output_type=NativeOutput(Seen), retries=0).run_sync(asked).output.answer)


def stream() -> str:
    async def streamed() -> str:
        async with agent.run_stream(asked) as result:
            return f"{await result.get_output()} ({result.usage.total_tokens} tokens)"

    return asyncio.run(streamed())


def by_tool() -> str:
    return str(Agent(model, output_type=Seen, retries=0).run_sync(asked).output.answer)


attempt("question", question)
attempt("follow-up", follow_up)
attempt("schema", schema)
attempt("stream", stream)
attempt("schema by a tool", by_tool)
