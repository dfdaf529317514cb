"""From a finished trace to the content of the reply: the answer in the form and length that were asked for."""

from __future__ import annotations

from string import ascii_uppercase

from cof.models.base import Model
from cof.serve.prepare import Output, Prepared
from cof.serve.request import ChatRequest
from cof.serve.service import UNFIT, failed
from cof.serve.structured import JSON_OBJECT, Unfit, filled, read
from cof.serve.wire import Reply
from cof.trace import Trace

GREETING = (
    "Hello! I answer questions about a picture. Please send one with your question, and I will look at it closely."
)
STOPPED = "; the answer was cut off by stop"
NO_COUNT = "max_tokens was not applied: the tokens of this model's answers cannot be counted here."


def reply(model: Model, wanted: ChatRequest, asked: Prepared, trace: Trace) -> Reply:
    """The answer as it was asked for. Raises Refused where it cannot be put into the schema."""
    if asked.pending is None:
        return Reply(GREETING, notes=asked.notes)
    if trace.answer is None:
        return Reply("", cut=True, notes=asked.notes)
    answer, choices = trace.answer, trace.question.choices
    if wanted.cof.letter and answer in choices:
        return Reply(ascii_uppercase[choices.index(answer)], notes=asked.notes)
    content = _before(answer, wanted.stops)
    if asked.output is not None:
        content = _as_json(asked.output, content, trace)
    return _cut(content, wanted.most_tokens, model, asked.notes)


def _before(answer: str, stops: tuple[str, ...]) -> str:
    """The answer up to the first of the sequences."""
    return answer[: min((place for stop in stops if (place := answer.find(stop)) >= 0), default=None)]


def _as_json(output: Output, answer: str, trace: Trace) -> str:
    thoughts = [thought for turn in trace.model_turns if (thought := turn.thought)]
    try:
        return filled(output.schema, output.plan, answer, thoughts) if output.plan else read(output.schema, answer)
    except Unfit as error:
        if output.schema is None:
            return filled(None, JSON_OBJECT, answer, thoughts)
        cut = STOPPED if answer != trace.answer else ""
        raise failed(f"{error}{cut}", UNFIT) from None


def _cut(content: str, most: int | None, model: Model, notes: tuple[str, ...]) -> Reply:
    """The content without what is beyond `most` tokens, where they can be counted."""
    tokenizer = model.info.tokenizer
    if most is None or tokenizer is None:
        return Reply(content, notes=notes if most is None else (*notes, NO_COUNT))
    ids = tokenizer.encode(content)
    if len(ids) <= most:
        return Reply(content, notes=notes)
    return Reply(tokenizer.decode(ids[:most]), cut=True, notes=notes)
