"""The prompt of a family's authors, taken from their own file: which files are read, and what in them is asked for.

Owns the forms of files (Python, notebooks, JSON, TOML, plain text), how a text in one is named (`PROMPT.SYSTEM`,
`prompts.vcot.0`), and the dialect file that is made of such texts. A file of code, or a template, is never a prompt as a
whole. Code is read as a syntax tree (`assigned.py`) and never run. Omits YAML, which needs a package of its own.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from cof.dialects.assigned import named_values
from cof.dialects.control import control_token
from cof.dialects.literals import LONGEST, Unread, Value
from cof.dialects.named import dialect_of
from cof.dialects.notebook import Cell, cells_of, code_of
from cof.dialects.templates import Words, words_of
from cof.errors import InvalidConfig

NAMED = (".py", ".ipynb", ".json", ".toml")  # files whose texts have names
PLAIN = (".txt", ".md", "")  # files that are one text
LARGEST = 50_000_000  # letters of a file: notebooks hold pictures
DEEPEST, LONGEST_KEY = 20, 100  # names in a dotted name, and letters of each: what is beyond has no name
MOST_NAMES = 100_000  # dicts that share their parts name many more texts than they hold
MOST_SHOWN = 12  # names in an error
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL, and half of a surrogate pair


@dataclass(frozen=True)
class Taken:
    """The words of one `key` of a dialect, and their `origin`: a dotted name, or the whole file."""

    key: str
    origin: str
    words: Words


def taken(file: Path, asked: Mapping[str, str], cell: int | None = None) -> list[Taken]:
    """What an authors' file has under the names `asked` for, by key of a dialect; a plain text is the system prompt.

    `cell` counts a notebook's cells from 1. Raises InvalidConfig, which names file and text.
    """
    values = values_of(file, cell)
    if isinstance(values, str):
        where = "the whole file" if cell is None else f"cell {cell}"
        if asked:
            options = " and ".join(f"--{key}" for key in asked)
            raise InvalidConfig(f"{file}: {where} is one text, so nothing in it has a name; leave {options} out")
        return [_taken("system", where, values, file)]
    if not asked:
        want = "want --system NAME, --user NAME, --closer NAME or --reply NAME"
        raise InvalidConfig(f"nothing was asked of {file}; {want}; it names: {_names(values)}")
    return [_taken(key, *_text(values, name, file), file) for key, name in asked.items()]


def dialect_file(like: str, name: str, words: Mapping[str, str]) -> str:
    """A dialect file that begins from the family `like` and has other `words`, by key.

    Raises InvalidConfig where there is no such family, or none can have these words.
    """
    under = dialect_of(like)
    for key, text in words.items():
        if token := control_token(text, under.grammar):
            want = "want the words alone: the server's chat template writes those around them"
            raise InvalidConfig(f"{key} holds the control token {token}; {want}")
    lines: dict[str, Any] = {"name": name, "like": like, **words}
    replace(under, **lines)  # as it will be loaded
    return "".join(f"{key} = {_toml(text)}\n" for key, text in lines.items())


def values_of(file: Path, cell: int | None = None) -> Value:
    """What a file, or one cell of a notebook, gives names to; a `str` where it is one text. Raises InvalidConfig."""
    kind = file.suffix.lower()
    if kind not in (*NAMED, *PLAIN):
        want = f"want {', '.join(NAMED)} with --system NAME, or the system prompt alone in a file that ends in .txt"
        raise InvalidConfig(f"{file} is none of the files that are read, but code or a template ({kind}); {want}")
    if cell is not None and kind != ".ipynb":
        raise InvalidConfig(f"{file} is no notebook, so it has no cell {cell}; leave --cell out")
    text = _read(file)
    if kind in PLAIN:
        if text.startswith("#!"):
            raise InvalidConfig(f"{file} is a script; want the system prompt alone in a file that ends in .txt")
        return text
    try:
        values = _parsed(kind, text, cell)
        if sum(1 for _ in islice(_paths(values), MOST_NAMES + 1)) > MOST_NAMES:
            raise InvalidConfig(f"more than {MOST_NAMES:,} names")
        return values
    except InvalidConfig as error:
        raise InvalidConfig(f"{file} cannot be read ({error}); want the authors' own file") from None


def _read(file: Path) -> str:
    if not file.is_file():  # a folder, or a pipe that never ends
        raise InvalidConfig(f"{file} is {'no file' if file.exists() else 'not there'}; want the authors' own file")
    try:
        with file.open(encoding="utf-8-sig") as stream:
            text = stream.read(LARGEST + 1)
    except OSError as error:
        raise InvalidConfig(f"{file} cannot be read ({error.strerror}); want a readable file") from None
    except UnicodeDecodeError:
        raise InvalidConfig(f"{file} is no text in UTF-8; want the authors' prompt, or their Python file") from None
    if len(text) > LARGEST:
        raise InvalidConfig(f"{file} has more than {LARGEST:,} letters; want the authors' own file")
    return text


def _parsed(kind: str, text: str, cell: int | None) -> Value:
    if kind == ".py":
        return _code([("", text)])
    try:
        data = tomllib.loads(text) if kind == ".toml" else json.loads(text)
        return _notebook(cells_of(data), cell) if kind == ".ipynb" else _plain(data)
    except ValueError as error:
        raise InvalidConfig(str(error)) from None
    except RecursionError:
        raise InvalidConfig("nested too deep") from None


def _notebook(cells: list[Cell], number: int | None) -> Value:
    if number is not None and not 1 <= number <= len(cells):
        raise InvalidConfig(f"it has no cell {number}; want --cell from 1 to {len(cells)}")
    wanted = cells if number is None else [cells[number - 1]]
    if number is not None and not wanted[0].code:
        return wanted[0].text
    return _code([(f"cell {cell.number}, ", cell.text) for cell in wanted if cell.code])


def _code(parts: list[tuple[str, str]]) -> Value:
    """The values of a file without a place, or of the cells of a notebook."""
    if (size := sum(len(source) for _, source in parts)) > LONGEST:
        raise InvalidConfig(f"{size:,} letters of code; want at most {LONGEST:,}")
    return named_values([(place, code_of(source) if place else source) for place, source in parts])


def _plain(data: Any) -> Value:
    """Data of JSON or TOML as values."""
    match data:
        case str():
            return data
        case dict():
            return {key: _plain(value) for key, value in data.items()}
        case list():
            return [_plain(value) for value in data]
    return Unread(f"{data!r:.40}")


def _taken(key: str, origin: str, text: str, file: Path) -> Taken:
    if (size := len(text)) > LONGEST:
        raise InvalidConfig(f"{file}, {origin} has {size:,} letters; want at most {LONGEST:,}")
    if NO_TEXT.search(text):
        raise InvalidConfig(f"{file}, {origin} holds a NUL or half of a surrogate pair; want text alone")
    try:
        return Taken(key, origin, words_of(key, text))
    except InvalidConfig as error:
        raise InvalidConfig(f"{file}, {origin} {error}") from None


def _text(values: Value, name: str, file: Path) -> tuple[str, str]:
    """The dotted name and the text that `name` means: a whole dotted name, or the end of only one."""
    found = [pair for pair in _paths(values) if pair[0] == name]
    found = found or [pair for pair in _paths(values) if pair[0].endswith(f".{name}")]
    found = [pair for pair in found if not isinstance(pair[1], Unread) or not pair[1].local] or found
    if not found:
        raise InvalidConfig(f"{file} gives no text the name {name!r}; it names: {_names(values)}")
    path, value = found[0]
    if not all(other is value or (isinstance(other, str) and other == value) for _, other in found):
        several = ", ".join(path for path, _ in found[:MOST_SHOWN])
        raise InvalidConfig(f"{file} gives several texts the name {name!r}; want one of: {several}")
    match value:
        case str():
            return path, value
        case Unread(what):
            want = "want a name whose text needs no code to run"
            raise InvalidConfig(f"{file} gives {path} no text that stands in it, but {what}; {want}")
    raise InvalidConfig(f"{file}: {path} holds several values; want one of: {_names(value, path)}")


def _paths(values: Value, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Value]]:
    """Each dotted name and its value, at every depth."""
    items: Iterator[tuple[Any, Value]] = iter(())
    if isinstance(values, dict | list):
        items = iter(values.items() if isinstance(values, dict) else enumerate(values))
    for key, value in items:
        if len(f"{key}") > LONGEST_KEY:
            continue
        path = f"{prefix}.{key}" if prefix else f"{key}"
        yield path, value
        if depth < DEEPEST:
            yield from _paths(value, path, depth + 1)


def _names(values: Value, prefix: str = "") -> str:
    """The dotted names of texts, for an error."""
    every = sorted(path for path, value in _paths(values, prefix) if isinstance(value, str))
    more = f" and {len(every) - MOST_SHOWN} more" if len(every) > MOST_SHOWN else ""
    return ", ".join(every[:MOST_SHOWN]) + more or "none"


def _toml(text: str) -> str:
    """A TOML string: JSON's, but that TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
