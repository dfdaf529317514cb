"""The dialects by name: one TOML file a family beside this file, the user's own files, and prompts from their authors' code.

A file may begin from a family with `like = "NAME"` and say only what is different. Code is read, never run.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from cof.config import load_config, read_recipe
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InvalidConfig

SUFFIX = ".toml"
LONGEST = 1_000_000  # letters of a prompt


def names() -> list[str]:
    """The families that come with the package."""
    return sorted([COF.name, *(file.stem for file in _folder().glob(f"*{SUFFIX}"))])


@functools.cache
def dialect_of(name: str) -> Dialect:
    """The dialect of a family, or of the TOML file at a path. Raises InvalidConfig where there is none."""
    if name == COF.name:
        return COF
    path = Path(name) if name.endswith(SUFFIX) else _folder() / f"{name}{SUFFIX}"
    if not path.is_file():
        raise InvalidConfig(f"there is no dialect {name!r}; want one of {', '.join(names())}, or a TOML file")
    under, seen = read_recipe(path).get("like"), {name}
    likes = under
    while isinstance(likes, str) and likes.endswith(SUFFIX) and Path(likes).is_file():
        if likes in seen:
            raise InvalidConfig(
                f"dialect {name!r} is like {likes!r}, which is like itself; want one that ends in a family"
            )
        seen.add(likes)
        likes = read_recipe(Path(likes)).get("like")
    return load_config(Dialect, path, under=_liked(under, path) if isinstance(under, str) else None)


def dialect_for(model: str) -> str | None:
    """The family of a model by the name that it goes by, such as "Qwen/Qwen3-VL-8B-Instruct"; None where none is known.

    A name holds that of a family (`models` of a dialect) as whole words: case does not count, nor whether they are joined by
    "-", "_", ".", a space or nothing. Of several families the longest name wins. A family's own name is its model's too.
    """
    name = model.strip().lower()
    if name in names():
        return name
    found = [(len(part), family) for part, family in _parts() if _named_in(part).search(name)]
    return max(found)[1] if found else None


@functools.cache
def _parts() -> tuple[tuple[str, str], ...]:
    return tuple((part.lower(), family) for family in names() for part in dialect_of(family).models)


@functools.cache
def _named_in(part: str) -> re.Pattern[str]:
    words = "[-_. ]?".join(map(re.escape, re.split(r"[-_. ]+", part)))
    after = r"(?![a-z])" if part[-1].isalpha() else r"(?!\d)"
    return re.compile(rf"(?<![a-z0-9]){words}{after}")


def _liked(name: str, by: Path) -> Dialect:
    """The dialect that the one in a file is like. Raises InvalidConfig, which names that file."""
    try:
        return dialect_of(name)
    except InvalidConfig as error:
        raise InvalidConfig(f"{by}, like: {error}") from None


def constants(file: Path) -> dict[str, str]:
    """Every text that a Python file gives a name at its top level, found in its syntax tree. Raises InvalidConfig.

    Texts may be added up or joined by standing side by side; nothing else is worked out.
    """
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        why = (
            f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else getattr(error, "strerror", error)
        )
        raise InvalidConfig(f"{file} cannot be read as Python ({why}); want the authors' own file") from None
    found: dict[str, str] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        text = _text(node.value, found) if targets and isinstance(node, ast.Assign | ast.AnnAssign) else None
        found |= {target.id: text for target in targets if isinstance(target, ast.Name) and text is not None}
    return found


def imported(like: str, name: str, words: Mapping[str, str]) -> str:
    """A dialect file that begins from the family `like` and has other `words`, by field."""
    dialect_of(like)
    lines = {"name": name, "like": like, **words}
    return "".join(f"{field} = {_toml(text)}\n" for field, text in lines.items())


def _toml(text: str) -> str:
    """A TOML string: JSON's, but that TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _folder() -> Path:
    return Path(str(resources.files("cof.dialects"))) / "families"


def _text(node: ast.expr | None, known: Mapping[str, str]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _text(left, known), _text(right, known)
            return one + other if one is not None and other is not None and len(one) + len(other) <= LONGEST else None
    return None
