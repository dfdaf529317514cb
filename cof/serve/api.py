"""The OpenAI-compatible server: the focus loop behind `/v1/chat/completions`, for clients that know nothing of it.

Owns what a stranger may send: the size and time of a body, the pixels of a picture, how many may wait, who may ask. An error is
one sentence with no path or address in it. Fetches nothing unless it is told to.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import generate_latest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cof.errors import InputError, InvalidImage
from cof.focus.question import question_of
from cof.focus.setting import Setting, setting_of, turn_tokens_of
from cof.models.base import Model
from cof.plain import to_json
from cof.serve import document, responses, wire
from cof.serve.fetch import fetched
from cof.serve.page import UNLISTED, template
from cof.serve.server import Brought, Server
from cof.serve.service import Refused, Service, bad, gone
from cof.serve.wire import ChatRequest, Form, Reply
from cof.types import Sampling, Stop, Trace
from cof.vision.load import LoadLimits, pixels_of
from cof.vision.readers import WEB
from cof.worlds.outside import OUTSIDE, knows_needles_only

RETRY_AFTER = 1  # seconds
OPEN = frozenset({"/", "/health"})  # routes that want no key: they hold nothing of anybody's
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TAKEN = LoadLimits(formats=WEB)
SHOWN = 40  # letters of what came that are told
FAULTS = {  # of pydantic's, in words that say what to do
    "extra_forbidden": "there is no such field; see /openapi.json for those there are",
    "missing": "it is missing; give it",
    "too_short": "it is empty; want one at least",
}
NO_ROUTE = "invalid_request_error", "there is nothing here that answers so; want POST /v1/chat/completions"


def make_app(model: Model, service: Service = Service()) -> FastAPI:
    """The application for one model; the model belongs to it until it shuts down."""
    server = Server(model, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.desk.close)

    app = FastAPI(
        title="Chain-of-Focus",
        lifespan=lifespan,
        openapi_url=None,  # a route of its own below, which wants the key
        dependencies=[Depends(_guard(server))],
        responses=document.REFUSALS,
    )
    app.exception_handler(Refused)(lambda _, refused: _refusal(server, refused))
    app.exception_handler(HTTPException)(lambda _, error: _refusal(server, Refused(error.status_code, *NO_ROUTE)))
    page = _live_page(model, service)
    app.get("/", response_class=HTMLResponse, name="page")(lambda: page)
    app.get("/health", name="health")(lambda: {"status": "ok"})
    app.get("/metrics", response_class=PlainTextResponse, name="metrics")(
        lambda: generate_latest(server.registry).decode()
    )
    app.get("/v1/models", name="models")(lambda: {"object": "list", "data": [_described(model.name, model)]})
    app.get("/v1/models/{name:path}", name="model")(lambda name: _described(name, model))
    app.get("/v1/traces/{name}", name="trace")(lambda name: to_json(server.found(name)[0]))
    app.get("/traces/{name}", response_class=HTMLResponse, name="trace page")(_page(server))
    forms = {"/v1/chat/completions": wire.FORM, "/v1/responses": responses.FORM}
    for path, form in forms.items():
        described = document.body(form.request)
        app.post(path, name=path[4:], openapi_extra=described, responses=document.REPLY)(_route(server, form))
    told = document.documented(app, [form.request for form in forms.values()])
    app.get("/openapi.json", include_in_schema=False)(lambda: told())
    return app


def _live_page(model: Model, service: Service) -> str:
    return template("live.html").render(
        model=model.name,
        body=service.body,
        letters=service.letters,
        key=bool(service.key),
        needles=knows_needles_only(model, service.dialect.name if service.dialect else ""),
        outside=OUTSIDE,
        unlisted=UNLISTED,
    )


def _described(name: str, model: Model) -> dict[str, str]:
    """The model of that name, as OpenAI's clients want it. Raises Refused where it is another."""
    if name != model.name:
        raise Refused(404, "invalid_request_error", "there is no such model here; /v1/models tells which there is")
    return {"id": model.name, "object": "model", "owned_by": "cof"}


def _guard(server: Server) -> Callable[[Request], None]:
    """Lets nobody in without the key, if there is one."""
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
        brought = await _brought(server, wanted)

    def reply(trace: Trace) -> Reply:
        return _reply(server, wanted, trace)

    heard = server.heard(brought, request.is_disconnected)
    last = await anext(heard)  # at once, so that what is refused is refused with a status of its own
    if wanted.stream:
        told = _told(form.pieces(server.model.name, last, heard, reply))
        return StreamingResponse(told, media_type="text/event-stream")
    async for trace in heard:
        last = trace
    if last.stop is Stop.FAILED or (last.answer is None and not last.turns):
        raise Refused(502, "server_error", wire.FAILED)
    return JSONResponse(form.whole(server.model.name, last, reply(last)))


async def _told(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """The pieces, as long as there is somebody to send them to: a status has been sent already."""
    with suppress(Refused):
        async for piece in pieces:
            yield piece


async def _brought(server: Server, wanted: ChatRequest) -> Brought:
    """What is asked, after everything that can be checked without decoding the picture. Raises Refused."""
    most = server.service.letters
    try:
        text, url = wire.question_in(wanted)
        question, setting = question_of("", text, wanted.cof.choices), _setting(server, wanted)
        if (letters := len(text) + sum(map(len, wanted.cof.choices))) > most:
            raise InputError(f"the question has {letters} letters; want at most {most}")
        file = await _file(server, url)
        return Brought(question, setting, file, pixels_of(file, TAKEN))
    except (InputError, InvalidImage) as error:
        raise bad(str(error)) from None


async def _file(server: Server, url: str) -> bytes:
    if url[:7].lower() in ("http://", "https:/") and not server.service.fetching:
        raise InputError("this server fetches no pictures; want a data URL, or a server started with --fetch-from")
    if server.service.fetching and url[:5].lower() != "data:":
        async with server.fetching:
            return await fetched(url, server.service.fetching)
    return wire.picture_in(url)


async def _body(server: Server, request: Request) -> bytes:
    """The request's body, as far as its size and its time allow."""
    most, parts, size = server.service.body, list[bytes](), 0
    large = Refused(413, "invalid_request_error", f"the request is larger than {most} bytes; send a smaller picture")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(
            415, "invalid_request_error", f"the body's Content-Type is {kind[:SHOWN]!r}; want application/json"
        )
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
        raise gone() from None
    except TimeoutError:
        raise Refused(408, "invalid_request_error", "the request took too long to arrive; send it faster") from None
    return b"".join(parts)


def _read(form: Form, body: bytes) -> ChatRequest:
    try:
        return form.read(form.request.model_validate_json(body))
    except ValidationError as error:
        fault: Any = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
        where = ".".join(map(str, filter(_is_field, fault["loc"]))) or "the body"
        raise bad(f"{where}: {FAULTS.get(fault['type'], fault['msg'].removeprefix('Value error, '))}") from None
    except InputError as error:
        raise bad(str(error)) from None


def _is_field(part: int | str) -> bool:
    """Whether a part of a fault's place is a field or a number, and not the name of a type."""
    return isinstance(part, int) or (part.isidentifier() and part.islower() and part not in ("str", "int", "float"))


def _setting(server: Server, wanted: ChatRequest) -> Setting:
    """How the question is asked: the request's limits where they are within the server's."""
    most = server.service.limits
    asked = {name: value for name, value in wanted.cof.limits.model_dump().items() if value is not None}
    limits = replace(most, **{name: min(value, getattr(most, name) or value) for name, value in asked.items()})
    sampling = Sampling(wanted.temperature, wanted.top_p, turn_tokens_of(server.model), wanted.seed)
    own = setting_of(server.model, limits, sampling, dialect=server.service.dialect)
    budget = min(wanted.cof.budget, own.spec.max_pixels // own.spec.factor**2) if wanted.cof.budget else None
    setting = setting_of(server.model, limits, sampling, budget, server.service.dialect)
    return replace(setting, mode=wanted.cof.mode)


def _reply(server: Server, wanted: ChatRequest, trace: Trace) -> Reply:
    """The answer as it was asked for, cut at `max_tokens`."""
    if trace.answer is None:
        return Reply("", cut=True)
    answer, choices = trace.answer, wanted.cof.choices
    if wanted.cof.letter and answer in choices:
        return Reply(ascii_uppercase[choices.index(answer)])
    most, codec = wanted.max_completion_tokens or wanted.max_tokens, getattr(server.model, "codec", None)
    if most is None or codec is None:
        return Reply(answer)
    ids = codec.tokenizer(answer, add_special_tokens=False).input_ids
    return Reply(codec.words(ids[:most]), cut=True) if len(ids) > most else Reply(answer)


def _page(server: Server) -> Callable[[str], Awaitable[str]]:
    async def page(name: str) -> str:
        return await server.page(name)

    return page


def _refusal(server: Server, refused: Refused) -> JSONResponse:
    server.refused.labels(str(refused.status)).inc()
    headers = {"Retry-After": str(RETRY_AFTER)} if refused.status == 429 else {}
    body = wire.failure(refused.kind, refused.message, str(refused.status))
    return JSONResponse(body, refused.status, headers)
