"""The OpenAI-compatible server: the focus loop behind `/v1/chat/completions`, for clients that know nothing of it.

Owns what a client may send: the size and time of a body, and the key. An error is one sentence with no path or address in it.
Fetches nothing unless the service allows it. Omits what a body means (`prepare.py`) and how a question is run (`server.py`).
"""

from __future__ import annotations

import asyncio
import hmac
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import generate_latest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cof.data.outside import OUTSIDE, knows_one_world
from cof.loop.run import not_asked
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.models.remote.model import OWNER
from cof.plain import to_json
from cof.serve import document, fields, finish, responses, wire
from cof.serve.prepare import Prepared, prepared
from cof.serve.request import ChatRequest
from cof.serve.server import Server
from cof.serve.service import UNFIT, Refused, Service, client_closed, no_model
from cof.serve.wire import Form, Reply
from cof.trace import Trace
from cof.types import Stop
from cof.view.page import UNLISTED, template

RETRY_AFTER = 1  # seconds
OPEN = frozenset({"/", "/health"})  # routes that want no key: they hold nothing of any client
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SHOWN = 40  # characters of what came that are shown
CORS: dict[str, Any] = {  # any header, as clients' libraries add their own; cookies are never read
    "allow_methods": ("GET", "POST"),
    "allow_headers": ("*",),
    "expose_headers": ("Retry-After",),
}
NO_ROUTE = "invalid_request_error", "there is nothing here that answers so; want POST /v1/chat/completions"


def make_app(model: Model, service: Service = Service()) -> FastAPI:
    """The application for one model; the model belongs to it until it shuts down."""
    server = Server(model, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.worker.close)

    app = FastAPI(
        title="Chain-of-Focus",
        lifespan=lifespan,
        openapi_url=None,  # a route of its own below, which wants the key
        dependencies=[Depends(_guard(server))],
        responses=document.REFUSALS,
    )
    if service.origins:
        app.add_middleware(CORSMiddleware, allow_origins=service.origins, **CORS)
    app.exception_handler(Refused)(lambda _, refused: _refusal(server, refused))
    app.exception_handler(HTTPException)(lambda _, error: _refusal(server, Refused(error.status_code, *NO_ROUTE)))
    page = _live_page(model, service)
    app.get("/", response_class=HTMLResponse, name="page")(lambda: page)
    app.get("/health", name="health")(lambda: {"status": "ok"})
    app.get("/metrics", response_class=PlainTextResponse, name="metrics")(
        lambda: generate_latest(server.registry).decode()
    )
    app.get("/v1/models", name="models")(lambda: {"object": "list", "data": [_described(model.info.name, model)]})
    app.get("/v1/models/{name:path}", name="model")(lambda name: _described(name, model))
    app.get("/v1/traces/{name}", name="trace")(lambda name: to_json(server.found(name)[0]))
    app.get("/traces/{name}", response_class=HTMLResponse, name="trace page")(_page(server))
    forms = {"/v1/chat/completions": wire.FORM, "/v1/responses": responses.FORM}
    for path, form in forms.items():
        described = document.body(form.request)
        app.post(path, name=path[4:], openapi_extra=described, responses=document.REPLY)(_route(server, form))
    documented = document.documented(app, [form.request for form in forms.values()])
    app.get("/openapi.json", include_in_schema=False)(lambda: documented())
    return app


def _live_page(model: Model, service: Service) -> str:
    return template("live.html").render(
        model=model.info.name,
        body=service.body,
        characters=service.question_characters,
        key=bool(service.key),
        needles=knows_one_world(model.info, service.dialect.name if service.dialect else ""),
        outside=OUTSIDE,
        unlisted=UNLISTED,
    )


def _described(name: str, model: Model) -> dict[str, str]:
    """The model of that name, as OpenAI's clients want it. Raises Refused where it is another."""
    if name != model.info.name:
        raise no_model(model.info.name)
    return {"id": model.info.name, "object": "model", "owned_by": OWNER}


def _guard(server: Server) -> Callable[[Request], None]:
    """Refuses requests without the key, where there is one."""
    expected = f"Bearer {server.service.key}".encode()

    def guard(request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if server.service.key and request.url.path not in OPEN and not hmac.compare_digest(given, expected):
            raise Refused(401, "authentication_error", "the key is missing or wrong; want a Bearer token")
        # a name that was bound to this address anew would let another site's page read replies
        if not server.service.key and request.url.hostname not in LOOPBACK:
            raise Refused(403, "permission_error", "without a key this server answers at loopback addresses alone")

    return guard


def _route(server: Server, form: Form) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        return await _answered(server, request, form)

    return route


async def _answered(server: Server, request: Request, form: Form) -> Response:
    """Answer one request, whole or in pieces."""
    async with server.arriving():
        wanted = _read(form, await _body(server, request))
        asked = await prepared(server, wanted, form)

    def reply(trace: Trace) -> Reply:
        return finish.reply(server.model, wanted, asked, trace)

    traces = server.run(asked.pending, request.is_disconnected) if asked.pending else _unseen(server, asked)
    last = await anext(traces)  # at once, so that what is refused is refused with a status of its own
    if wanted.stream:
        pieces = form.pieces(server.model.info.name, last, traces, reply, wanted.stream_options.include_usage)
        return StreamingResponse(_until_refused(pieces), media_type="text/event-stream")
    async for trace in traces:
        last = trace
    return JSONResponse(form.whole(server.model.info.name, last, wire.answered(last, reply)))


async def _unseen(server: Server, asked: Prepared) -> AsyncIterator[Trace]:
    """The trace of a message without a picture, for which no model is run."""
    question = replace(asked.question, id=uuid.uuid4().hex)
    yield replace(not_asked(server.model.info.name, question, Setting(), ""), stop=Stop.ANSWER, error=None)


async def _until_refused(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """The pieces, up to a refusal such as that of a client that hung up: a status has been sent already."""
    with suppress(Refused):
        async for piece in pieces:
            yield piece


async def _body(server: Server, request: Request) -> bytes:
    """The request's body, as far as its size and its time allow."""
    most, parts, size = server.service.body, list[bytes](), 0
    large = Refused(413, "invalid_request_error", f"the request is larger than {most} bytes; send a smaller picture")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        why = f"the header Content-Type is {kind[:SHOWN]!r}; want Content-Type: application/json"
        raise Refused(415, "invalid_request_error", why)
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        why = f"the header Content-Encoding is {packed[:SHOWN]!r}; want a body that is not compressed"
        raise Refused(415, "invalid_request_error", why)
    if int(request.headers.get("content-length", 0)) > most:
        raise large
    try:
        async with asyncio.timeout(server.service.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise large
                parts.append(part)
    except ClientDisconnect:
        raise client_closed() from None
    except TimeoutError:
        raise Refused(408, "invalid_request_error", "the request took too long to arrive; send it faster") from None
    return b"".join(parts)


def _read(form: Form, body: bytes) -> ChatRequest:
    try:
        return form.read(form.request.model_validate_json(body))
    except ValidationError as error:
        raise fields.refusal(error) from None


def _page(server: Server) -> Callable[[str], Awaitable[str]]:
    async def page(name: str) -> str:
        return await server.page(name)

    return page


def _refusal(server: Server, refused: Refused) -> JSONResponse:
    server.refused.labels(str(refused.status)).inc()
    headers = {"Retry-After": str(RETRY_AFTER)} if refused.status == 429 else {}
    if refused.code == UNFIT:
        headers["x-should-retry"] = "false"  # to OpenAI's clients: the same answer would come again
    return JSONResponse(wire.failure(refused), refused.status, headers)
