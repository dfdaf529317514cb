"""The exception tree. Every error a user can meet is one of these; its message has what was expected, what came and what to do.

    CofError
    ├── InputError            what the user gave cannot be used (exit code 2)
    │   ├── InvalidImage      not a picture, truncated, too large, or of a refused format
    │   ├── InvalidBox        an empty, reversed, non-finite or outside box
    │   ├── InvalidConfig     an unknown key or a value of the wrong type in a recipe or on the command line
    │   ├── InvalidRun        a run folder that belongs to other settings, or is damaged
    │   └── MissingExtra      an optional dependency that this call needs is not installed
    └── ModelError            a model could not be loaded, or failed while it completed a turn (exit code 1)

Bad model *output* is not an error: it is parsed into `Malformed`, whose fault goes back to the model.
"""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path

NAME = "chain-of-focus"


class CofError(Exception):
    """Root of every error raised on purpose by this package."""


class InputError(CofError):
    """What the user gave cannot be used."""


class InvalidImage(InputError):
    """Not a picture, truncated, too large, or of a refused format."""


class InvalidBox(InputError):
    """A box that is empty, reversed, non-finite or outside its picture."""


class InvalidConfig(InputError):
    """An unknown key, or a value of the wrong type, in a recipe or on the command line."""


class InvalidRun(InputError):
    """A run folder that belongs to other settings, or is damaged."""


class MissingExtra(InputError):
    """An optional dependency, of an `extra` of this package, that `doing` something needs is not installed."""

    def __init__(self, doing: str, missing: str | None, extra: str) -> None:
        super().__init__(f"{doing} needs {missing}; want the extra {extra} installed: {installing(extra)}")


class ModelError(CofError):
    """A model could not be loaded, or failed while it completed a turn."""


def installing(extra: str) -> str:
    """The command that adds `extra` to this package where it came from: a clone, a wheel or an address (PEP 610)."""
    clone = Path(__file__).resolve().parent.parent
    if (clone / "pyproject.toml").is_file():
        return f"{_pip()} -e {shlex.quote(f'{clone}[{extra}]')}"
    if came_from := _address():
        return f"{_pip()} {shlex.quote(f'{NAME}[{extra}] @ {came_from}')}"
    return (
        f"pip install '.[{extra}]' in the clone, or 'chain_of_focus-VERSION-py3-none-any.whl[{extra}]' with the wheel"
    )


def _pip() -> str:
    return f"{shlex.quote(sys.executable or 'python')} -m pip install"


def _address() -> str | None:
    """Where pip installed the package from, by its own record; None where that is not known."""
    try:
        record = json.loads(metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("url"), str):
        return None
    url, repository = record["url"], record.get("vcs_info")
    return f"{repository['vcs']}+{url}@{repository['commit_id']}" if repository else str(url)
