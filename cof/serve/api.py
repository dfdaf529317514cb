"""The OpenAI-compatible server: the focus loop behind `/v1/chat/completions`, for clients that know nothing of it.

Owns what a stranger may send: the size and time of a body, the pixels of a picture, how many may wait, who may ask. An error is
one sentence of ours, with no path, address or text of another library in it. Fetches nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InputError, InvalidImage
from cof.focus.ask import question_of, setting_of, with_budget
from cof.focus.loop import Setting
from cof.models.base import Model
from cof.plain import to_json
from cof.serve import wire
from cof.serve.desk import Asked, Busy, Desk, Room
from cof.serve.page import trace_page
from cof.serve.wire import ChatRequest
from cof.types import Limits, Question, Sampling, Stop, Trace
from cof.vision.load import load, pixels_of
from cof.vision.views import Picture

RETRY_AFTER = 1  # seconds
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNDER_WAY = 64  # questions beside those that wait
NO_ROUTE = "invalid_request_error", "there is nothing here that answers so; want POST /v1/chat/completions"
GONE = 0.2  # seconds between looks whether a client still waits


@dataclass(frozen=True)
class Service:
    """What a server allows.

    `letters` of a question with its choices; `body` in bytes, which may take `body_seconds` to arrive; `waiting` questions may
    wait for the model; `pixels` are decoded at most for all questions under way, 4 bytes each, the others wait; `decoding`
    pictures are decoded at once; `kept` finished traces can be asked for by id.
    """

    limits: Limits = Limits()
    dialect: Dialect = COF
    key: str | None = None
    body: int = 32 * 2**20
    body_seconds: float = 30.0
    letters: int = 2_000
    waiting: int = 256
    pixels: int = 250_000_000
    decoding: int = 2
    kept: int = 64


class Refused(Exception):
    """Carries a refusal out of a route: status, the kind of error, and one sentence."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class Server:
    """What lives as long as the server: the desk, the traces of late, and what was counted."""

    def __init__(self, model: Model, service: Service) -> None:
        self.model, self.service = model, service
        self.desk = Desk(model, service.waiting)
        self.traces = OrderedDict[str, tuple[Trace, bytes]]()
        self.decoding, self.room, self.asking = asyncio.Semaphore(service.decoding), Room(service.pixels), 0
        self.registry = CollectorRegistry()
        self.questions = Counter("cof_questions", "Questions, by how they ended", ["stop"], registry=self.registry)
        self.refused = Counter("cof_refused", "Requests refused, by status", ["status"], registry=self.registry)
        self.zooms = Counter("cof_zooms", "Closer looks", registry=self.registry)
        self.tokens = Counter("cof_tokens", "Tokens sampled", registry=self.registry)
        self.seconds = Histogram("cof_seconds", "Seconds to the answer", registry=self.registry)
        Gauge("cof_waiting", "Questions that wait", registry=self.registry).set_function(lambda: self.desk.waiting)
        Gauge("cof_running", "Questions under way", registry=self.registry).set_function(lambda: self.desk.running)

    def keep(self, trace: Trace, file: bytes) -> None:
        """Count a finished trace, and keep it for a while with its picture."""
        self.questions.labels(trace.stop.value).inc()
        self.zooms.inc(trace.zooms)
        self.tokens.inc(trace.tokens)
        self.traces[trace.id] = trace, file
        while len(self.traces) > self.service.kept:
            self.traces.popitem(last=False)


def make_app(model: Model, service: Service = Service()) -> FastAPI:
    """The application for one model; the model belongs to it until it shuts down."""
    server = Server(model, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.desk.close)

    app = FastAPI(
        title="Chain-of-Focus", lifespan=lifespan, docs_url=None, redoc_url=None, dependencies=[Depends(_guard(server))]
    )
    app.exception_handler(Refused)(lambda _, refused: _refusal(server, refused))
    app.exception_handler(HTTPException)(lambda _, error: _refusal(server, Refused(error.status_code, *NO_ROUTE)))
    app.get("/health")(lambda: {"status": "ok"})
    app.get("/metrics", response_class=PlainTextResponse)(lambda: generate_latest(server.registry).decode())
    app.get("/v1/models")(
        lambda: {"object": "list", "data": [{"id": model.name, "object": "model", "owned_by": "cof"}]}
    )
    app.get("/v1/traces/{name}")(lambda name: to_json(_found(server, name)[0]))
    app.get("/traces/{name}", response_class=HTMLResponse)(lambda name: _page(server, name))

    async def chat(request: Request) -> Response:
        return await _chat(server, request)

    document = {"requestBody": {"content": {"application/json": {"schema": ChatRequest.model_json_schema()}}}}
    app.post("/v1/chat/completions", openapi_extra=document)(chat)
    return app


def _guard(server: Server) -> Callable[[Request], None]:
    """Lets nobody in without the key, if there is one; health is for everybody."""
    expected = f"Bearer {server.service.key}".encode()

    def guard(request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if server.service.key and request.url.path != "/health" and not hmac.compare_digest(given, expected):
            raise Refused(401, "authentication_error", "the key is missing or wrong; want a Bearer token")

    return guard


async def _chat(server: Server, request: Request) -> Response:
    """Answer one request, whole or in pieces; what it costs ends when its client hangs up."""
    wanted = _read(await _body(server, request))
    try:
        text, file = wire.question_in(wanted)
        question, setting = question_of("", text, wanted.cof.choices), _setting(server, wanted)
        if (letters := len(text) + sum(map(len, wanted.cof.choices))) > server.service.letters:
            raise InputError(f"the question has {letters} letters; want at most {server.service.letters}")
        pixels = pixels_of(file)
    except (InputError, InvalidImage) as error:
        raise Refused(400, "invalid_request_error", str(error)) from None
    heard = _heard(server, request, (question, setting, file, pixels))
    last = await anext(heard)  # at once, so that what is refused is refused with a status of its own
    if wanted.stream:
        return StreamingResponse(_pieces(server, wanted, heard), media_type="text/event-stream")
    async for trace in heard:
        last = trace
    if last.stop is Stop.FAILED or (last.answer is None and not last.turns):
        raise Refused(502, "server_error", "the model failed; try again")
    answer, cut = _answer(server, wanted, last)
    return JSONResponse(wire.completion(server.model.name, last, answer, cut))


async def _heard(server: Server, request: Request, asked: tuple[Question, Setting, bytes, int]) -> AsyncIterator[Trace]:
    """The trace at its beginning and after every turn, until the session ends; given up where the client is gone."""
    question, setting, file, pixels = asked
    if server.asking >= server.service.waiting + UNDER_WAY:
        raise Refused(429, "rate_limit_error", "too many questions are under way; try again in a moment")
    server.asking += 1
    session, entered = None, False
    try:
        await server.room.enter(pixels)
        entered = True
        with server.seconds.time():
            loop, turns = asyncio.get_running_loop(), asyncio.Queue[Trace]()

            def heard_of(trace: Trace) -> None:
                loop.call_soon_threadsafe(turns.put_nowait, trace)

            picture = await _decoded(server, file)
            session = Asked(server.model.name, replace(question, id=uuid.uuid4().hex), picture, setting, heard_of)
            server.desk.ask(session)
            yield session.trace
            while not session.ended or not turns.empty():
                try:
                    yield await asyncio.wait_for(turns.get(), GONE)
                except TimeoutError:
                    if await request.is_disconnected():
                        return
        server.keep(session.trace, file)
    except InvalidImage as error:
        raise Refused(400, "invalid_request_error", str(error)) from None
    except Busy as error:
        raise Refused(429, "rate_limit_error", str(error)) from None
    finally:
        if session is not None and not session.ended:
            server.desk.give_up(session)
        server.asking -= 1
        if entered:
            await server.room.leave(pixels)


async def _decoded(server: Server, file: bytes) -> Picture:
    async with server.decoding:
        return Picture(await asyncio.to_thread(load, file))


async def _pieces(server: Server, wanted: ChatRequest, heard: AsyncIterator[Trace]) -> AsyncIterator[str]:
    """Server-sent events: thoughts as they come, then the answer, what it cost, and the end."""
    name, told, trace = server.model.name, 0, None
    async for trace in heard:
        for turn in trace.own[told:]:
            role = {"role": "assistant"} if told == 0 else {}
            yield _event(wire.chunk(name, trace, {**role, "reasoning_content": wire.thought(turn) + "\n"}))
            told += 1
    if trace is None or trace.stop is Stop.FAILED:
        yield _event(wire.failure("server_error", "the model failed; try again", "model_failed"))
    else:
        answer, cut = _answer(server, wanted, trace)
        yield _event(wire.chunk(name, trace, {"content": answer}))
        last = wire.chunk(name, trace, {}, "length" if cut else "stop")
        yield _event(last | {"usage": wire.usage(trace), "cof": wire.extension(trace)})
    yield "data: [DONE]\n\n"


async def _body(server: Server, request: Request) -> bytes:
    """The request's body, as far as its size and its time allow."""
    most, parts, size = server.service.body, list[bytes](), 0
    try:
        async with asyncio.timeout(server.service.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refused(
                        413, "invalid_request_error", f"the request is larger than {most} bytes; send a smaller picture"
                    )
                parts.append(part)
    except TimeoutError:
        raise Refused(408, "invalid_request_error", "the request took too long to arrive; send it faster") from None
    return b"".join(parts)


def _read(body: bytes) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the body"
        raise Refused(400, "invalid_request_error", f"{where}: {fault['msg']}") from None


def _setting(server: Server, wanted: ChatRequest) -> Setting:
    """How the question is asked: the request's limits where they are within the server's."""
    most = server.service.limits
    asked = {name: value for name, value in wanted.cof.limits.model_dump().items() if value is not None}
    limits = replace(most, **{name: min(value, getattr(most, name)) for name, value in asked.items()})
    sampling = Sampling(wanted.temperature, wanted.top_p, seed=wanted.seed)
    setting = setting_of(server.model, limits, sampling, dialect=server.service.dialect)
    most_tokens = setting.spec.max_pixels // setting.spec.factor**2
    spec = with_budget(setting.spec, min(wanted.cof.budget or most_tokens, most_tokens))
    return replace(setting, spec=spec, mode=wanted.cof.mode)


def _answer(server: Server, wanted: ChatRequest, trace: Trace) -> tuple[str, bool]:
    """The answer as it was asked for, and whether it was cut at `max_tokens`."""
    answer, choices = trace.answer or "", wanted.cof.choices
    if wanted.cof.letter and answer in choices:
        return LETTERS[choices.index(answer)], False
    most, codec = wanted.max_completion_tokens or wanted.max_tokens, getattr(server.model, "codec", None)
    if most is None or codec is None:
        return answer, False
    ids = codec.tokenizer(answer, add_special_tokens=False).input_ids
    return (codec.words(ids[:most]), True) if len(ids) > most else (answer, False)


def _found(server: Server, name: str) -> tuple[Trace, bytes]:
    if name not in server.traces:
        raise Refused(404, "invalid_request_error", f"there is no such trace; the last {server.service.kept} are kept")
    return server.traces[name]


def _page(server: Server, name: str) -> str:
    trace, file = _found(server, name)
    return trace_page(trace, load(file))


def _refusal(server: Server, refused: Refused) -> JSONResponse:
    server.refused.labels(str(refused.status)).inc()
    headers = {"Retry-After": str(RETRY_AFTER)} if refused.status == 429 else {}
    body = wire.failure(refused.kind, refused.message, str(refused.status))
    return JSONResponse(body, refused.status, headers)


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
