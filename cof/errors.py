"""The exception tree. Every error a user can meet is one of these, and says what was expected, what came and what to do.

    CofError
    ├── InputError            what the user gave cannot be used (exit code 2)
    │   ├── InvalidImage      not a picture, truncated, too large, or of a refused format
    │   ├── InvalidBox        an empty, reversed, non-finite or outside box
    │   ├── InvalidConfig     an unknown key or a value of the wrong type in a recipe or on the command line
    │   ├── InvalidRun        a run folder that belongs to other settings, or is damaged
    │   └── MissingExtra      an optional dependency that this call needs is not installed
    └── ModelError            a model could not be loaded, or failed while it completed a turn (exit code 1)

Bad model *output* is not an error: it is parsed into `Malformed` and told to the model.
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
    """The command that adds `extra` to this package where it came from: a clone, a wheel, an address, or a registry."""
    clone = Path(__file__).resolve().parent.parent
    if (clone / "pyproject.toml").is_file():
        return f"{_pip()} -e {shlex.quote(f'{clone}[{extra}]')}"
    came_from = _address()
    wanted = f"{NAME}[{extra}] @ {came_from}" if came_from else f"{NAME}[{extra}]"
    return f"{_pip()} {shlex.quote(wanted)}"


def _pip() -> str:
    return f"{shlex.quote(sys.executable or 'python')} -m pip install"


def _address() -> str | None:
    """Where pip installed the package from, by its own record (PEP 610); None where that was a registry."""
    try:
        record = json.loads(metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    url = record.get("url")
    repository = record.get("vcs_info", {})
    return f"{repository['vcs']}+{url}@{repository['commit_id']}" if url and repository else url
