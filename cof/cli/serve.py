"""`cof serve`: the focus loop as an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated

import typer

from cof.cli.options import (
    Adapter,
    Concurrency,
    DialectName,
    LimitItems,
    ModelName,
    UpstreamKeyFile,
    WireName,
    dialect_given,
    needed,
    opened,
    wire_of,
)
from cof.config import replace_fields
from cof.errors import InputError
from cof.models.opening import ModelRef
from cof.models.remote.endpoint import checked_key, key_in
from cof.types import Limits

KEY = "COF_SERVER_KEY"  # environment variable
ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")


Upstream = Annotated[
    list[str],
    typer.Option(
        help="An OpenAI-compatible endpoint that has the model, up to /v1; repeat it for replicas. Else it runs here."
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on; others than loopback want a key.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")]
Waiting = Annotated[int, typer.Option(min=0, help="Questions that may wait; further ones are told to try again.")]
FetchFrom = Annotated[
    list[str], typer.Option(metavar="HOST", help="Host that pictures may be fetched from; any: all public ones.")
]
Cors = Annotated[
    list[str], typer.Option(metavar="ORIGIN", help="Origin of web pages that may ask, such as https://example.com.")
]
ClientKeyFile = Annotated[Path | None, typer.Option(help=f"File with the key that clients must send; else ${KEY}.")]


def serve(
    model: ModelName = None,
    adapter: Adapter = None,
    upstream: Upstream = [],  # noqa: B006
    upstream_key_file: UpstreamKeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    limit: LimitItems = [],  # noqa: B006
    concurrency: Concurrency = 16,
    waiting: Waiting = 256,
    fetch_from: FetchFrom = [],  # noqa: B006
    cors: Cors = [],  # noqa: B006
    key_file: ClientKeyFile = None,
) -> None:
    """Serve /v1/chat/completions: every question is looked into by the focus loop."""
    origins = tuple(map(_origin, cors))
    modules = ("uvicorn", "cof.serve.api", "cof.serve.fetch", "cof.serve.service")
    uvicorn, api, fetch, room = (needed(module, "serving", "serve") for module in modules)
    key = _key(key_file, host)
    hosts = None if fetch_from == ["any"] else frozenset(map(fetch.host_name, fetch_from))
    fetching = fetch.Fetching(hosts) if fetch_from else None
    limits, spoken = replace_fields(Limits(), limit), dialect_given(dialect)
    service = room.Service(
        limits, spoken, key, max_running=concurrency, max_waiting=waiting, fetching=fetching, origins=origins
    )
    form = wire_of(wire)
    ref = ModelRef(model, tuple(upstream), None, upstream_key_file, form, limits.seconds, adapter, batch=concurrency)
    with _bound(host, port) as listening:
        loaded = opened(ref)
        place = f"[{host}]" if ":" in host else host
        print(f"serving {loaded.info.name} at http://{place}:{listening.getsockname()[1]}/v1", flush=True)
        app = api.make_app(loaded, service)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listening])


def _key(file: Path | None, host: str) -> str:
    """The key that clients must send, "" for none. Raises InputError where others can reach the host and there is no key."""
    key = key_in(file) if file else checked_key(os.environ.get(KEY, ""))
    if host not in ("127.0.0.1", "localhost", "::1") and not key:
        raise InputError(
            f"{host} can be reached by others, and no key is set; want --key-file or ${KEY}, or a loopback host"
        )
    return key


def _origin(text: str) -> str:
    """An origin as browsers send it. Raises InputError."""
    if not ORIGIN.fullmatch(text):
        raise InputError(
            f"{text!r} is no origin; want a scheme, a host and perhaps a port, such as https://example.com"
        )
    return text.lower()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens; taken before a model is loaded for nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; want another --port or --host"
        ) from None
