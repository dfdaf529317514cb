"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cof.cli import status
from cof.cli.console import say
from cof.data.worlds import SPLITS, Split
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for
from cof.errors import InputError, InvalidConfig, MissingExtra
from cof.loop.setting import SERVED
from cof.models.base import Model
from cof.models.opening import NANO, open_model
from cof.models.remote.endpoint import KEY, checked_key
from cof.models.remote.model import SECONDS
from cof.vision.urls import Wire

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="nano (default) or nano-sft, which know drawn needle scenes only, a folder in Hugging Face layout, or a "
        "hub id; behind an endpoint, its name there, which may be left out where the endpoint has one model.",
    ),
]
Urls = Annotated[
    list[str],
    typer.Option("--url", help="An OpenAI-compatible endpoint that has the model, up to /v1; repeat it for replicas."),
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help=f"File with the endpoint's key; else ${KEY}.")]
UpstreamKeyFile = Annotated[
    Path | None, typer.Option("--upstream-key-file", help=f"File with the upstream's key; else ${KEY}.")
]
WireName = Annotated[
    str | None,
    typer.Option(
        "--wire",
        metavar="png|jpeg[:QUALITY]",
        help="How an endpoint gets pictures; else PNG, or JPEG 95 above 2 megapixels or 1 MiB.",
    ),
]
DialectName = Annotated[
    str | None,
    typer.Option("--dialect", help="How the model speaks: `cof dialect list`, or a TOML file; else by its name."),
]
Adapter = Annotated[str | None, typer.Option("--adapter", help="A LoRA folder or hub id.")]
LimitItems = Annotated[
    list[str],
    typer.Option("--limit", help="turns=N, zooms=N, tokens=N, pixels=N, crop_pixels=N or seconds=N; repeatable."),
]
Budget = Annotated[
    int | None, typer.Option("--budget", min=4, help="Most visual tokens of the overview, and of each crop.")
]
CropBudget = Annotated[int | None, typer.Option("--crop-budget", min=4, help="Most visual tokens of each crop.")]
TurnTokens = Annotated[
    int | None, typer.Option("--turn-tokens", min=1, help="Most tokens that the model may produce in a turn.")
]


def opened(
    model: str | None,
    adapter: str | None,
    batch: int = 16,
    urls: Sequence[str] = (),
    key_file: Path | None = None,
    seconds: float = SECONDS,
    wire: str | None = None,
) -> Any:
    """The model in this process, without the bars that its library draws while loading, or behind `urls`.

    Without a name it is cof-nano, or the only model that the endpoint has, which is said on stderr. A turn over the wire has
    `seconds`, a conversation's limit, but no less than usual: at the limit a model is asked for its answer, which it could
    not give if its turn were cut off there. Pictures are sent as `wire` says, which is checked first. Raises InputError,
    ModelError or MissingExtra.
    """
    if key_file is not None and not urls:
        raise InputError(f"the key in {key_file} is for no endpoint, as the model runs here; leave it out")
    form, key = None if wire is None else Wire.of(wire), None if key_file is None else key_in(key_file)
    os.environ.setdefault("TQDM_DISABLE", "1")
    waits = max(SECONDS, seconds)
    status.show(f"cof: opening {urls[0]} ..." if urls else f"cof: loading {model or NANO} ...")
    try:
        found = open_model(model, url=urls or None, key=key, wire=form, seconds=waits, adapter=adapter, batch=batch)
    finally:
        status.clear()
    if urls and model is None:
        say(f"the model is {found.name}, the only one at {urls[0]}")
    return found


def print_dialect(model: Model, dialect: Dialect) -> None:
    """Says on stderr which dialect was taken for a model behind an endpoint, where none was given, and why."""
    by = "by the model's name" if dialect_for(model.name) else "by default, as the model's name names no family"
    by = "as the endpoint is a server of cof" if dialect.name == SERVED else by
    say(f"the dialect is {dialect.name}, {by}; --dialect changes it")


def key_in(file: Path) -> str:
    """The key that a file holds. Raises InputError."""
    try:
        key = file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); want a file with the key") from None
    if not key:
        raise InputError(f"{file} holds no key; want the key and nothing else in it")
    return checked_key(key)


def needed(module: str, doing: str, extra: str) -> Any:
    """A module of ours, or of the extra that `doing` it wants. Raises MissingExtra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(doing, error.name, extra) from None


def numbers(option: str, text: str, least: int, want: str, twice: bool = True) -> tuple[int, ...]:
    """The numbers of an option, comma-separated, if it has any; whether one may stand there `twice`. Raises InvalidConfig,
    which says what to `want`."""
    if not text.strip():
        return ()
    wrong = InvalidConfig(f"{option} {text!r} is not understood; want {want}")
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise wrong from None
    if min(found) < least or not (twice or len({*found}) == len(found)):
        raise wrong
    return found


def split_of(name: str) -> Split:
    for split in SPLITS:
        if name == split:
            return split
    raise InputError(f"unknown split {name!r}; want one of {', '.join(SPLITS)}")
