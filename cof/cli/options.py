"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from cof.errors import InputError
from cof.focus.ask import open_model
from cof.models.remote import RemoteModel
from cof.worlds.scenes import SPLITS, Split

ModelName = Annotated[
    str,
    typer.Option("--model", help="nano, a folder in Hugging Face layout, or a hub id; with --url the name it goes by."),
]
Url = Annotated[str | None, typer.Option("--url", help="An OpenAI-compatible endpoint that has the model, up to /v1.")]
DialectName = Annotated[
    str, typer.Option("--dialect", help="How the model speaks: `cof dialect list`, or a TOML file.")
]
Adapter = Annotated[str | None, typer.Option("--adapter", help="A LoRA folder or hub id.")]
LimitItems = Annotated[
    list[str], typer.Option("--limit", help="turns=N, zooms=N, tokens=N, pixels=N or seconds=N; repeatable.")
]
Budget = Annotated[int | None, typer.Option("--budget", min=4, help="Most visual tokens of the overview.")]


def opened(model: str, adapter: str | None, batch: int = 16, url: str | None = None) -> Any:
    """The model in this process, without the bars that its library draws while loading, or behind `url`."""
    if url is not None and adapter is not None:
        raise InputError(f"--adapter {adapter} cannot be given to a model behind {url}; let its server load it")
    if url is not None:
        return RemoteModel(url, model, batch)
    os.environ.setdefault("TQDM_DISABLE", "1")
    return open_model(model, adapter, batch)


def split_of(name: str) -> Split:
    for split in SPLITS:
        if name == split:
            return split
    raise InputError(f"unknown split {name!r}; want one of {', '.join(SPLITS)}")
