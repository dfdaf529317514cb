"""The dialects by name: one TOML file a family beside this file, and the user's own files.

A file may begin from a family with `like = "NAME"` and say only what is different.
"""

from __future__ import annotations

import functools
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


def _liked(name: str, by: Path) -> Dialect:
    """The dialect that the one in a file is like. Raises InvalidConfig, which names that file."""
    try:
        return dialect_of(name)
    except InvalidConfig as error:
        raise InvalidConfig(f"{by}, like: {error}") from None


def _folder() -> Path:
    return Path(str(resources.files("cof.dialects"))) / "families"
