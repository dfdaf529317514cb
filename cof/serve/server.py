"""What lives as long as the server, and a question's way through it: the room for its picture, the desk, the traces of late.

What a question costs ends when its client hangs up. Omits HTTP.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cof.errors import InvalidImage
from cof.focus.loop import Setting
from cof.models.base import Model
from cof.serve.desk import Asked, Busy, Desk, Room
from cof.serve.service import Refused, Service, bad
from cof.types import Question, Trace
from cof.vision.load import load
from cof.vision.views import Picture

UNDER_WAY = 64  # questions beside those that wait
GONE = 0.2  # seconds between looks whether a client still waits


@dataclass(frozen=True)
class Brought:
    """A question as it was brought: how it is asked, and its picture's file, which holds so many pixels."""

    question: Question
    setting: Setting
    file: bytes
    pixels: int


class Server:
    """The desk, the traces of late, and what was counted."""

    def __init__(self, model: Model, service: Service) -> None:
        self.model, self.service = model, service
        self.desk = Desk(model, service.waiting)
        self.traces, self.kept_bytes = OrderedDict[str, tuple[Trace, bytes]](), 0
        self.decoding, self.room, self.asking = asyncio.Semaphore(service.decoding), Room(service.pixels), 0
        self.registry = CollectorRegistry()
        self.questions = Counter("cof_questions", "Questions, by how they ended", ["stop"], registry=self.registry)
        self.refused = Counter("cof_refused", "Requests refused, by status", ["status"], registry=self.registry)
        self.zooms = Counter("cof_zooms", "Closer looks", registry=self.registry)
        self.tokens = Counter("cof_tokens", "Tokens sampled", registry=self.registry)
        self.seconds = Histogram("cof_seconds", "Seconds to the answer", registry=self.registry)
        running = Gauge("cof_running", "Questions that the model is at", registry=self.registry)
        running.set_function(lambda: self.desk.running)
        waiting = Gauge("cof_waiting", "Questions that wait for room or for the model", registry=self.registry)
        waiting.set_function(lambda: max(0, self.asking - self.desk.running))

    async def heard(self, brought: Brought, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[Trace]:
        """The trace at its beginning and after every turn, until the session ends; given up where the client is `gone`."""
        if self.asking >= self.service.waiting + UNDER_WAY:
            raise Refused(429, "rate_limit_error", "too many questions are under way; try again in a moment")
        self.asking += 1
        entered = False
        try:
            await self.room.enter(brought.pixels)
            entered = True
            with self.seconds.time():
                async for trace in self._turns(brought, gone):
                    yield trace
        except InvalidImage as error:
            raise bad(str(error)) from None
        except Busy as error:
            raise Refused(429, "rate_limit_error", str(error)) from None
        finally:
            self.asking -= 1
            if entered:
                await self.room.leave(brought.pixels)

    async def _turns(self, brought: Brought, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[Trace]:
        loop, turns = asyncio.get_running_loop(), asyncio.Queue[Trace]()

        def heard_of(trace: Trace) -> None:
            loop.call_soon_threadsafe(turns.put_nowait, trace)

        async with self.decoding:
            if await gone():
                return
            picture = Picture(await asyncio.to_thread(load, brought.file))
        question = replace(brought.question, id=uuid.uuid4().hex)
        session = Asked(self.model.name, question, picture, brought.setting, heard_of)
        try:
            self.desk.ask(session)
            yield session.trace
            while not session.ended or not turns.empty():
                try:
                    yield await asyncio.wait_for(turns.get(), GONE)
                except TimeoutError:
                    if await gone():
                        return
            self._keep(session.trace, brought.file)
        finally:
            if not session.ended:
                self.desk.give_up(session)

    def _keep(self, trace: Trace, file: bytes) -> None:
        """Count a finished trace, and keep it for a while with its picture."""
        self.questions.labels(trace.stop.value).inc()
        self.zooms.inc(trace.zooms)
        self.tokens.inc(trace.tokens)
        self.traces[trace.id] = trace, file
        self.kept_bytes += len(file)
        while len(self.traces) > self.service.kept or (
            self.kept_bytes > self.service.kept_bytes and len(self.traces) > 1
        ):
            self.kept_bytes -= len(self.traces.popitem(last=False)[1][1])

    def found(self, name: str) -> tuple[Trace, bytes]:
        """A trace of late, with its picture's file."""
        if name not in self.traces:
            raise Refused(
                404, "invalid_request_error", f"there is no such trace; the last {self.service.kept} are kept"
            )
        return self.traces[name]
