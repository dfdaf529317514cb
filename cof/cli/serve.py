"""`cof serve`: the focus loop as an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cof.cli.options import Adapter, DialectName, LimitItems, ModelName, opened
from cof.config import replace_fields
from cof.dialects.named import dialect_of
from cof.errors import InputError, MissingExtra
from cof.types import Limits

KEY = "COF_SERVER_KEY"  # environment variable


def serve(
    model: ModelName = "nano",
    adapter: Adapter = None,
    upstream: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint that has the model, up to /v1; else it runs here.")
    ] = None,
    dialect: DialectName = "cof",
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback want a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")] = 8000,
    limit: LimitItems = [],  # noqa: B006
    concurrency: Annotated[int, typer.Option(min=1, help="Questions that run together.")] = 16,
    waiting: Annotated[
        int, typer.Option(min=0, help="Questions that may wait; further ones are told to try again.")
    ] = 256,
    key_file: Annotated[
        Path | None, typer.Option(help=f"File with the key that clients must send; else ${KEY}.")
    ] = None,
) -> None:
    """Serve /v1/chat/completions: every question is looked into by the focus loop."""
    try:
        import uvicorn

        from cof.serve.api import Service, make_app
    except ImportError as error:
        raise MissingExtra(f"serving needs {error.name}; install chain-of-focus[serve]") from None
    key = key_file.read_text().strip() if key_file else os.environ.get(KEY)
    if host not in ("127.0.0.1", "localhost", "::1") and not key:
        raise InputError(
            f"{host} can be reached by others, and no key is set; want --key-file or ${KEY}, or a loopback host"
        )
    spoken = dialect_of(dialect)
    loaded = opened(model, adapter, concurrency, upstream)
    service = Service(replace_fields(Limits(), limit), spoken, key, waiting=waiting)
    print(f"serving {loaded.name} at http://{host}:{port}/v1", flush=True)
    uvicorn.run(make_app(loaded, service), host=host, port=port, log_level="warning", server_header=False)
