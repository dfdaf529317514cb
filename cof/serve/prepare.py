"""From a request to what is run: the question, how it is asked, its picture's file, and the form of its answer.

Everything that can be checked without decoding the picture is checked here. For a model that takes single questions the system
prompt, earlier turns and descriptions are left out, and `notes` name them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cof.data.outside import knows_one_world
from cof.dialects.base import JSON_REQUEST
from cof.dialects.control import control_token
from cof.errors import InputError, InvalidImage
from cof.loop.policies.known import policy_named
from cof.loop.question import question_of
from cof.loop.setting import Setting, setting_of, turn_tokens_of
from cof.serve.conversation import WANTED, RequestContent, conversation_in
from cof.serve.fetch import fetched
from cof.serve.request import ChatRequest, ResponseFormat
from cof.serve.schema import SchemaPlan, Slot, plan_of, slot_in
from cof.serve.server import PendingQuestion, Server
from cof.serve.service import Service, bad, no_model
from cof.serve.structured import problem_of
from cof.serve.wire import Form
from cof.types import Question, Sampling
from cof.vision.addresses import bytes_of_data_url
from cof.vision.load import LoadLimits, pixels_of
from cof.vision.readers import WEB

TAKEN = LoadLimits(formats=WEB)
LOW = 512 * 512  # pixels of an overview at `detail: "low"`, as OpenAI has it


@dataclass(frozen=True)
class Output:
    """The form of an answer in JSON. `schema` is None for any JSON object.

    With a `plan` the answer is put into the schema. Without one the model writes the JSON itself.
    """

    schema: dict[str, Any] | None = None
    plan: SchemaPlan | None = None

    @property
    def in_words(self) -> bool:
        """Whether the question asks the model for JSON, in words."""
        return self.schema is not None and self.plan is None


@dataclass(frozen=True)
class Prepared:
    """A request that can be run, except for decoding its picture.

    `pending` is None where there is no picture; no model is run then. `output` is None for an answer in words. `notes` are
    sentences about what of the request was left out.
    """

    question: Question
    pending: PendingQuestion | None = None
    output: Output | None = None
    notes: tuple[str, ...] = ()


async def prepared(server: Server, wanted: ChatRequest, form: Form) -> Prepared:
    """What a request that came in this form asks for. Raises Refused, which names fields as the form does."""
    _check_model(server, wanted)
    field = form.messages
    dialogue, output = conversation_in(wanted.messages, field), _output(wanted.response_format, form.output)
    spoken = server.service.dialect.name if server.service.dialect else ""
    alone = knows_one_world(server.model.info, spoken)  # such models were trained on single questions (docs/serve.md)
    question, notes = _question(wanted, dialogue, output, server.model.info.name if alone else "", form)
    _check_lengths(server.service, wanted, dialogue, question.choices, field)
    if not dialogue.pictures:
        if output or question.choices:
            raise bad(f"there is no picture in the user's messages; {WANTED}", field)
        return Prepared(question, notes=notes)
    try:
        setting = _setting(server, wanted, dialogue.low)
        files = await _files(server, dialogue.pictures, server.model.info.name if alone else "")
        several = replace(question, images=("",) * len(files))
        return Prepared(question, PendingQuestion(several, setting, files), output, notes)
    except (InputError, InvalidImage) as error:
        raise bad(str(error), field) from None


def picture_in(url: str) -> bytes:
    """The bytes in a data URL; nothing is fetched. Raises InputError."""
    try:
        return bytes_of_data_url(url)
    except InputError as error:
        raise InputError(f"{error}; {WANTED}") from None


def _check_model(server: Server, wanted: ChatRequest) -> None:
    if wanted.model not in ("", server.model.info.name):
        raise no_model(server.model.info.name)


def _output(wanted: ResponseFormat | None, field: str) -> Output | None:
    """The form of the answer. Raises Refused, which names `field`."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.json_schema is None:
        return Output()
    schema = wanted.json_schema.schema_
    if problem := problem_of(schema):
        raise bad(f"the schema: {problem}", field)
    if token := control_token(json.dumps(schema, ensure_ascii=False)):
        raise bad(f"the schema holds {token}, which models read as a control token; leave it out", field)
    return Output(schema, plan_of(schema))


def _question(
    wanted: ChatRequest, dialogue: RequestContent, output: Output | None, alone: str, form: Form
) -> tuple[Question, tuple[str, ...]]:
    """The question as the model is asked it, and sentences about what was left out. Raises Refused.

    `alone` is the name of the model where that takes single questions, else "".
    """
    text, notes, slot = dialogue.text, list[str](), slot_in(output.plan) if output and output.plan else None
    if alone and output and output.in_words:
        why = f"the schema wants several answers, and {alone} gives one short answer"
        raise bad(f"{why}; want one property for the answer, others optional or nullable", form.output)
    if output and output.in_words:
        text += "\n" + JSON_REQUEST.format(schema=json.dumps(output.schema, ensure_ascii=False))
    about = " ".join(filter(None, (_described(wanted), slot.about if slot else "")))
    if alone:
        parts = (
            ("The system prompt was", dialogue.system),
            ("Earlier turns were", dialogue.earlier),
            ("The description was", about),
        )
        notes += [f"{what} left out: {alone} takes single questions." for what, given in parts if given]
    elif about:
        text += f"\n({about})"
    try:
        question = question_of([""], text, _choices(wanted, slot))
    except InputError as error:
        raise bad(str(error), "cof.choices" if wanted.cof.choices else form.messages) from None
    if alone:
        return question, tuple(notes)
    return replace(question, system=dialogue.system, earlier=dialogue.earlier), tuple(notes)


def _described(wanted: ChatRequest) -> str:
    form = wanted.response_format
    return form.json_schema.description if form and form.json_schema else ""


def _choices(wanted: ChatRequest, slot: Slot | None) -> Sequence[str]:
    """The possible answers, by the extension or by the schema. Raises Refused where these differ."""
    own, by_schema = wanted.cof.choices, slot.choices if slot else ()
    if wanted.cof.letter and wanted.response_format and wanted.response_format.type != "text":
        raise bad("a letter is no JSON; want cof.letter, or JSON as the form of the answer, and not both", "cof.letter")
    if own and by_schema and set(own) != set(by_schema):
        raise bad(
            f"cof.choices are not those of the schema: {', '.join(by_schema)}; leave one of them out", "cof.choices"
        )
    return own or by_schema


def _check_lengths(
    service: Service, wanted: ChatRequest, dialogue: RequestContent, choices: Sequence[str], field: str
) -> None:
    """Raises Refused where the question with its choices, or all texts of the request, are too long."""
    asked = sum(map(len, (dialogue.text, *choices)))
    if asked > service.question_characters:
        raise bad(f"the question has {asked} characters; want at most {service.question_characters}", field)
    described = wanted.response_format.json_schema if wanted.response_format else None
    schema = (json.dumps(described.schema_), described.description) if described else ()
    total = sum(map(len, (*dialogue.texts, *choices, *schema)))
    if total > service.characters:
        raise bad(f"the texts of the request have {total} characters; want at most {service.characters}", field)


def _setting(server: Server, wanted: ChatRequest, low: bool) -> Setting:
    """How the question is asked. A limit of the request counts where it is within the server's."""
    most = server.service.limits
    asked = {name: value for name, value in wanted.cof.limits.model_dump().items() if value is not None}
    own = {
        name: value if getattr(most, name) is None else min(value, getattr(most, name)) for name, value in asked.items()
    }
    limits = replace(most, **own)
    sampling = Sampling(wanted.temperature, wanted.top_p, turn_tokens_of(server.model.info), wanted.seed)
    setting = setting_of(server.model, limits, sampling, dialect=server.service.dialect)
    one = setting.spec.factor**2
    budgets = [budget for budget in (wanted.cof.budget, LOW // one if low else None) if budget is not None]
    if budgets:
        budget = min(*budgets, setting.spec.max_pixels // one)
        setting = setting_of(server.model, limits, sampling, budget, server.service.dialect)
    return replace(setting, policy=policy_named(wanted.cof.policy))


async def _files(server: Server, urls: Sequence[str], alone: str) -> tuple[bytes, ...]:
    """The different pictures' files, in order. Raises InputError, InvalidImage or Refused.

    `alone` is the name of the model where that takes one picture, else "".
    """
    found = tuple(dict.fromkeys([await _file(server, url) for url in urls]))
    if alone and len(found) > 1:
        raise InputError(
            f"there are {len(found)} different pictures; want one, as {alone} was trained on single pictures"
        )
    sizes = [pixels_of(file, TAKEN) for file in found]
    if len(found) > 1 and sum(sizes) > server.service.pixels:
        raise InputError(f"the pictures have {sum(sizes):,} pixels in all; want at most {server.service.pixels:,}")
    return found


async def _file(server: Server, url: str) -> bytes:
    """A picture's file. Raises InputError, InvalidImage or Refused."""
    if url[:5].lower() == "data:":
        return picture_in(url)
    if url[:7].lower() in ("http://", "https:/") and not server.service.fetching:
        raise InputError("this server fetches no pictures; want a data URL, or a server started with --fetch-from")
    if server.service.fetching:
        async with server.fetching:
            return await fetched(url, server.service.fetching)
    return picture_in(url)
