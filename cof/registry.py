"""Parts that a recipe or a command names: those of this package, of others that are installed, and at a Python path.

An installed package names a part by an entry point; any other code is named by its path `module:name`. Omits what a part has to
be, which its own seam checks.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from cof.errors import InvalidConfig

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@functools.cache
def installed(group: str) -> Mapping[str, str]:
    """Names and Python paths of the entry points of a group."""
    return {point.name: point.value for point in entry_points(group=group)}


def is_path(name: str) -> bool:
    """Whether a name is a Python path, `module:name`."""
    return _PATH.fullmatch(name) is not None


def known(group: str, own: Mapping[str, str]) -> Mapping[str, str]:
    """The Python paths of parts by name: this package's `own`, and those of a group that do not have such a name."""
    return {**own, **{name: path for name, path in installed(group).items() if name not in own}}


def part(kind: str, name: str, known: Mapping[str, str]) -> Any:
    """The part called `name` in `known`, which maps names to Python paths, or at that path itself. Raises InvalidConfig.

    A module may be in the current folder, as for `python -m`.
    """
    path = known.get(name, name)
    if not is_path(path):
        raise InvalidConfig(f"unknown {kind} {name!r}; want one of {', '.join(sorted(known))}, or module:name")
    module, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # at the end, where it hides nothing
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InvalidConfig(f"{kind} {name!r} is not there ({reason}); want a module that can be imported") from error
