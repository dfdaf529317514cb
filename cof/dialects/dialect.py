"""A dialect: what one model family expects on the wire, as a value. Prompts, tags and frames live in dialects only.

A family is a Python constant or a TOML file (`named.py`), never code: how it thinks, calls and answers is given by patterns
such as `<think>…</think>`, where `…` is any text. `reading.py` parses model text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from cof.dialects import calls, frames, reading
from cof.dialects.base import FamilyTool, Message, Part
from cof.dialects.frames import Order, Unit
from cof.dialects.options import lettered
from cof.dialects.turns import NAMED_SHAPES, SAID, Tags, grammar
from cof.errors import InvalidConfig
from cof.geometry import Box, Shown, ViewSpec
from cof.trace import Trace, Turn
from cof.types import ZOOM, Action, Answer, Call, Question
from cof.vision.views import PAPER

IMAGE, WORDS, QUESTION, FAULT = "{image}", "{words}", "{question}", "{fault}"
CHOICES, LETTERED = "{choices}", "{lettered}"
SEVERAL = 'There are {count} pictures. A box is in the first one, unless its call says "{key}": 2 or another number.'
# newer than evaluations that go on: hashed where they are not the default
NEWER = ("native", "order", "pad", "max_side", "tools")


@dataclass(frozen=True)
class Dialect:
    """One family. Where several patterns are given, the first is written and all are read.

    Words: `system` opens the conversation; `user` stands around the `{question}`; `choose` lists the options, in one line for
    `{choices}`, or with a letter each for `{lettered}`; `answer_now` forbids zooming; `reply` stands around the `{image}` of a
    zoom and its `{words}`, which are `closer`, or the words and the note of the turn before. There `{n}` counts crops from 1,
    `{before}` is how many came before, `{width}` and `{height}` are its pixels, and `{question}`, `{choices}` and `{lettered}`
    are the question's; `complaint` holds a `{fault}`.
    Grammar: `thoughts` (`must_think`: every turn has one), `call`, and `answers`, where a lone `…` means that any other text
    is an answer. A call is as `shape` has it: a named `tool` with arguments, written as JSON ("tool"), as Qwen3.5 ("xml") or
    as GLM does ("pairs"); in JSON without a name, a bare object or a list of objects; or `numbers` in text, written by that
    pattern. Its keys are `box`, `label` (empty: none) and `source`, which names the picture that a box is in (empty: always
    the first): counted from 0 or 1, or by the names "original_image" and "observation_1", by `sources`. `unit` is the frame of
    its numbers, `order` is which of them come first. `tools` are further tools beside the zoom. `native`: over the wire a
    named tool is called by the server's own form, and crops come back in the tool's message, or in a user turn for families
    that do not look at a tool's pictures.
    `view` are the view rules of the released checkpoints, used where a model has no card. `models` are parts of the names that
    models of the family go by. `like` is the family that a file began from.
    """

    name: str
    system: str
    like: str = ""
    user: str = "{question}"
    choose: str = "Choose one of: {choices}."
    answer_now: str = "Answer now, without zooming."
    reply: str = "{image}{words}"
    closer: str = "This is the closer look. Think, then zoom again or answer."
    complaint: str = "That did not work: {fault}."
    thoughts: tuple[str, ...] = ("<think>…</think>",)
    must_think: bool = True
    call: str = "<tool_call>…</tool_call>"
    answers: tuple[str, ...] = ("<answer>…</answer>",)
    shape: Literal["tool", "xml", "pairs", "object", "list", "numbers"] = "tool"
    numbers: str = "{x0}, {y0}, {x1}, {y1}"
    tool: str = "image_zoom_in_tool"
    tools: tuple[FamilyTool, ...] = ()
    box: str = "bbox_2d"
    label: str = "label"
    source: str = ""
    sources: Literal["zero", "one", "name"] = "zero"
    unit: Unit = "pixel"
    order: Order = "xy"
    native: Literal["no", "tool", "user"] = "no"
    view: ViewSpec = PAPER
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        closed = [Tags.of(pattern) for pattern in (*self.thoughts, self.call)]
        opened = [Tags.of(pattern) for pattern in self.answers if pattern != SAID]
        if (
            not self.answers
            or any(not (tags.open and tags.close) for tags in closed)
            or any(not tags.open for tags in opened)
        ):
            want = f"want tags around {SAID} in thoughts and call, and answers that begin with one, or are {SAID} alone"
            raise InvalidConfig(f"dialect {self.name!r} has patterns without tags; {want}")
        options = LETTERED if LETTERED in self.choose else CHOICES
        marks = {"reply": (IMAGE, WORDS), "user": (QUESTION,), "complaint": (FAULT,), "choose": (options,)}
        for field, mark in ((field, mark) for field, each in marks.items() for mark in each):
            if (count := getattr(self, field).count(mark)) != 1:
                raise InvalidConfig(f"dialect {self.name!r} has {mark} {count} times in {field}; want it there once")
        if self.native != "no" and self.shape not in NAMED_SHAPES:
            want = 'want shape = "tool", whose calls have a name'
            raise InvalidConfig(f"dialect {self.name!r} is native with calls of the shape {self.shape!r}; {want}")

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The family's names of its tools, the zoom's first."""
        return (self.tool, *(tool.name for tool in self.tools))

    @property
    def names_pictures(self) -> bool:
        """Whether a call can name which of several pictures its box is in."""
        return self.shape != "numbers"

    @property
    def think(self) -> Tags:
        """The tags of a thought as it is written; empty ones where the family has no thoughts."""
        return Tags.of(self.thoughts[0]) if self.thoughts else Tags("", "")

    @property
    def answer(self) -> Tags:
        """The tags of an answer as it is written."""
        return Tags.of(self.answers[0])

    @property
    def grammar(self) -> str:
        """The tags that turns of a model are read by, as one text: those that are control tokens are none in its turns."""
        return " ".join(
            [part for _, tags in grammar(self).values() for part in (tags.open, tags.close)] + [self.numbers]
        )

    def messages(
        self, question: Question, overviews: Sequence[Shown], turns: Sequence[Turn] = (), direct: bool = False
    ) -> tuple[Message, ...]:
        """The conversation so far; earlier messages never change from turn to turn. `direct` forbids zooming throughout."""
        opening = self._opening(question, overviews, direct)
        shown, later = 0, list[Message]()
        for turn in turns:
            later += [Message("assistant", (turn.completion.text,)), *self._reply(question, turn, shown)]
            shown += len(turn.views)
        return (*opening, *later)

    def _opening(self, question: Question, overviews: Sequence[Shown], direct: bool) -> tuple[Message, ...]:
        """The system prompt, the earlier exchanges and the question; the overviews are in the first user turn."""
        system = "\n\n".join(filter(None, (self.system, question.system)))
        texts = [_fill(self.user, {"question": each.question.strip()}) for each in question.earlier]
        answers = [self.write(Answer(each.answer), overviews) for each in question.earlier]
        first, *later = [*texts, self.ask(question, direct)]
        if len(overviews) > 1 and not self.source and not direct:
            first = f"{SEVERAL.format(count=len(overviews), key=calls.PICTURE)}\n{first}"
        turns = [Message("user", (*overviews, first))]
        for answer, text in zip(answers, later, strict=True):
            turns += [Message("assistant", (answer,)), Message("user", (text,))]
        return (Message("system", (system,)), *turns)

    def conversation(self, trace: Trace) -> tuple[Message, ...]:
        """The whole conversation of a trace."""
        return self.messages(trace.question, trace.overviews, trace.turns, not trace.may_call)

    def ask(self, question: Question, direct: bool = False) -> str:
        """The user's words: the question, its choices, and the order to answer at once where `direct`."""
        lines = [question.text.strip()]  # a line end from a file must not change the answer
        if question.choices:
            lines.append(_fill(self.choose, _options(question)))
        asked = _fill(self.user, {"question": "\n".join(lines)})
        return f"{asked}\n{self.answer_now}" if direct else asked

    def fingerprint(self) -> str:
        """A hash of the dialect's words, grammar and view rules; its name counts for nothing."""
        said = asdict(self) | {"name": "", "like": ""}
        del said["models"]
        for owner, values in ((Dialect, said), (ViewSpec, said["view"])):
            for field in fields(owner):
                if field.name in NEWER and values[field.name] == field.default:
                    del values[field.name]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    def complain(self, fault: str) -> str:
        """The message to the model after a turn that cannot be followed."""
        return self.complaint.replace(FAULT, fault)

    def write(self, action: Answer | tuple[Call, ...], overviews: Sequence[Shown]) -> str:
        """The assistant turn that `parse` reads as `action`; boxes are rounded as the family writes them."""
        said = action.thought if isinstance(action, Answer) else action[0].thought
        thought = self.think.around(said) if self.thoughts and (self.must_think or said) else said
        if isinstance(action, Answer):
            return thought + self.answer.around(action.text)
        return thought + self._calls([self._named(call, overviews) for call in action])

    def join(self, thought: str, content: str, named: Sequence[tuple[str, str]]) -> str:
        """The assistant turn that a server took apart: its thought, what is left, and (name, JSON arguments) of its calls."""
        thought = (
            self.think.around(thought) if thought and self.thoughts else ""
        )  # without tags it would read as the answer
        return thought + content + "".join(self._joined(name, given) for name, given in named)

    def _joined(self, name: str, given: str) -> str:
        tags = Tags.of(self.call)
        if self.shape in ("object", "list"):
            return tags.around(given)
        if self.shape in ("xml", "pairs") and isinstance(arguments := _parsed(given), dict):
            return calls.written(self, name, arguments)
        return tags.around(f'{{"name": {json.dumps(name)}, "arguments": {given}}}')

    def begin_call(self) -> str:
        """The beginning of an assistant turn that goes on with a box: for a model that has to zoom."""
        frame = Shown(Box(0, 0, 1, 1), (1, 1))
        turn = self.write((Call(ZOOM, {"box": frame.region}),), (frame,))
        if self.shape == "numbers":
            return (
                turn[: turn.index(Tags.of(self.call).open)]
                + Tags.of(self.call).open
                + self.numbers.partition("{x0}")[0]
            )
        return turn[: turn.rindex("[0") + 1]

    def parse(self, text: str, shown: Sequence[Shown]) -> Action:
        """The action of an assistant turn; `shown` is all that was shown so far, the overviews first. Boxes come back in source
        pixels; a part outside its picture is cut off."""
        return reading.parse(self, text, shown)

    def answer_box(self, text: str, overview: Shown) -> Box | None:
        """The box (source pixels) that the text of an answer gives in the family's frame of the first picture.

        Four numbers in a row, such as {"bbox_2d": [1, 2, 3, 4]}, [1, 2, 3, 4] or (1, 2), (3, 4). None where there is no box, or
        several different ones, and where it is empty, reversed or outside.
        """
        return reading.answer_box(self, text, overview)

    def well_formed(self, text: str) -> bool:
        """Whether a turn has exactly the form: a thought that is not empty, then calls or one answer, and nothing else.

        `parse` forgives more.
        """
        return reading.well_formed(self, text)

    def _reply(self, question: Question, turn: Turn, shown: int) -> tuple[Message, ...]:
        words = "\n".join(filter(None, (*(each.words for each in turn.observations), turn.note)))
        if not turn.views:
            return (Message("user", (words,)),) if words else ()
        width, height = turn.views[0].size
        values = {"n": shown + 1, "before": shown, "width": width, "height": height, "words": words or self.closer}
        values |= {"question": question.text.strip()} | _options(question)
        before, after = (_fill(part, values) for part in self.reply.split(IMAGE))
        parts: tuple[Part, ...] = (before, *turn.views, after)
        return (Message("user", tuple(part for part in parts if part)),)

    def _named(self, call: Call, overviews: Sequence[Shown]) -> tuple[str, dict[str, Any]]:
        """The family's name of a call's tool, and the arguments in the family's words."""
        named = {self.label: call.label} if call.label and self.label else {}
        if call.box is None or call.tool != ZOOM:
            tool = self._tool_of(call)
            own = {word: call.arguments[key] for key, word in tool.arguments if key in call.arguments}
            return tool.name, own | named
        picture = call.box.picture
        shown = frames.numbers(call.box, overviews[picture], self.unit, self.order)
        found = [frames.written(number, self.unit) for number in shown]
        first: Any = {"zero": picture, "one": picture + 1, "name": calls.original(picture)}[self.sources]
        which = {self.source: first} if self.source else {calls.PICTURE: picture + 1} if picture else {}
        return self.tool, {self.box: found} | named | which

    def _tool_of(self, call: Call) -> FamilyTool:
        for tool in self.tools:
            if tool.tool == call.tool:
                return tool
        raise InvalidConfig(
            f"the dialect {self.name} has no tool {call.tool!r}; want it in [[tools]] of a dialect file"
        )

    def _calls(self, named: Sequence[tuple[str, dict[str, Any]]]) -> str:
        tags, arguments = Tags.of(self.call), [arguments for _, arguments in named]
        match self.shape:
            case "list":
                return tags.around(_json(list(arguments)))
            case "object":
                return "".join(tags.around(_json(each)) for each in arguments)
            case "numbers":
                names = ("x0", "y0", "x1", "y1") if self.order == "xy" else ("y0", "x0", "y1", "x1")
                corners = (dict(zip(names, each[self.box], strict=True)) for each in arguments)
                return "".join(tags.around(_fill(self.numbers, each)) for each in corners)
            case _:
                return "".join(calls.written(self, name, each) for name, each in named)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _options(question: Question) -> dict[str, str]:
    """The question's options in words, by the name of their place."""
    return {"choices": ", ".join(question.choices), "lettered": lettered(question.choices)}


def _fill(words: str, values: Mapping[str, object]) -> str:
    """The words with values in their places; a value that spells a place stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), words)
