"""`cof check`: what an endpoint is, before a long run."""

from __future__ import annotations

from typing import Annotated

import typer

from cof.cli import status
from cof.cli.console import two_columns
from cof.cli.options import DialectName, KeyFile, WireName, wire_of
from cof.dialects.named import dialect_of
from cof.errors import ModelError
from cof.models.opening import only_model
from cof.models.remote.endpoint import key_in
from cof.probe.check import check
from cof.probe.rows import CheckRow
from cof.vision.urls import Wire

NAMES = 22  # characters of the first column


def endpoint(
    url: Annotated[str, typer.Option("--url", help="An OpenAI-compatible endpoint, up to /v1.")],
    model: Annotated[str | None, typer.Option("--model", help="The model's name there; else the only one.")] = None,
    dialect: DialectName = None,
    key_file: KeyFile = None,
    wire: WireName = None,
) -> None:
    """Tell what an endpoint takes, in which frame its model names boxes, which dialect fits, and what a zoom costs.

    Exit code 0 only where a zoom round trip worked. About twenty requests, with pictures of up to 17 megapixels: some 50,000
    prompt tokens where a server does not shrink them.
    """
    key = None if key_file is None else key_in(key_file)
    spoken, form = None if dialect is None else dialect_of(dialect), wire_of(wire) or Wire()
    name, last = model or only_model(url, key), None
    status.show(waiting := f"cof: asking {name} ...")
    for last in check(url, name, key, spoken, form):
        status.clear()
        print(_line(last), flush=True)
        status.show(waiting)
    status.clear()
    if last is None or not last.good:
        raise ModelError(f"no zoom round trip worked with {name}; the rows above say what came instead")


def _line(row: CheckRow) -> str:
    """A row of the table; what stands in the way of a zoom is marked."""
    return two_columns(f"{'!' if row.good is False else ' '} {row.name}", row.text, NAMES)
