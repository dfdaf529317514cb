"""A model behind any OpenAI-compatible chat endpoint, or behind several that have the same model.

Calls are plain assistant text and crops come back in user turns, or as native tool calls where the dialect asks for them.
Earlier messages are byte for byte the same from turn to turn, so that the server's prefix cache hits. What an endpoint does
not take is learnt from its refusals (`refusals.py`) and left out from then on. Omits streaming, log-probabilities, and a
turn that must begin with given text.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Event, Lock

from cof.dialects.named import dialect_for
from cof.errors import InputError, ModelError
from cof.models.base import SERVED, Conversation, ModelInfo, Request, Usage
from cof.models.remote.endpoint import CHAT, LISTING, Endpoint, address, listed, own_key, owners
from cof.models.remote.faults import Fault
from cof.models.remote.refusals import EndpointCapabilities, Unsupported, lack_of, refuses_several, refuses_tools
from cof.models.remote.replicas import Replica, Replicas
from cof.models.remote.reply import completion
from cof.models.remote.wire import Urls, chat
from cof.models.remote.wordings import no_model, oversize
from cof.types import Completion
from cof.vision.urls import Wire

SECONDS = 120.0  # for a turn
RETRIES = 4
PAUSE = 0.5  # seconds before the first retry; doubled each time
OWNER = "cof"  # of a model, as a server of cof names it
UNTRAINED = "plain"  # the dialect of a model whose name names no family
LISTED = 10  # names of an endpoint's models that an error shows
POLL_SECONDS = 0.2  # seconds between looks at whether the reply is still wanted


@dataclass
class RemoteConversation:
    """One conversation under way.

    `conversation`: the conversation itself.
    `replica`: the endpoint at which it is.
    `stopping`: whether all conversations are to stop.
    `urls`: its pictures as they were sent.
    """

    conversation: Conversation
    replica: Replica
    stopping: Event
    urls: Urls = field(default_factory=dict)


class RemoteModel:
    """Continues conversations with `model` at `url` (up to `/v1`), `batch` of them at a time.

    Several URLs are replicas of one model: each conversation stays at one. A turn has `seconds`, all its tries included; what
    may pass is tried again after `pause` seconds, then after twice as long, and never before the endpoint's own Retry-After.
    `key` is taken from the environment (OPENAI_API_KEY) where it is None. `wire` is the form in which pictures are sent.
    Raises InputError for what is no URL or no key.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        model: str,
        batch: int = 16,
        seconds: float = SECONDS,
        key: str | None = None,
        pause: float = PAUSE,
        wire: Wire | str = Wire(),
    ) -> None:
        if not isinstance(model, str) or not model:
            raise InputError(f"model is {model!r}; want the name that the endpoint has for it")
        if type(batch) is not int or batch < 1 or not seconds > 0:
            raise InputError(
                f"batch is {batch!r} and seconds are {seconds!r}; want a whole number from 1, and more than 0"
            )
        urls = list(dict.fromkeys(address(each) for each in ([url] if isinstance(url, str) else url)))
        if not urls:
            raise InputError(f"there is no URL for {model}; want at least one endpoint that has it")
        self.name, self.batch, self.seconds, self.pause = model, batch, seconds, pause
        self.wire = Wire.of(wire) if isinstance(wire, str) else wire
        self.replicas = Replicas(urls)
        self._endpoint, self._listed = Endpoint(own_key(key), batch), dict[str, str]()
        self.known, self._spent, self._lock, self._listing = EndpointCapabilities(), Usage(), Lock(), Lock()

    @functools.cached_property
    def info(self) -> ModelInfo:
        """What is known of the model. Its fingerprint is where it is served: the weights there cannot be seen from here."""
        places = sorted(each.url.removesuffix(CHAT[1:]) for each in self.replicas.every)
        fingerprint = f"{','.join(places)}{self.name}"
        return ModelInfo(self.name, find_dialect=self._dialect, fingerprint=fingerprint, wire=str(self.wire))

    @property
    def usage(self) -> Usage:
        return replace(self._spent, left_out=frozenset[str](self.known.lacks))

    def _dialect(self) -> str:
        """Behind a server of cof "served", whatever the name; else the family that the name names, or "plain"."""
        return SERVED if self._served_by_cof else dialect_for(self.name) or UNTRAINED

    @functools.cached_property
    def _served_by_cof(self) -> bool:
        """Whether the endpoint is a server of cof, whose reply is an answer already: by its list of models, asked for once."""
        place = self.replicas.every[0].url.removesuffix(CHAT)
        found = owners(self._endpoint, place, time.monotonic() + LISTING)
        return not isinstance(found, Fault) and found.get(self.name) == OWNER

    def close(self) -> None:
        """Close its connections; another turn would fail."""
        self._endpoint.close()

    def converse(self, conversations: Iterable[Conversation]) -> None:
        pool, stopping = ThreadPoolExecutor(self.batch), Event()
        try:
            running: set[Future[None]] = set()
            for conversation in conversations:
                running.add(pool.submit(self._continue, conversation, stopping))
                if len(running) >= self.batch:
                    running = _settled(running)
            while running:
                running = _settled(running)
        finally:  # also where it is interrupted: turns under way end, no other begins
            stopping.set()
            pool.shutdown(cancel_futures=True)

    def _continue(self, conversation: Conversation, stopping: Event) -> None:
        running = RemoteConversation(conversation, self.replicas.take(), stopping)
        try:
            while not stopping.is_set() and (request := conversation.request()) is not None:
                began = time.monotonic()
                try:
                    completed: Completion | ModelError = self._turn(request, running)
                except ModelError as error:
                    completed = error
                except Exception as error:  # one conversation's: the others go on
                    completed = ModelError(f"a turn of {self.name} broke off: {type(error).__name__}: {error}")
                seconds = time.monotonic() - began
                if isinstance(completed, Completion):
                    with self._lock:
                        self._spent.add(Usage(completed.prompt_tokens, completed.tokens, len(request.pixels), seconds))
                conversation.receive(completed, seconds)
        finally:
            self.replicas.leave(running.replica)

    def _turn(self, request: Request, running: RemoteConversation) -> Completion:
        self._check(request)
        until, tries, lacks = time.monotonic() + self.seconds, 0, self.known.lacks
        while True:
            body = chat(self.name, request, lacks, running.urls, self.wire)
            found = self._endpoint.post(running.replica.url, body, until)
            if not isinstance(found, Fault):
                break
            if refuses_several(found, len(request.pixels)):
                self._learn(pictures=len(request.pixels) - 1)
                raise self._too_many(request, len(request.pixels) - 1, found.short)
            if oversize(found.status, found.text):
                raise self._failed(running.replica, found.explained)
            if (lack := lack_of(found, body)) is not None:
                lacks |= {lack}
            elif refuses_tools(found, body):
                raise self._failed(
                    running.replica, f'{found.short}; want a server with tool calls, or native = "no" in the dialect'
                )
            else:
                tries = self._try_again(found, running, tries, until)
        self.replicas.worked(running.replica)
        self._learn(lacks)
        try:
            return completion(found, request.dialect)
        except ValueError as error:
            raise ModelError(f"{self.name} sent no chat completion: {error}") from None

    def _try_again(self, fault: Fault, running: RemoteConversation, tries: int, until: float) -> int:
        """Get ready for another try, here or elsewhere; returns the tries that were waited for. Raises ModelError.

        Where the endpoint gives a time for the next try, only the deadline counts.
        """
        if not fault.passing:
            if fault.elsewhere:
                self.replicas.failed(running.replica)
            raise self._failed(running.replica, fault.explained + self._others(fault, running.replica))
        place, awake = running.replica, False
        if fault.elsewhere:
            running.replica, awake = self.replicas.move(running.replica)
        if awake:
            return tries
        rest = max(fault.after, self.pause * 2 ** min(tries, RETRIES))
        if (tries >= RETRIES and not fault.after) or time.monotonic() + rest >= until:
            raise self._failed(place, fault.short)
        _sleep(rest, running)
        return tries + 1

    def _check(self, request: Request) -> None:
        """Refuse what is known not to work, without asking again."""
        if request.prefix:
            raise ModelError(
                f"{self.name} is remote and cannot be made to begin a turn with given text; use another arm"
            )
        most = self.known.pictures
        if most is not None and len(request.pixels) > most:
            raise self._too_many(request, most, f"it refused {most + 1} before")

    def _learn(self, lacks: frozenset[Unsupported] = frozenset(), pictures: int | None = None) -> None:
        """Remember for the life of the model. Conversations that are under way together may each learn the same."""
        with self._lock:
            known = self.known
            most = min((n for n in (known.pictures, pictures) if n is not None), default=None)
            self.known = EndpointCapabilities(known.lacks | lacks, most)

    def _too_many(self, request: Request, most: int, why: str) -> ModelError:
        count = len(request.pixels)
        return ModelError(
            f"{self.name} does not take {count} pictures in one request ({why}); want a server that does, as vLLM with "
            f"--limit-mm-per-prompt, or --limit zooms={most - 1}"
        )

    def _others(self, fault: Fault, replica: Replica) -> str:
        """The models that an endpoint lists, where it has none of this name; asked for once."""
        if not no_model(fault.status, fault.text):
            return ""
        place = replica.url.removesuffix(CHAT)
        with self._listing:
            if place not in self._listed:
                names = listed(self._endpoint, place, time.monotonic() + LISTING)
                self._listed[place] = "" if isinstance(names, Fault) else f": {in_short(names)}"
            return self._listed[place]

    def _failed(self, replica: Replica, why: str) -> ModelError:
        return ModelError(f"{self.name} at {replica.url.removesuffix(CHAT[1:])} did not answer ({why})")


def in_short(names: Sequence[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _sleep(seconds: float, running: RemoteConversation) -> None:
    """Wait, but not for a conversation that nobody follows any more."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if running.conversation.cancelled or running.stopping.is_set():
            raise ModelError("nobody waits for the turn any more")
        time.sleep(min(left, POLL_SECONDS))


def _settled(running: set[Future[None]]) -> set[Future[None]]:
    """Those still running after at least one ended; what went wrong in one is raised."""
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return rest
