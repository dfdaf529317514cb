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

import json
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PACKAGE = "chain-of-focus"


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
        super().__init__(f"{doing} needs {missing}; want it installed: {how_to_install(extra)}")


class ModelError(CofError):
    """A model could not be loaded, or failed while it completed a turn."""


def how_to_install(extra: str) -> str:
    """The command that installs an `extra` of this package, from the clone or wheel that the package is from (PEP 610)."""
    found = _direct_url()
    path = Path(unquote(urlsplit(str(found.get("url", ""))).path))
    if not found or not path.exists():
        return f"pip install '.[{extra}]' in the clone, or 'chain_of_focus-VERSION-py3-none-any.whl[{extra}]' with the wheel"
    folder = found.get("dir_info")
    editable = "-e " if isinstance(folder, dict) and folder.get("editable") else ""
    return f"{sys.executable} -m pip install {editable}'{path}[{extra}]'"


def _direct_url() -> dict[str, Any]:
    """What pip recorded about the source of this package; empty where there is no record."""
    try:
        text = distribution(PACKAGE).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
