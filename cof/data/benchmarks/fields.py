"""The fields of a row as text, lists and boxes. Every error names the row and the field, and says what is wanted there."""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import reprlib
from collections.abc import Sequence
from typing import Any

from cof.data.benchmarks.rows import Row
from cof.errors import InputError, InvalidBox
from cof.geometry import Box

SIMILAR = 0.82  # share of letters in common from which a name counts as misspelt


def check_spelling(row: Row, names: Sequence[str], absent: Sequence[str]) -> None:
    """Refuse a field that is none of those that are read (`names`) and almost one of those that are `absent`. InputError."""
    for given in set(row.fields) - set(names):
        meant = difflib.get_close_matches(given.lower(), absent, 1, SIMILAR)
        if meant:
            raise InputError(
                f"{row.place} has a field {given!r}; want {meant[0]!r}, or another name if something else is meant"
            )


def text(row: Row, name: str) -> str:
    """A field that must be there and not be empty. Raises InputError."""
    found = optional(row, name)
    if found is None:
        there = ", ".join(row.fields) or "no fields"
        raise InputError(f"{row.place} has no {name!r}, or an empty one; want text (there is: {there})")
    return found


def optional(row: Row, name: str) -> str | None:
    """A field as text without spaces around it; None where it is absent or empty. Raises InputError."""
    value = row.fields.get(name)
    if value is None or value != value:  # NaN stands for an empty cell
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{row.place}, field {name!r} is {reprlib.repr(value)}; want text")
    return str(value).strip() or None


def listed(row: Row, name: str) -> list[Any]:
    """A field that is a list, or text that spells one in JSON or Python; empty where absent. Raises InputError."""
    value = row.fields.get(name)
    if isinstance(value, str) and value.strip():
        value = _spelled(value.strip())
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        raise InputError(f"{row.place}, field {name!r} is {reprlib.repr(row.fields[name])}; want a list")
    return list(value)


def xyxy(row: Row, name: str) -> tuple[Box, ...]:
    """Boxes in source pixels, given as x0, y0, x1, y1; none where the field is absent. Raises InputError."""
    return tuple(_box(row, name, x0, y0, x1, y1) for x0, y0, x1, y1 in _fours(row, name))


def xywh(row: Row, name: str) -> tuple[Box, ...]:
    """Boxes in source pixels, given as x, y, width, height; none where the field is absent. Raises InputError."""
    return tuple(_box(row, name, x, y, x + width, y + height) for x, y, width, height in _fours(row, name))


def _spelled(value: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return parse(value)
    return value


def _fours(row: Row, name: str) -> list[tuple[float, ...]]:
    found = listed(row, name)
    for four in found:
        if not isinstance(four, list | tuple) or len(four) != 4 or not all(isinstance(v, int | float) for v in four):
            raise InputError(f"{row.place}, field {name!r} has {reprlib.repr(four)}; want four numbers a box")
    try:
        return [tuple(map(float, four)) for four in found]
    except OverflowError:
        raise InputError(f"{row.place}, field {name!r} has a number beyond all pictures; want pixels") from None


def _box(row: Row, name: str, *corners: float) -> Box:
    try:
        return Box(*corners)
    except InvalidBox as error:
        raise InvalidBox(f"{row.place}, field {name!r}: {error}") from error
