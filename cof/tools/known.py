"""The tools by name: a module of this folder, an entry point of another package, or a Python path `module:NAME`."""

from __future__ import annotations

import functools
import pkgutil

import cof.tools
from cof.errors import InvalidConfig
from cof.registry import known, part
from cof.tools.base import Tool

GROUP = "cof.tools"  # of entry points: each names a value with `name`, `about`, `schema` and `run`
NO_TOOLS = ("base", "known")  # modules of this folder


@functools.cache
def tool_named(name: str) -> Tool:
    """The tool. Raises InvalidConfig where there is none of that name."""
    found = part("tool", name, known(GROUP, _own()))
    if not all(hasattr(found, each) for each in ("name", "about", "schema", "run")):
        raise InvalidConfig(f"tool {name!r} is {type(found).__name__}; want a value with name, about, schema and run")
    tool: Tool = found
    return tool


def _own() -> dict[str, str]:
    """The tools of this folder, each the value `TOOL` of a module that has the tool's name."""
    names = [module.name for module in pkgutil.iter_modules(cof.tools.__path__) if module.name not in NO_TOOLS]
    return {name: f"cof.tools.{name}:TOOL" for name in names}
