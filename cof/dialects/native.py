"""Native tool calls: the declaration of a family's tools for a server, and a turn split into its words and its calls.

`split_tool_calls` is the inverse of `Dialect.join`. A turn that cannot be split without loss stays text, so that a server
never gets a call that is not JSON.
"""

from __future__ import annotations

import json
from typing import Any

from cof.dialects.base import FamilyTool
from cof.dialects.calls import named as calls_of
from cof.dialects.dialect import Dialect
from cof.dialects.frames import Unit
from cof.dialects.turns import Tags
from cof.tools.known import tool_named
from cof.types import ZOOM

FOLLOWS = "The picture is in the next message."  # a tool's reply where the picture itself stands in a user turn
LABEL = "What the part shows."
OF = "Which of the pictures so far it is about."
UNITS: dict[Unit, str] = {
    "pixel": "pixels",
    "thousand": "thousandths of its width and height",
    "unit": "parts of its width and height, from 0 to 1",
    "unit or pixel": "parts of its width and height, from 0 to 1",
}
SOURCES = {
    "zero": ("integer", "Which picture the box is in, counted from 0."),
    "one": ("integer", "Which picture the box is in, counted from 1."),
    "name": ("string", "Which picture the box is in: original_image, observation_1, observation_2 and so on."),
}


def tools(dialect: Dialect) -> list[dict[str, Any]]:
    """The family's tools as a request's `tools`; their arguments are those that `calls.py` reads."""
    return [_zoom(dialect), *(_further(tool) for tool in dialect.tools)]


def _further(family: FamilyTool) -> dict[str, Any]:
    """A further tool: its own schema, in the family's words."""
    tool, words = tool_named(family.tool), dict(family.arguments)
    own = {"of": {"type": "integer", "description": OF}} | dict(tool.schema["properties"])
    properties = {words[name]: schema for name, schema in own.items() if name in words}
    needed = [words[name] for name in tool.schema.get("required", ()) if name in words]
    schema = {"type": "object", "properties": properties, "required": needed}
    return {"type": "function", "function": {"name": family.name, "description": tool.about, "parameters": schema}}


def _zoom(dialect: Dialect) -> dict[str, Any]:
    which = "that picture" if dialect.source else "the first picture"
    corners = "x1, y1, x2, y2" if dialect.order == "xy" else "y1, x1, y2, x2"
    box = f"{corners} in {which}, in {UNITS[dialect.unit]}."
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4, "description": box}
    arguments: dict[str, Any] = {dialect.box: numbers}
    if dialect.label:
        arguments[dialect.label] = {"type": "string", "description": LABEL}
    if dialect.source:
        kind, said = SOURCES[dialect.sources]
        arguments[dialect.source] = {"type": kind, "description": said}
    needed = [dialect.box, *([dialect.source] if dialect.source else [])]
    schema = {"type": "object", "properties": arguments, "required": needed}
    return {
        "type": "function",
        "function": {"name": dialect.tool, "description": tool_named(ZOOM).about, "parameters": schema},
    }


def split_tool_calls(dialect: Dialect, text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The text of an assistant turn, and (name, JSON arguments) of the calls that it ends with.

    All of it is text where it ends otherwise, or where a call has no name and arguments.
    """
    tags = Tags.of(dialect.call)
    words, *bodies = text.split(tags.open)
    calls = []
    for body in bodies:
        said, closed, after = body.partition(tags.close)
        call = _call(dialect, said) if closed and not after.strip() else None
        if call is None:
            return text, ()
        calls.append(call)
    return words, tuple(calls)


def _call(dialect: Dialect, said: str) -> tuple[str, str] | None:
    """A call whose JSON may spell half a character, which cannot be sent: it becomes a question mark."""
    try:
        if dialect.shape == "tool":
            found = json.loads(said)
            name, arguments = found["name"], found["arguments"]
        else:
            ((name, arguments),) = calls_of(said, dialect.label)
        if name and isinstance(name, str) and isinstance(arguments, dict):
            written = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
            return name.encode(errors="replace").decode(), written.encode(errors="replace").decode()
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None
