"""The tools by name: a module of this folder, an entry point of another package, or `module:NAME` of anybody's code."""

from __future__ import annotations

import functools
import importlib
import re
from importlib.metadata import entry_points
from typing import Any

from cof.errors import InvalidConfig
from cof.tools.base import Tool

GROUP = "cof.tools"  # of entry points: each names a value with `name`, `about`, `schema` and `run`
OWN = re.compile(r"[a-z_]+")


@functools.cache
def tool_named(name: str) -> Tool:
    """The tool. Raises InvalidConfig where there is none of that name."""
    if ":" in name:
        module, _, value = name.partition(":")
        found = _value(module, value, name)
    elif outside := entry_points(group=GROUP, name=name):
        found = next(iter(outside)).load()
    elif OWN.fullmatch(name):
        found = _value(f"cof.tools.{name}", "TOOL", name)
    else:
        found = None
    if not all(hasattr(found, each) for each in ("name", "about", "schema", "run")):
        raise InvalidConfig(f"there is no tool {name!r}; want zoom, rotate, an entry point of {GROUP}, or module:NAME")
    tool: Tool = found
    return tool


def _value(module: str, value: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), value, None)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise InvalidConfig(f"the tool {name!r} needs {error.name}, which is not installed") from None
        return None
