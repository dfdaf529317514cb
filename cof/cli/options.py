"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cof.cli import status
from cof.cli.console import say
from cof.data.worlds import SPLITS, Split
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for, dialect_of
from cof.errors import InputError, InvalidConfig, MissingExtra
from cof.loop.policies.known import ALWAYS, DIRECT, OWN
from cof.loop.setting import Setting, setting_of
from cof.models.base import SERVED, MeteredModel, Model
from cof.models.opening import NANO, ModelRef, open_local, open_model
from cof.models.remote.endpoint import KEY
from cof.models.remote.model import SECONDS
from cof.types import Limits, Sampling
from cof.vision.urls import Wire

if TYPE_CHECKING:
    from cof.models.local.model import LocalModel

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
JudgeKeyFile = Annotated[
    Path | None, typer.Option("--judge-key-file", help=f"File with the key of the judge's endpoint; else ${KEY}.")
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
PolicyName = Annotated[
    str,
    typer.Option("--policy", help=f"What decides where to look: {OWN}, {DIRECT}, {ALWAYS}, or module:NAME."),
]
Megapixels = Annotated[float, typer.Option("--max-megapixels", help="The largest picture that is read.")]
FetchFlag = Annotated[bool, typer.Option("--fetch", help="Allow a picture to be an http(s) URL.")]
Adapter = Annotated[str | None, typer.Option("--adapter", help="A LoRA folder or hub id.")]
LimitItems = Annotated[
    list[str],
    typer.Option(
        "--limit", help="turns=N, zooms=N, calls=N, tokens=N, pixels=N, crop_pixels=N or seconds=N; repeatable."
    ),
]
Budget = Annotated[
    int | None, typer.Option("--budget", min=4, help="Most visual tokens of the overview, and of each crop.")
]
CropBudget = Annotated[int | None, typer.Option("--crop-budget", min=4, help="Most visual tokens of each crop.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Questions that run together.")]
Details = Annotated[
    bool, typer.Option("--details", help="Also every figure by resolution, category, depth, tag and metric.")
]
TurnTokens = Annotated[
    int | None, typer.Option("--turn-tokens", min=1, help="Most tokens that the model may produce in a turn.")
]


def opened(ref: ModelRef) -> MeteredModel:
    """The model, without the bars that its library draws while loading.

    The name of an endpoint's only model, where none is given, is printed on stderr. A turn over the wire has `ref.seconds`, a
    conversation's limit, but no less than usual: at the limit a model is asked for its answer, which it could not give if its
    turn were cut off there. Raises InputError, ModelError or MissingExtra.
    """
    with _opening(ref):
        found = open_model(replace(ref, seconds=max(SECONDS, ref.seconds)))
    if ref.urls and ref.name is None:
        say(f"the model is {found.info.name}, the only one at {ref.urls[0]}")
    return found


def model_and_setting(
    ref: ModelRef,
    limits: Limits,
    sampling: Sampling | None,
    budget: int | None,
    dialect: Dialect | None,
    crop_budget: int | None,
) -> tuple[MeteredModel, Setting]:
    """The model, as `opened`, and how to run it (`setting_of`). The dialect of an endpoint's model is printed on stderr where
    none was given."""
    loaded = opened(ref)
    setting = setting_of(loaded, limits, sampling, budget, dialect, crop_budget)
    if ref.urls and dialect is None:
        print_dialect(loaded, setting.dialect)
    return loaded, setting


def opened_here(ref: ModelRef) -> LocalModel:
    """The model in this process, as `opened`, for what needs its network. Raises InputError, ModelError or MissingExtra."""
    with _opening(ref):
        return open_local(ref)


@contextmanager
def _opening(ref: ModelRef) -> Iterator[None]:
    os.environ.setdefault("TQDM_DISABLE", "1")
    status.show(f"cof: opening {ref.urls[0]} ..." if ref.urls else f"cof: loading {ref.name or NANO} ...")
    try:
        yield
    finally:
        status.clear()


def dialect_given(name: str | None) -> Dialect | None:
    """The dialect that `--dialect` names, if it is given. Raises InputError."""
    return None if name is None else dialect_of(name)


def wire_of(text: str | None) -> Wire | None:
    """The form that `--wire` names, if it is given. Raises InputError."""
    return None if text is None else Wire.of(text)


def print_dialect(model: Model, dialect: Dialect) -> None:
    """Says on stderr which dialect was taken for a model behind an endpoint, where none was given, and why."""
    by = "by the model's name" if dialect_for(model.info.name) else "by default, as the model's name names no family"
    by = "as the endpoint is a server of cof" if dialect.name == SERVED else by
    say(f"the dialect is {dialect.name}, {by}; --dialect changes it")


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
