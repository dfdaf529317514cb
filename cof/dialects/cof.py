"""The grammar of the Chain-of-Focus checkpoints (arXiv 2505.15436): prompts, tags, and both directions of translation.

One assistant turn is `<think>…</think>` and then either one or more `<tool_call>` with a box in absolute pixels of the
first picture as shown, or `<answer>…</answer>`. Crops come back in a user turn. `parse` accepts JSON only and evaluates
nothing; whatever it cannot read becomes `Malformed` with one sentence that tells the model what to mend. The prompt
sentences are this project's own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from cof.dialects.base import Message
from cof.errors import InvalidBox
from cof.types import Action, Answer, Box, Malformed, Question, Trace, Turn, View, Zoom
from cof.vision import boxes

NAME = "cof"
TOOL = "image_zoom_in_tool"
SYSTEM = (
    "You answer questions about a picture. Think inside <think></think>. If what you need is too small to see, ask for "
    'a closer look: <tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x1, y1, x2, y2], "label": "…"}}'
    "</tool_call> with the box in pixels of the first picture. Otherwise answer inside <answer></answer>."
)
CLOSER = "This is the closer look. Think, then zoom again or answer."
ANSWER_NOW = "Answer now, without zooming."
CHOOSE = "Choose one of: "

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
_TAG = r"(?!</?(?:think|tool_call|answer)>|<\|)"
_PLAIN = rf"\s*{_TAG}\S(?:{_TAG}.)*"  # says something, without a tag
_TURN = re.compile(
    rf"\s*{THINK_OPEN}{_PLAIN}{THINK_CLOSE}\s*"
    rf"(?:(?:{CALL_OPEN}{_PLAIN}{CALL_CLOSE}\s*)+|{ANSWER_OPEN}{_PLAIN}{ANSWER_CLOSE}\s*)",
    re.DOTALL,
)
_FORM = f"want {CALL_OPEN}{{JSON}}{CALL_CLOSE} or {ANSWER_OPEN}text{ANSWER_CLOSE} after {THINK_CLOSE}"


def messages(
    question: Question, overview: View, turns: Sequence[Turn] = (), direct: bool = False
) -> tuple[Message, ...]:
    """The conversation so far; earlier messages never change from turn to turn. `direct` forbids zooming throughout."""
    opening = (
        Message("system", (SYSTEM,)),
        Message("user", (overview, ask(question, direct))),
    )
    later = (m for turn in turns for m in (Message("assistant", (turn.completion.text,)), *_reply(turn)))
    return (*opening, *later)


def told(trace: Trace) -> tuple[Message, ...]:
    """The whole conversation of a trace."""
    return messages(trace.question, trace.overview, trace.turns, trace.mode == "direct")


def ask(question: Question, direct: bool = False) -> str:
    """The user's words: the question, its choices, and the order to answer at once where `direct`."""
    lines = [question.text.strip()]  # a line end from a file must not change the answer
    if question.choices:
        lines.append(CHOOSE + ", ".join(question.choices) + ".")
    if direct:
        lines.append(ANSWER_NOW)
    return "\n".join(lines)


def fingerprint() -> str:
    """A hash of all that this dialect says to a model of its own accord."""
    said = [SYSTEM, CLOSER, ANSWER_NOW, CHOOSE, TOOL, _FORM, complain(""), begin_call()]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def complain(fault: str) -> str:
    """What the model is told after a turn that cannot be followed."""
    return f"That did not work: {fault}."


def write(action: Zoom | Answer, overview: View) -> str:
    """The assistant turn that `parse` reads as `action`; boxes are rounded to whole pixels of the overview."""
    thought = f"{THINK_OPEN}{action.thought}{THINK_CLOSE}"
    match action:
        case Answer(text):
            return f"{thought}{ANSWER_OPEN}{text}{ANSWER_CLOSE}"
        case Zoom(found, label):
            return thought + "".join(_write_call(overview.from_source(box), label) for box in found)


def spoken(thought: str, content: str, calls: Sequence[tuple[str, str]]) -> str:
    """The assistant turn that a server took apart: its thought, what is left, and (name, JSON arguments) of its calls."""
    written = (f'{CALL_OPEN}{{"name": {json.dumps(name)}, "arguments": {given}}}{CALL_CLOSE}' for name, given in calls)
    return (f"{THINK_OPEN}{thought}{THINK_CLOSE}" if thought else "") + content + "".join(written)


def begin_call() -> str:
    """The beginning of an assistant turn that goes on with a box: for a model that is made to zoom."""
    call = _write_call(Box(0, 0, 1, 1), "")
    return THINK_OPEN + THINK_CLOSE + call[: call.index("[") + 1]


def well_formed(text: str) -> bool:
    """Whether a turn has exactly the form: a thought that says something, then calls or one answer, and nothing else.

    `parse` forgives more.
    """
    return _TURN.fullmatch(text) is not None


def parse(text: str, overview: View) -> Action:
    """What an assistant turn asks for. Boxes come back in source pixels; a part outside the picture is cut off."""
    try:
        thought, rest = _split_thought(text)
        calls, answer = rest.find(CALL_OPEN), rest.find(ANSWER_OPEN)
        if calls >= 0 and (answer < 0 or calls < answer):
            return _zoom(rest, thought, overview)
        if answer >= 0:
            return Answer(_answer_text(rest[answer + len(ANSWER_OPEN) :]), thought)
        raise _Fault(f"there is neither a call nor an answer; {_FORM}")
    except _Fault as fault:
        return Malformed(str(fault), text)


class _Fault(Exception):
    """Carries the sentence for `Malformed` out of the parser."""


def _reply(turn: Turn) -> tuple[Message, ...]:
    words = turn.note or (CLOSER if turn.views else "")
    return (Message("user", (*turn.views, words)),) if words else ()


def _write_call(box: Box, label: str) -> str:
    numbers = [round(v) for v in box.as_tuple()]
    arguments: dict[str, Any] = {"bbox_2d": numbers} | ({"label": label} if label else {})
    return CALL_OPEN + json.dumps({"name": TOOL, "arguments": arguments}, ensure_ascii=False) + CALL_CLOSE


def _split_thought(text: str) -> tuple[str, str]:
    """The thought, and what comes after it; a text whose first tag is a call or an answer has no thought."""
    first = re.search(f"{THINK_OPEN}|{CALL_OPEN}|{ANSWER_OPEN}", text)
    if first is None or first[0] != THINK_OPEN:
        return "", text
    end = text.find(THINK_CLOSE, first.end())
    if end < 0:
        raise _Fault(f"the thought is not closed; want {THINK_CLOSE} before the call or the answer")
    return text[first.end() : end].strip(), text[end + len(THINK_CLOSE) :]


def _answer_text(rest: str) -> str:
    answer = rest.split(ANSWER_CLOSE, 1)[0].strip()
    if not answer:
        raise _Fault("the answer is empty; want the answer's text between the tags")
    if re.search(r"</?(answer|tool_call|think)>", answer):
        raise _Fault("the answer holds another tag; want plain text between the tags")
    return answer


def _zoom(rest: str, thought: str, overview: View) -> Zoom:
    bodies = [part.split(CALL_CLOSE, 1) for part in rest.split(CALL_OPEN)[1:]]
    if any(len(body) < 2 for body in bodies):
        raise _Fault(f"the call is cut off; want {CALL_CLOSE} after its JSON")
    calls = [_arguments(body[0]) for body in bodies]
    found = tuple(dict.fromkeys(_box(call.get("bbox_2d"), overview) for call in calls))
    label = calls[0].get("label", "")
    return Zoom(found, label if isinstance(label, str) else "", thought)


def _arguments(body: str) -> dict[str, Any]:
    try:
        call = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Fault(f"the call is not JSON ({type(error).__name__}); want one JSON object") from None
    if not isinstance(call, dict) or call.get("name") != TOOL:
        raise _Fault(f'the call names no known tool; want {{"name": "{TOOL}", "arguments": {{…}}}}')
    if not isinstance(call.get("arguments"), dict):
        raise _Fault('the call has no arguments; want "arguments": {"bbox_2d": [x1, y1, x2, y2]}')
    arguments: dict[str, Any] = call["arguments"]
    return arguments


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _box(numbers: Any, overview: View) -> Box:
    """Four numbers in pixels of the overview, as a box in source pixels."""
    if not (isinstance(numbers, list) and len(numbers) == 4 and all(type(v) in (int, float) for v in numbers)):
        raise _Fault("bbox_2d is not a list of four numbers; want [x1, y1, x2, y2]")
    width, height = overview.size
    if any(abs(v) > 1e6 for v in numbers):
        raise _Fault(f"bbox_2d lies outside the picture of {width} x {height} pixels")
    try:
        inside = boxes.clip(Box(*(float(v) for v in numbers)), boxes.full(overview.size))
        return boxes.clip(overview.to_source(inside), overview.region)
    except InvalidBox:  # also a box so thin that it vanishes among the floats of the source's frame
        want = f"want x1 < x2 and y1 < y2 within {width} x {height} pixels"
        raise _Fault(f"bbox_2d {numbers} is empty, reversed or outside; {want}") from None
