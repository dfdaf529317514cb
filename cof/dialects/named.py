"""The dialects by name: one TOML file a family beside this file, and the user's own files.

A file may begin from a family with `like = "NAME"` and say only what is different.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

from cof.config import load_config, read_recipe
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InvalidConfig

SUFFIX = ".toml"


def names() -> list[str]:
    """The families that come with the package."""
    return sorted([COF.name, *(file.stem for file in _folder().glob(f"*{SUFFIX}"))])


def dialect_of(name: str) -> Dialect:
    """The dialect of a family, or of the TOML file at a path. Raises InvalidConfig where there is none.

    The name of one in a file is the absolute path of that file, so that its traces find it again from any folder.
    """
    return _dialect(os.path.abspath(name) if name.endswith(SUFFIX) else name)


@functools.cache
def _dialect(name: str) -> Dialect:
    """The dialect of a family, or of the file at an absolute path."""
    if name == COF.name:
        return COF
    own = name.endswith(SUFFIX)
    path = Path(name) if own else _folder() / f"{name}{SUFFIX}"
    if not path.is_file():
        raise InvalidConfig(f"there is no dialect {name!r}; want one of {', '.join(names())}, or a TOML file")
    under, seen = _like(path), {name}
    likes = under
    while likes is not None and likes.endswith(SUFFIX) and Path(likes).is_file():
        if likes in seen:
            raise InvalidConfig(
                f"dialect {name!r} is like {likes!r}, which is like itself; want one that ends in a family"
            )
        seen.add(likes)
        likes = _like(Path(likes))
    found = load_config(Dialect, path, under=_liked(under, path) if under else None)
    return replace(found, name=name) if own else found


def _like(path: Path) -> str | None:
    """The family that a file begins from, or the absolute path of another file, which is relative to the file itself."""
    like = read_recipe(path).get("like")
    if isinstance(like, str) and like.endswith(SUFFIX):
        return os.path.abspath(path.parent / like)
    return like if isinstance(like, str) else None


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


def _folder() -> Path:
    return Path(str(resources.files("cof.dialects"))) / "families"
