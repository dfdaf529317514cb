"""The calls of a turn: from the text between a call's tags to `Call` values with boxes in source pixels, and back to text.

A named call is read in four forms in every family that has names: JSON, and the forms of Qwen3.5, GLM and Gemma 4, so that a
chat template that wins over the prompt does no harm. Only `well_formed` asks for the family's own form. What cannot be read is
a `ParseError`; nothing is evaluated.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cof.dialects import frames, relaxed_json
from cof.dialects.turns import NAMED_SHAPES, SAID, Span, Tags
from cof.errors import InvalidBox
from cof.geometry import Box, Shown
from cof.types import ZOOM, Call

if TYPE_CHECKING:
    from cof.dialects.dialect import Dialect

PICTURE = "picture"  # the key of a box's picture, counted from 1, where the family has no key of its own
ORIGINAL = "original_image"  # the name of the first picture; of several the second is original_image_2
_ORIGINAL, _OBSERVATION = re.compile(rf"{ORIGINAL}(?:_(\d{{1,6}}))?"), re.compile(r"observation_(\d{1,6})")
Y_FIRST = "box_2d"  # Gemini's key of boxes in thousandths, y first (ai.google.dev/gemini-api/docs/image-understanding)
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,9}(?:\.\d{1,20})?")
_WHOLE = re.compile(r"\d{1,6}")
_FLAT = re.compile(r"\{[^{}]*+\}")
_OPENER = re.compile(r"\{|<function=|<arg_key>")  # the first of them marks the form of a named call

NamedCall = tuple[str, Any]  # the family's name of a tool, "" where calls have none, and the arguments as written


class ParseError(Exception):
    """A call that cannot be read. Its message becomes the fault of `Malformed`."""


def original(picture: int) -> str:
    """The name of a question's picture by its number from 0, where pictures have names."""
    return f"{ORIGINAL}_{picture + 1}" if picture else ORIGINAL


def calls_of(dialect: Dialect, spans: Sequence[Span], shown: Sequence[Shown], thought: str) -> tuple[Call, ...]:
    """The calls of a turn, each once; `shown` is all that the model was shown so far. Raises ParseError."""
    written = [each for span in spans for each in _written(dialect, span)]
    if not written:
        raise ParseError("the call names no box; want one")
    found = dict[tuple[str, str], Call]()
    for name, arguments in written:
        call = _call(dialect, name, arguments, shown)
        found.setdefault((call.tool, repr(call.arguments)), call)  # arguments need not be hashable
    first, *others = found.values()
    return (replace(first, thought=thought), *others)


def _call(dialect: Dialect, name: str, arguments: dict[str, Any], shown: Sequence[Shown]) -> Call:
    """A call by what the family writes. Raises ParseError."""
    label = arguments.get(dialect.label, "")
    label = label.encode(errors="replace").decode() if isinstance(label, str) else ""  # JSON may spell half a character
    other = next((tool for tool in dialect.tools if tool.name == name), None)
    if other is None:
        box, subject = _box(dialect, arguments, shown)
        return Call(ZOOM, {"box": box} | ({"of": subject} if shown[subject].edits else {}), label)
    own: dict[str, Any] = {key: _kept(arguments[word]) for key, word in other.arguments if word in arguments}
    if "of" in own:
        own["of"] = _subject(dialect, dict(other.arguments)["of"], own["of"], shown)
    return Call(other.tool, own, label)


def _kept(value: Any, deeper: int = relaxed_json.DEEPEST) -> Any:
    """An argument of a further tool as a trace can keep it: half characters are replaced. Raises ParseError on what is no JSON,
    or nested too deep."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case list() if deeper:
            return [_kept(each, deeper - 1) for each in value]
        case dict() if deeper:
            return {_kept(key): _kept(each, deeper - 1) for key, each in value.items()}
    raise ParseError("an argument of the call is infinite or nested too deep; want plain JSON")


def named(body: str, label: str = "", whole: bool = True) -> list[NamedCall]:
    """The calls between the tags of a call, in any of the forms. Raises ValueError.

    Values that are no JSON of their own are texts, and so is that of `label`. `whole` is as in `relaxed_json.loads`.
    """
    found = _OPENER.search(body)
    opener = found[0] if found else ""
    if opener == "<function=":  # Qwen3.5
        parts = (part.partition("</function>")[0].partition(">") for part in body.split("<function=")[1:])
        return [(name.strip(), _tagged(rest, ("<parameter=", ">", "</parameter>"), label)) for name, _, rest in parts]
    if opener == "<arg_key>":  # GLM
        name, sign, rest = body.partition("<arg_key>")
        return [(name.strip(), _tagged(sign + rest, ("<arg_key>", "</arg_key>", "</arg_value>"), label))]
    if body.lstrip().startswith("call:"):  # Gemma 4
        name, brace, rest = body.partition("{")
        return [(name.strip().removeprefix("call:").strip(), relaxed_json.loads(brace + rest, whole))]
    call = relaxed_json.loads(body, whole)
    if not isinstance(call, dict):
        raise ValueError("it is no object")
    given = call.get("arguments", call.get("parameters"))
    if isinstance(given, str):  # as in the messages of OpenAI's API
        given = relaxed_json.loads(given) or None
    said = call.get("name")
    return [(said if isinstance(said, str) else "", given)]


def written(dialect: Dialect, name: str, arguments: dict[str, Any]) -> str:
    """A named call in the family's own form, with its tags."""
    values = {key: value if isinstance(value, str) else _json(value) for key, value in arguments.items()}
    match dialect.shape:
        case "xml":
            lines = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
            body = f"\n<function={name}>\n{lines}</function>\n"
        case "pairs":
            pairs = (f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in values.items())
            body = f"{name}\n" + "".join(pairs)
        case _:
            body = _json({"name": name, "arguments": arguments})
    return Tags.of(dialect.call).around(body)


def strict(dialect: Dialect, body: str) -> bool:
    """Whether a call has the family's own form, without anything to forgive."""
    if dialect.shape == "numbers":
        return len(_NUMBER.findall(body)) in range(4, len(body), 4)
    try:
        if dialect.shape in ("xml", "pairs"):
            ((name, arguments),) = named(body, dialect.label)
            own = _spaceless(written(dialect, name, arguments)) == _spaceless(Tags.of(dialect.call).around(body))
            return own and _is_strict_of(dialect, name, arguments)
        said = json.loads(body)
        if dialect.shape == "tool":
            return _is_strict_of(dialect, said.get("name"), said.get("arguments"))
        every = said if dialect.shape == "list" and isinstance(said, list) else [said]
        return all(_is_strict(dialect, each) for each in every)
    except (ValueError, AttributeError, RecursionError):
        return False


def form(dialect: Dialect) -> str:
    """What a call should look like."""
    numbers = dialect.numbers.replace("{", "").replace("}", "")
    own = f"<function={dialect.tool}>{SAID}</function>" if dialect.shape == "xml" else f"{dialect.tool}{SAID}"
    said = {"list": "[{JSON}]", "numbers": numbers, "xml": own, "pairs": own}.get(dialect.shape, "{JSON}")
    return Tags.of(dialect.call).around(said)


def _is_strict_of(dialect: Dialect, name: Any, arguments: Any) -> bool:
    """Whether a named call has the arguments that its tool takes in this family, and no others."""
    if name == dialect.tool:
        return _is_strict(dialect, arguments)
    tool = next((tool for tool in dialect.tools if tool.name == name), None)
    return tool is not None and isinstance(arguments, dict) and {*arguments} <= {word for _, word in tool.arguments}


def _is_strict(dialect: Dialect, arguments: Any) -> bool:
    place = arguments.get(dialect.source, 0) if dialect.source else 0
    return _numbers(arguments.get(dialect.box)) and not isinstance(place, float | bool)


def _written(dialect: Dialect, call: Span) -> list[tuple[str, dict[str, Any]]]:
    """The calls between a call's tags, by the family's own name and arguments. The name of the zoom is empty."""
    body = call.text if call.closed else _without_part(call.text, call.tags.close)
    if dialect.shape == "numbers":
        if not call.closed and body.rstrip()[-1:].isdigit():  # the last number may go on
            raise ParseError(f"the call is cut off; want {call.tags.close} after its numbers")
        numbers = [float(number) for number in _NUMBER.findall(body)]
        return [("", {dialect.box: numbers[n : n + 4]}) for n in range(0, max(1, len(numbers)), 4)]
    try:
        if dialect.shape in NAMED_SHAPES:
            return [_of_tool(dialect, each) for each in named(body, dialect.label, not call.closed)]
        return [("", each) for each in _objects(dialect, body, not call.closed)]
    except ValueError as error:
        if not call.closed:
            raise ParseError(f"the call is cut off; want {call.tags.close} after its JSON") from None
        raise ParseError(f"the call is not JSON ({error}); want {form(dialect)}") from None


def _objects(dialect: Dialect, body: str, whole: bool) -> list[dict[str, Any]]:
    """The objects of a call without a name. Of a list with a bracket too many or too few they are read one by one."""
    try:
        said = relaxed_json.loads(body, whole)
    except ValueError:
        if dialect.shape != "list" or not body.strip().endswith("]"):
            raise
        said = [found for each in _FLAT.findall(body) if (found := _flat(each)) and dialect.box in found]
        if not said:
            raise
    every = said if dialect.shape == "list" and isinstance(said, list) else [said]
    if not all(isinstance(each, dict) for each in every):
        raise ParseError(f'the call is no JSON object with "{dialect.box}"; want {form(dialect)}')
    return every


def _flat(text: str) -> Any:
    try:
        return relaxed_json.loads(text)
    except ValueError:
        return None


def _of_tool(dialect: Dialect, call: NamedCall) -> tuple[str, dict[str, Any]]:
    """A named call, where the name is one of the family's tools; that of the zoom becomes empty."""
    name, arguments = call
    if name != dialect.tool and all(name != tool.name for tool in dialect.tools):
        others = "".join(f" or {tool.name}" for tool in dialect.tools)
        raise ParseError(f'the call names no known tool; want {{"name": "{dialect.tool}", "arguments": {{…}}}}{others}')
    if not isinstance(arguments, dict):
        raise ParseError(f'the call has no arguments; want "arguments": {{"{dialect.box}": {_corners(dialect)}}}')
    return "" if name == dialect.tool else name, arguments


def _box(dialect: Dialect, arguments: dict[str, Any], shown: Sequence[Shown]) -> tuple[Box, int]:
    """The box that a call names, in source pixels, and the place among `shown` of what it is named in."""
    name, order = dialect.box, dialect.order
    if name not in arguments and Y_FIRST in arguments and dialect.unit == "thousand":
        name, order = Y_FIRST, "yx"
    said: Any = arguments.get(name)
    if not _numbers(said):
        raise ParseError(f"{name} is not a list of four numbers; want {_corners(dialect)}")
    several = any(view.picture for view in shown)
    key = dialect.source or (PICTURE if several else "")
    subject = _subject(dialect, key, arguments.get(key), shown) if key in arguments else 0
    view = shown[subject]
    within = frames.described(view, dialect.unit)
    try:
        return frames.box(said, view, dialect.unit, order), subject
    except InvalidBox:  # also a box so thin that it vanishes among the floats of the source's frame
        raise ParseError(
            f"{name} {said} is empty, reversed or outside; want x1 < x2 and y1 < y2 within {within}"
        ) from None


def _subject(dialect: Dialect, key: str, said: Any, shown: Sequence[Shown]) -> int:
    """Which of the pictures so far a call's argument `key` names, from 0: the first where it is null."""
    if said is None:
        return 0
    place, number, sources = -1, said, dialect.sources if dialect.source else "one"
    if (isinstance(said, str) and _WHOLE.fullmatch(said)) or (isinstance(said, float) and said.is_integer()):
        number = int(said)
    if sources == "name" and isinstance(said, str):
        pictures = 1 + max(view.picture for view in shown)
        if original := _ORIGINAL.fullmatch(said):
            place = int(original[1] or 1) - 1 if int(original[1] or 1) <= pictures else -1
        elif observed := _OBSERVATION.fullmatch(said):
            place = pictures - 1 + int(observed[1])
    elif sources != "name" and type(number) is int:
        place = number - (sources == "one")
    if not 0 <= place < len(shown):
        raise ParseError(f"{key} {reprlib.repr(said)} names none of the {len(shown)} pictures so far; want one of them")
    return place


def _numbers(said: Any) -> bool:
    return isinstance(said, list) and len(said) == 4 and all(type(number) in (int, float) for number in said)


def _corners(dialect: Dialect) -> str:
    return "[x1, y1, x2, y2]" if dialect.order == "xy" else "[y1, x1, y2, x2]"


def _tagged(text: str, signs: tuple[str, str, str], label: str) -> dict[str, Any]:
    """Arguments that have tags each: before a key, after it, and after its value."""
    before, after, end = signs
    pairs = (part.partition(end)[0].partition(after) for part in text.split(before)[1:])
    found = {key.strip(): value.strip().removeprefix("<arg_value>").strip() for key, _, value in pairs}
    return {key: value if key == label else _value(value) for key, value in found.items()}


def _value(text: str) -> Any:
    """A value that is JSON of its own: an array, an object or a number; else the text."""
    try:
        return relaxed_json.loads(text) if text[:1] in tuple("[{-0123456789") else text
    except ValueError:
        return text


def _without_part(text: str, tag: str) -> str:
    """The text without the beginning of a tag that it breaks off in."""
    length = next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
    return text[: len(text) - length]


def _spaceless(text: str) -> str:
    return "".join(text.split())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
