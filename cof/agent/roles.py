"""Models in the parts of a search: one for all, or one for each, in this process or behind an OpenAI-compatible server.

A reply that cannot be read is sent back with what it lacks, a few times; what was asked, sent back and spent is counted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cof.agent import prompts
from cof.agent.calls import (
    Adjust,
    Advise,
    Ask,
    Check,
    Cost,
    Event,
    Locate,
    Look,
    Move,
    Name,
    Place,
    Plan,
    Propose,
    Read,
    Reply,
    RoleCall,
    Step,
    Summarise,
    Think,
    Thoughts,
    Try,
)
from cof.agent.prompts import Unreadable
from cof.data.example import Example
from cof.dialects.base import Message
from cof.dialects.cof import COF
from cof.errors import ModelError
from cof.models.base import Model, Request, complete
from cof.models.encoding import views_in
from cof.models.opening import ModelRef, open_model
from cof.types import Answer, Sampling

SURE = Sampling(tokens=512)


@dataclass(frozen=True)
class Role:
    """A model for a part of a search.

    `model`: its name.
    `url`: the endpoint that has it, up to `/v1`; empty: it runs in this process.
    `seconds`: the time that the endpoint has for a reply.
    `key_file`: a file with the endpoint's key; empty: the key in OPENAI_API_KEY.
    """

    model: str = "nano"
    url: str = ""
    seconds: float = 120.0
    key_file: str = ""


@dataclass(frozen=True)
class Roles:
    """The model of each part; `everyone` has those that no other is given for. `retries` of a reply that cannot be read; the
    target and the thinker are sampled at `temperature`."""

    everyone: Role
    target: Role | None = None
    planner: Role | None = None
    locator: Role | None = None
    reader: Role | None = None
    adjuster: Role | None = None
    checker: Role | None = None
    adviser: Role | None = None
    summariser: Role | None = None
    thinker: Role | None = None
    retries: int = 2
    temperature: float = 1.0


PART: dict[type[RoleCall], str] = {
    Try: "target",
    Plan: "planner",
    Locate: "locator",
    Read: "reader",
    Adjust: "adjuster",
    Check: "checker",
    Advise: "adviser",
    Summarise: "summariser",
    Name: "reader",
    Think: "thinker",
}


@dataclass(frozen=True)
class ModelPlayers:
    """Plays the parts with models: `models` by the name of the part. Safe to use from several threads."""

    models: Mapping[str, Model]
    retries: int = Roles.retries
    temperature: float = Roles.temperature

    @classmethod
    def of(cls, roles: Roles) -> ModelPlayers:
        own = {part: getattr(roles, part) or roles.everyone for part in PART.values()}
        opened = {role: _opened(role) for role in {*own.values()}}  # the model of several parts is opened once
        return cls({part: opened[role] for part, role in own.items()}, roles.retries, roles.temperature)

    def play(self, example: Example, call: RoleCall, cost: Cost) -> Reply:
        model = self.models[PART[type(call)]]
        messages, sampling = _asked(example, call), self._sampling(call)
        read: Callable[[str], Reply] = functools.partial(_reply, example, call)
        pixels = {view: example.picture.show(view, example.overview, example.spec) for view in views_in(messages)}
        fault = ""
        for _ in range(self.retries + 1):
            try:
                completion = complete(model, [Request(messages, pixels, sampling)])[0]
            except ModelError as error:
                fault = str(error)
                cost.unanswered += 1
                continue
            cost.tokens += completion.tokens + completion.prompt_tokens
            try:
                return read(completion.text)
            except Unreadable as error:
                fault = str(error)
                cost.malformed += 1
                messages = (*messages, Message("assistant", (completion.text,)), prompts.complain(fault))
        raise ModelError(f"the {PART[type(call)]} ({model.info.name}) gave no reply that can be used: {fault}")

    def _sampling(self, call: RoleCall) -> Sampling:
        if isinstance(call, Try | Think):
            return Sampling(self.temperature, tokens=SURE.tokens, seed=call.seed)
        return SURE


def _opened(role: Role) -> Model:
    key_file = Path(role.key_file) if role.key_file else None
    return open_model(ModelRef(role.model, (role.url,) if role.url else (), key_file=key_file, seconds=role.seconds))


def _asked(example: Example, call: RoleCall) -> tuple[Message, ...]:
    question = example.question
    match call:
        case Try():
            return COF.messages(question, (example.overview,), direct=True)
        case Plan(events, places, advice):
            return prompts.plan(example.overview, question.text, question.choices, _told(events, places), advice)
        case Locate(view, thing):
            return prompts.locate(view, thing)
        case Read(view, text):
            return prompts.read(view, text, question.choices if text == question.text else ())
        case Adjust(view, box, instruction):
            return prompts.adjust(view, box, instruction)
        case Check(view, thing):
            return prompts.check(view, thing)
        case Advise(events, answer, fault):
            return prompts.advise(question.text, question.answer or "", answer, fault, _told(events))
        case Summarise(chain):
            seen = tuple(place.view for place in chain)
            return prompts.summarise(example.overview, seen, tuple(place.thing for place in chain), question.text)
        case Name(view):
            return prompts.name(view)
        case Think():
            return prompts.think(example.overview, question.text, question.choices)


def _told(events: tuple[Event, ...], places: tuple[Place, ...] = ()) -> str:
    return prompts.history([place.thing for place in places], [(_written(event.step), event.seen) for event in events])


def _written(step: Step) -> dict[str, Any]:
    """The step as `_step` reads it."""
    match step:
        case Look(thing, within):
            return {"step": "look", "thing": thing, "in": within}
        case Ask(text, at):
            return {"step": "ask", "text": text, "at": at}
        case Move(at, instruction):
            return {"step": "move", "at": at, "instruction": instruction}
        case Propose(answer, at):
            return {"step": "answer", "answer": answer, "at": at}


def _reply(example: Example, call: RoleCall, text: str) -> Reply:
    """A reply as its value. Raises Unreadable."""
    if isinstance(call, Try):
        action = COF.parse(text, (example.overview,))
        return action.text if isinstance(action, Answer) else None
    reply = prompts.json_object(text)
    match call:
        case Plan():
            return _step(reply)
        case Locate(view):
            return prompts.box_in(reply, view)
        case Read():
            return None if reply.get("answer", "") is None else prompts.text_in(reply, "answer")
        case Adjust(view):
            box = prompts.box_in(reply, view)
            if box is None:
                raise Unreadable('"bbox_2d" is null, want four numbers')
            return box
        case Check():
            return prompts.flag_in(reply, "seen")
        case Advise():
            return prompts.text_in(reply, "advice")
        case Summarise(chain):
            return prompts.texts_in(reply, "thoughts", len(chain) + 1)
        case Name():
            return None if reply.get("name", "") is None else prompts.text_in(reply, "name")
        case Think():
            steps = prompts.pairs_in(reply, "steps", ("thought", "thing"))
            return Thoughts(steps, prompts.text_in(reply, "conclusion"), prompts.text_in(reply, "answer"))


def _step(reply: dict[str, Any]) -> Step:
    match reply.get("step"):
        case "look":
            return Look(prompts.text_in(reply, "thing"), prompts.place_in(reply, "in"))
        case "ask":
            return Ask(prompts.text_in(reply, "text"), prompts.place_in(reply, "at"))
        case "move":
            at = prompts.place_in(reply, "at")
            if at is None:
                raise Unreadable('"at" is null, want the number of a place')
            return Move(at, prompts.text_in(reply, "instruction"))
        case "answer":
            return Propose(prompts.text_in(reply, "answer"), prompts.place_in(reply, "at"))
        case _:
            raise Unreadable('"step" is none of look, ask, move, answer')
