"""Simon Willison's llm: `python use_llm.py http://127.0.0.1:8000`. The endpoint is a model in its extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from asked import BASE, LATER, PICTURE, QUESTION, Seen, attempt

folder = tempfile.mkdtemp()
described = {"model_id": "nano", "model_name": "nano", "api_base": BASE, "vision": True, "supports_schema": True}
Path(folder, "extra-openai-models.yaml").write_text(json.dumps([described]))  # JSON is YAML
os.environ["LLM_USER_PATH"] = folder  # before llm is imported

import llm  # noqa: E402

model = llm.get_model("nano")
model.key = "none"


def asked(stream: bool = False, **options: object) -> llm.Response:
    return model.prompt(QUESTION, attachments=[llm.Attachment(path=str(PICTURE))], stream=stream, **options)


def question() -> str:
    return str(asked().text())


def follow_up() -> str:
    conversation = model.conversation()
    conversation.prompt(QUESTION, attachments=[llm.Attachment(path=str(PICTURE))], stream=False).text()
    return str(conversation.prompt(LATER, stream=False).text())


def schema() -> str:
    return Seen(**json.loads(asked(schema=Seen).text())).answer


def stream() -> str:
    reply = asked(stream=True)
    text, usage = "".join(reply), reply.usage()
    return f"{text} ({usage.input + usage.output} tokens)"


attempt("question", question)
attempt("follow-up", follow_up)
attempt("schema", schema)
attempt("stream", stream)
