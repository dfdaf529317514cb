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
        how = f"pip install 'chain-of-focus[{extra}]', or -e '.[{extra}]' in a clone"
        super().__init__(f"{doing} needs {missing}; want it installed: {how}")


class ModelError(CofError):
    """A model could not be loaded, or failed while it completed a turn."""
