"""The server's state, and how it handles a question: the cache of pictures, the model worker and the latest traces.

What a question costs ends when its client hangs up. Omits how requests are read and replies written.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cof.data.outside import outside
from cof.errors import InvalidImage
from cof.loop.notes import unreadable
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.serve.picture_cache import POLL_SECONDS, HungUp, PictureCache
from cof.serve.service import Refused, Service, bad, busy, client_closed
from cof.serve.worker import ModelWorker, StreamingSession
from cof.trace import Trace
from cof.types import Question
from cof.view.page import trace_page
from cof.vision.load import pixels_of
from cof.vision.views import Picture

ARRIVING = 128  # requests that are read at once
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # the bounds of the histogram
FETCHES = 4  # pictures that are fetched at once: less than the threads that names are looked up in

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingQuestion:
    """A question before its pictures are decoded: how it is asked, and the pictures' files."""

    question: Question
    setting: Setting
    files: tuple[bytes, ...]


class Server:
    """The model worker, the latest traces, and what was counted."""

    def __init__(self, model: Model, service: Service) -> None:
        self.model, self.service = model, service
        self.worker = ModelWorker(model)
        self.traces, self.kept_bytes = OrderedDict[str, tuple[Trace, tuple[bytes, ...]]](), 0
        self.picture_cache = PictureCache(service.pixels, service.idle_pixels, service.decoding)
        self.fetching, self.asking, self.arrivals = asyncio.Semaphore(FETCHES), 0, 0
        self._several = asyncio.Lock()
        self.registry = CollectorRegistry()
        self.questions = Counter("cof_questions", "Questions, by how they ended", ["stop"], registry=self.registry)
        self.refused = Counter("cof_refused", "Requests refused, by status", ["status"], registry=self.registry)
        self.zooms = Counter("cof_zooms", "Closer looks", registry=self.registry)
        self.tokens = Counter("cof_tokens", "Tokens sampled", registry=self.registry)
        self.seconds = Histogram("cof_seconds", "Seconds to the answer", buckets=SECONDS, registry=self.registry)
        running = Gauge("cof_running", "Questions that the model is at", registry=self.registry)
        running.set_function(lambda: self.worker.running)
        waiting = Gauge("cof_waiting", "Questions that wait for room or for the model", registry=self.registry)
        waiting.set_function(lambda: max(0, self.asking - self.worker.running))

    async def run(self, pending: PendingQuestion, hung_up: HungUp) -> AsyncIterator[Trace]:
        """The trace at its beginning and after every turn, until the session ends.

        Raises Refused, and cancels the question, where the client `hung_up`.
        """
        if self.asking >= self.service.max_running + self.service.max_waiting:
            raise busy(f"{self.asking} questions are under way, which is all this server takes; try again in a moment")
        self.asking += 1
        began = time.monotonic()
        try:
            async with self._shown(pending.files, hung_up) as pictures:
                async for trace in self._turns(pending, pictures, hung_up, began):
                    yield trace
        except InvalidImage as error:
            raise bad(str(error)) from None
        finally:
            self.asking -= 1

    async def _turns(
        self, pending: PendingQuestion, pictures: Sequence[Picture], hung_up: HungUp, began: float
    ) -> AsyncIterator[Trace]:
        loop, turns, ended = asyncio.get_running_loop(), asyncio.Queue[tuple[Trace, bool]](), False

        def on_turn(trace: Trace, last: bool) -> None:
            loop.call_soon_threadsafe(turns.put_nowait, (trace, last))

        question = replace(pending.question, id=uuid.uuid4().hex)
        session = StreamingSession(self.model.info.name, question, pictures, pending.setting, on_turn)
        try:
            shown = await asyncio.to_thread(outside, self.model.info, session.trace, pictures[0])
            session.mark_outside(shown)
            trace = session.trace
            self.worker.ask(session)
            yield trace
            while not ended:
                try:
                    trace, ended = await asyncio.wait_for(turns.get(), POLL_SECONDS)
                except TimeoutError:
                    if session.cancelled or await hung_up():
                        raise client_closed() from None
                    continue
                if ended:
                    self._keep(trace, pending.files, time.monotonic() - began)
                yield trace
        finally:
            if not ended:
                self.worker.cancel(session)
                self.questions.labels("gone").inc()

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """While a request is read: so many at once, and no more, as each may be large. Raises Refused."""
        if self.arrivals >= ARRIVING:
            raise busy("too many requests arrive at once; try again in a moment")
        self.arrivals += 1
        try:
            yield
        finally:
            self.arrivals -= 1

    async def page(self, name: str) -> str:
        """The page of a trace of late; its picture takes its place among those of the questions."""
        trace, files = self.found(name)
        async with self._shown(files, _stays) as pictures:
            return await asyncio.to_thread(trace_page, trace, [picture.image for picture in pictures])

    @asynccontextmanager
    async def _shown(self, files: Sequence[bytes], hung_up: HungUp) -> AsyncIterator[tuple[Picture, ...]]:
        """The pictures of one question. Of several, one question's at a time are let in, so that no two wait for each other."""
        async with AsyncExitStack() as stack:
            several = self._several if len(files) > 1 else nullcontext()
            async with several:
                pictures = [
                    await stack.enter_async_context(self.picture_cache.shown(file, pixels_of(file), hung_up))
                    for file in files
                ]
            yield tuple(pictures)

    def _keep(self, trace: Trace, files: Sequence[bytes], seconds: float) -> None:
        """Count a finished trace, and keep it for a while with its picture. What went wrong is the operator's to read."""
        if trouble := trace.error or unreadable(trace):
            log.warning("question %s: %r", trace.id, trouble)
        self.seconds.observe(seconds)
        self.questions.labels(trace.stop.value).inc()
        self.zooms.inc(trace.zooms)
        self.tokens.inc(trace.tokens)
        self.traces[trace.id] = trace, tuple(files)
        self.kept_bytes += sum(map(len, files))
        while len(self.traces) > self.service.max_traces or (
            self.kept_bytes > self.service.max_trace_bytes and len(self.traces) > 1
        ):
            self.kept_bytes -= sum(map(len, self.traces.popitem(last=False)[1][1]))

    def found(self, name: str) -> tuple[Trace, tuple[bytes, ...]]:
        """One of the latest traces, with its pictures' files."""
        if name not in self.traces:
            raise Refused(404, "invalid_request_error", "there is no such trace, or it is no longer kept")
        return self.traces[name]


async def _stays() -> bool:
    """Whether a client hung up that is not watched."""
    return False
