"""Reading what a model said, by the grammar of its dialect. JSON only, nothing is evaluated, and no text makes it fail.

Whatever cannot be read becomes `Malformed` with one sentence that tells the model what to mend.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cof.dialects import frames
from cof.errors import InvalidBox, InvalidConfig
from cof.types import Action, Answer, Box, Malformed, View, Zoom

if TYPE_CHECKING:
    from cof.dialects.dialect import Dialect

ORIGINAL, OBSERVATION = "original_image", re.compile(r"observation_(\d{1,6})")
SAID = "…"
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,20})?")


@dataclass(frozen=True)
class Tags:
    """What stands before and after something that is said."""

    open: str
    close: str

    @classmethod
    @functools.cache
    def of(cls, pattern: str) -> Tags:
        """The tags of a pattern such as `<think>…</think>`. Raises InvalidConfig where it has no single `…`."""
        if pattern.count(SAID) != 1:
            raise InvalidConfig(
                f"pattern {pattern!r} has {pattern.count(SAID)} of {SAID}; want one, where the text stands"
            )
        before, _, after = pattern.partition(SAID)
        return cls(before, after)

    def around(self, text: str) -> str:
        return self.open + text + self.close

    def inside(self, text: str) -> str | None:
        """What stands before the closing tag, of a text that follows the opening one; None if it is not closed."""
        if not self.close:
            return text
        end = _closing_brace(text) if (self.open[-1:], self.close) == ("{", "}") else text.find(self.close)
        return text[:end] if end >= 0 else None


def parse(dialect: Dialect, text: str, shown: Sequence[View]) -> Action:
    """What a turn asks for; `shown` are the overview and the closer looks so far."""
    try:
        thought, rest = _split_thought(dialect, text)
        call, answers = rest.find(Tags.of(dialect.call).open), _answers(dialect, rest)
        answer, tags = min(answers, key=lambda found: found[0], default=(-1, None))
        if call >= 0 and (answer < 0 or call < answer):
            return _zoom(dialect, rest[call:], thought or _before(dialect, rest[:call]), shown)
        if tags is not None:
            said = _answer(dialect, rest[answer + len(tags.open) :], tags)
            return Answer(said, thought or _before(dialect, rest[:answer]))
        if SAID in dialect.answers and rest.strip():
            return Answer(rest.strip(), thought)
        raise _Fault(f"there is neither a call nor an answer; {_form(dialect)}")
    except _Fault as fault:
        return Malformed(str(fault), text)


def well_formed(dialect: Dialect, text: str) -> bool:
    return _turn(dialect).fullmatch(text) is not None


class _Fault(Exception):
    """Carries the sentence for `Malformed` out of the parser."""


@functools.cache
def _turn(dialect: Dialect) -> re.Pattern[str]:
    """A turn that keeps to the form: thought, then calls or an answer. Nothing in it can be read in two ways, so that no text
    takes long."""
    tag = "|".join(re.escape(part) for part in _tags(dialect))
    plain = rf"\s*+(?!{tag}|<\|)\S(?:(?!{tag}|<\|).)*+"  # says something, without a tag
    braced = r"\s*+[^\s{}](?:[^{}]|\{[^{}]*+\})*+"

    def around(pattern: str) -> str:
        tags = Tags.of(pattern)
        return re.escape(tags.open) + (braced if tags.close == "}" else plain) + re.escape(tags.close) + r"\s*+"

    tagged = [rf"(?:{around(dialect.call)})++", *(around(pattern) for pattern in dialect.answers if pattern != SAID)]
    thought = (
        r"\s*+(?:" + "|".join(around(pattern) for pattern in dialect.thoughts) + ")" if dialect.thoughts else plain
    )
    needed = thought if dialect.thoughts and dialect.must_think else f"(?:{thought})?+"
    turns = [rf"{needed}\s*+(?:{'|'.join(tagged)})"]
    if SAID in dialect.answers:
        turns.append(f"{needed if dialect.thoughts else ''}{plain}")
    return re.compile("|".join(turns), re.DOTALL)


@functools.cache
def _tags(dialect: Dialect) -> tuple[str, ...]:
    """Every tag of the dialect but the closing brace, which is too common to be one."""
    found = [Tags.of(pattern) for pattern in (*dialect.thoughts, dialect.call, *dialect.answers)]
    return tuple(dict.fromkeys(part for tags in found for part in (tags.open, tags.close) if part not in ("", "}")))


def _form(dialect: Dialect) -> str:
    """What a turn should look like."""
    numbers = dialect.numbers.replace("{", "").replace("}", "")
    said = {"list": "[{JSON}]", "numbers": numbers}.get(dialect.shape, "{JSON}")
    after = f" after {dialect.think.close}" if dialect.thoughts and dialect.must_think else ""
    return f"want {Tags.of(dialect.call).around(said)} or {dialect.answer.around('text')}{after}"


def _split_thought(dialect: Dialect, text: str) -> tuple[str, str]:
    """The thought, and what comes after it; a text whose first tag is a call or an answer has no thought.

    A family may think in several ways, one after the other.
    """
    tags = [Tags.of(pattern) for pattern in dialect.thoughts]
    others = [other.open for other in map(Tags.of, (dialect.call, *dialect.answers)) if other.open]
    start = min((at for each in tags if (at := text.find(each.open)) >= 0), default=-1)
    if start < 0 or any(0 <= text.find(other) < start for other in others):
        return "", text
    thoughts, rest = list[str](), text[start:]
    while (opened := next((each for each in tags if rest.startswith(each.open)), None)) is not None:
        thought = opened.inside(rest[len(opened.open) :])
        if thought is None:
            raise _Fault(f"the thought is not closed; want {opened.close} before the call or the answer")
        thoughts.append(thought.strip())
        after = rest[len(opened.around(thought)) :]
        rest = after.lstrip() if len(tags) > 1 else after
        if len(tags) == 1:
            break
    return "\n".join(thoughts), rest


def _before(dialect: Dialect, text: str) -> str:
    """What is said before a call or an answer: the thought of a family that has no tags for it."""
    return "" if dialect.thoughts else text.strip()


def _answers(dialect: Dialect, rest: str) -> list[tuple[int, Tags]]:
    tagged = [Tags.of(pattern) for pattern in dialect.answers if pattern != SAID]
    return [(at, tags) for tags in tagged if (at := rest.find(tags.open)) >= 0]


def _answer(dialect: Dialect, after: str, tags: Tags) -> str:
    inside = tags.inside(after)
    answer = (after if inside is None else inside).strip()
    if not answer:
        raise _Fault("the answer is empty; want the answer's text between the tags")
    if any(tag in answer for tag in _tags(dialect)):
        raise _Fault("the answer holds another tag; want plain text between the tags")
    return answer


def _zoom(dialect: Dialect, calls: str, thought: str, shown: Sequence[View]) -> Zoom:
    tags = Tags.of(dialect.call)
    bodies = [part.split(tags.close, 1) for part in calls.split(tags.open)[1:]]
    if any(len(body) < 2 for body in bodies):
        raise _Fault(f"the call is cut off; want {tags.close} after its JSON")
    found = [arguments for body in bodies for arguments in _arguments(dialect, body[0])]
    if not found:
        raise _Fault("the call names no box; want one")
    asked = tuple(dict.fromkeys(_box(dialect, arguments, shown) for arguments in found))
    label = found[0].get(dialect.label, "")
    label = label.encode(errors="replace").decode() if isinstance(label, str) else ""  # JSON may spell half a character
    return Zoom(asked, label, thought)


def _arguments(dialect: Dialect, body: str) -> list[dict[str, Any]]:
    """The arguments of a call, which may be several."""
    if dialect.shape == "numbers":
        said = [float(number) for number in _NUMBER.findall(body)]
        return [{dialect.box: said[n : n + 4]} for n in range(0, max(1, len(said)), 4)]
    try:
        call = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Fault(f"the call is not JSON ({type(error).__name__}); want one JSON object") from None
    match dialect.shape:
        case "tool":
            return [_named(dialect, call)]
        case "list" if isinstance(call, list) and all(isinstance(each, dict) for each in call):
            return call
        case _ if isinstance(call, dict):
            return [call]
    raise _Fault(f'the call is no JSON object with "{dialect.box}"; {_form(dialect)}')


def _named(dialect: Dialect, call: Any) -> dict[str, Any]:
    """The arguments of a call of the zoom tool."""
    if not isinstance(call, dict) or call.get("name") != dialect.tool:
        raise _Fault(f'the call names no known tool; want {{"name": "{dialect.tool}", "arguments": {{…}}}}')
    if not isinstance(call.get("arguments"), dict):
        raise _Fault(f'the call has no arguments; want "arguments": {{"{dialect.box}": [x1, y1, x2, y2]}}')
    arguments: dict[str, Any] = call["arguments"]
    return arguments


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _box(dialect: Dialect, arguments: dict[str, Any], shown: Sequence[View]) -> Box:
    """The box that a call names, in source pixels."""
    said, name = arguments.get(dialect.box), dialect.box
    if not (isinstance(said, list) and len(said) == 4 and all(type(v) in (int, float) for v in said)):
        raise _Fault(f"{name} is not a list of four numbers; want [x1, y1, x2, y2]")
    view = shown[_picture(dialect, arguments, len(shown))]
    within = frames.described(view, dialect.unit)
    try:
        return frames.box(said, view, dialect.unit)
    except InvalidBox:  # also a box so thin that it vanishes among the floats of the source's frame
        raise _Fault(f"{name} {said} is empty, reversed or outside; want x1 < x2 and y1 < y2 within {within}") from None


def _picture(dialect: Dialect, arguments: dict[str, Any], count: int) -> int:
    """Which of the pictures so far a call's box is in: the first where it does not say."""
    said = arguments.get(dialect.source) if dialect.source else None
    if said is None:
        return 0
    place = -1
    if dialect.sources == "name" and isinstance(said, str):
        observed = OBSERVATION.fullmatch(said)
        place = 0 if said == ORIGINAL else int(observed[1]) if observed else -1
    elif dialect.sources != "name" and type(said) is int:
        place = said - (dialect.sources == "one")
    if not 0 <= place < count:
        raise _Fault(f"{dialect.source} {said!r} names none of the {count} pictures so far; want one of them")
    return place


def _closing_brace(text: str) -> int:
    """Where the brace is closed that was opened before the text, -1 if nowhere."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return at
    return -1
