"""Settings: the defaults of a frozen dataclass < a TOML recipe < `--set a.b=c`.

Owns how these three layers become one validated value. Fields may be int, float, bool, str, Path, Literal, tuple[...],
Optional, or another such dataclass. Refuses an unknown key at any depth, and a value of another type: validation is
strict, so that "4" is no int, 4.0 is no int and 1 is no bool. Omits environment variables, includes and interpolation;
relative paths stay as they were written.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from cof.errors import InvalidConfig

T = TypeVar("T")
Table = dict[str, Any]

NEAREST_KEYS = 3  # how many known keys an error about an unknown one offers


def load_config(cls: type[T], path: Path | None = None, overrides: Sequence[str] = (), under: T | None = None) -> T:
    """A `cls` from its defaults, then the recipe at `path`, then each `key=value` of `overrides`; the later one wins.

    A table in a later layer changes only the keys it names. An override's value is read as TOML where that gives the
    field's type, else as plain text, so `name=4` suits a str field. The values of `under` stand in for the defaults.
    Raises InvalidConfig.
    """
    recipe = read_recipe(path) if path else {}
    _refuse_unknown(cls, recipe, str(path))
    layers = recipe if under is None else _merged(_plain(under), recipe)
    data = _over_defaults(cls, _overridden(cls, layers, overrides))
    return _validated(cls, data, path, overrides)


def replace_fields(value: T, items: Sequence[str]) -> T:
    """`value` with each `key=value` of `items` replaced, read as `load_config` reads overrides. Raises InvalidConfig."""
    cls = type(value)
    return _validated(cls, _overridden(cls, _plain(value), items), None, items)


def dump_config(value: object) -> Table:
    """A config as plain data for JSON or TOML, which `load_config` reads back.

    None is left out, as TOML has no null: it reads back where the field's default is None.
    """
    data: Table = _without_none(_plain(value))
    return data


def read_recipe(path: Path) -> Table:
    """A TOML file as it stands. Raises InvalidConfig."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read ({error.strerror}); want a readable TOML file") from error
    except ValueError as error:  # broken TOML, or bytes that are not UTF-8
        raise InvalidConfig(f"{path} is not TOML in UTF-8: {error}; correct that place") from error


def _overridden(cls: type, data: Table, items: Sequence[str]) -> Table:
    for item in items:
        layer = _layer(cls, item)
        _refuse_unknown(cls, layer, repr(item))
        data = _merged(data, layer)
    return data


def _layer(cls: type, item: str) -> Table:
    """`a.b=c` as {"a": {"b": c}}."""
    key, sign, text = (part.strip() for part in item.partition("="))
    names = key.split(".")
    if not sign or not all(names):
        raise InvalidConfig(f"want key=value, such as seed=1; got {item!r}")
    value = _parsed(text, _hint_at(cls, names))
    for name in reversed(names):
        value = {name: value}
    return dict(value)


def _parsed(text: str, hint: Any) -> Any:
    """`text` as TOML, or as it stands where it is no TOML or only the plain text suits the field."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table.pop("value")
    if table or not isinstance(value, str | bool | int | float | list | dict):
        return text  # several lines, or a date
    if isinstance(value, str | list | dict) or _suits(value, hint) or not _suits(text, hint):
        return value
    return text


def _suits(value: Any, hint: Any) -> bool:
    try:
        TypeAdapter(hint).validate_json(_json(value), strict=True)
    except ValidationError:
        return False
    return True


def _validated(cls: type[T], data: Table, path: Path | None, items: Sequence[str]) -> T:
    try:
        # JSON, because there strict mode takes a list for a tuple, a string for a Path and a table for a dataclass
        return TypeAdapter(cls).validate_json(_json(data), strict=True)
    except ValidationError as error:
        faults = [_fault(fault, path, items) for fault in error.errors()]
        raise InvalidConfig("; ".join(faults)) from error


def _fault(fault: Any, path: Path | None, items: Sequence[str]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{key} is required and has no default; give it in the file or as an override"
    origin = [item for item in items if _overlap(key, item.partition("=")[0].strip())]
    where = repr(origin[-1]) if origin else str(path) if path else "the defaults"
    example = f", such as [{fault['input']}]" if fault["type"] == "tuple_type" and _number_like(fault["input"]) else ""
    return f"{key or 'config'}: {fault['msg']}{example}; got {fault['input']!r:.80} in {where}"


def _number_like(value: Any) -> bool:
    """Whether it reads as numbers, one or several with commas."""
    return all(part.strip().lstrip("-").replace(".", "", 1).isdigit() for part in str(value).split(","))


def _overlap(key: str, other: str) -> bool:
    """Whether one dotted key is the other or leads to it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _refuse_unknown(cls: type, data: Table, where: str) -> None:
    for key in _unknown(cls, data):
        nearest = ", ".join(_nearest(key, list(_known(cls)))) or "none"
        raise InvalidConfig(f"unknown key {key!r} in {where}; nearest known keys: {nearest}")


def _unknown(cls: type, data: Table, prefix: str = "") -> Iterator[str]:
    hints = _hints(cls)
    for name, value in data.items():
        if name not in hints:
            yield prefix + name
        elif nested := _nested(hints[name]):
            for table in value if isinstance(value, list) else [value]:
                yield from _unknown(nested, table, f"{prefix}{name}.") if isinstance(table, dict) else ()


def _known(cls: type, prefix: str = "") -> Iterator[str]:
    for name, hint in _hints(cls).items():
        yield prefix + name
        if nested := _nested(hint):
            yield from _known(nested, f"{prefix}{name}.")


def _nearest(key: str, known: list[str]) -> list[str]:
    """The known keys most like `key`, best first, whether in full or in their last name alone."""

    def likeness(other: str) -> float:
        pairs = [(key, other), (key.rpartition(".")[2], other.rpartition(".")[2])]
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    return sorted(known, key=likeness, reverse=True)[:NEAREST_KEYS]


def _over_defaults(cls: type, data: Table) -> Table:
    """`data` with each table laid over its field's default value, which may differ from its own class's defaults."""
    full, hints = dict(data), _hints(cls)
    for field in dataclasses.fields(cls):
        given, default = data.get(field.name), _default(field)
        nested = _nested(hints.get(field.name))
        if nested and isinstance(given, list):
            full[field.name] = [_over_defaults(nested, row) if isinstance(row, dict) else row for row in given]
        elif nested and isinstance(given, dict):
            table = _merged(_plain(default), given) if dataclasses.is_dataclass(default) else given
            full[field.name] = _over_defaults(nested, table)
    return full


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _merged(under: Table, over: Table) -> Table:
    tables = {key: part for key, part in over.items() if isinstance(part, dict) and isinstance(under.get(key), dict)}
    return under | over | {key: _merged(under[key], part) for key, part in tables.items()}


def _hints(cls: type) -> Table:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _nested(hint: Any) -> type | None:
    """The dataclass inside a hint such as `Limits`, `Limits | None` or `tuple[Limits, ...]`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _nested(part))), None)


def _hint_at(cls: type, names: Sequence[str]) -> Any:
    hint: Any = cls
    for name in names:
        nested = _nested(hint)
        hint = _hints(nested).get(name, Any) if nested else Any  # Any: unknown, refused by `_refuse_unknown`
    return hint


def _plain(value: object) -> Table:
    plain: Table = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(part) for key, part in value.items() if part is not None}
    return [_without_none(part) for part in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, default=lambda date: date.isoformat())  # a date is all that TOML has beyond JSON
