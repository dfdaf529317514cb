"""The pictures that questions are about: one that several requests ask about is decoded once and shared.

There is room for so many pixels at once; requests beyond it wait, first come, first served. A picture that no request uses any
more stays for a while, with the views of it that were rendered last, as long as its room is not wanted. All but the
decoding happens on the event loop between two awaits, so that a request that ends, however suddenly, does not hold up others.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cof.serve.service import client_closed
from cof.vision.load import load
from cof.vision.views import RENDERED, Picture

POLL_SECONDS = 0.2  # seconds between looks whether a client still waits

HungUp = Callable[[], Awaitable[bool]]


@dataclass(eq=False)
class _CachedPicture:
    """A picture and how many requests use it. Its decoder is a task of its own: the request that began it may end."""

    key: bytes
    pixels: int
    refcount: int = 0
    decoder: asyncio.Task[Picture | None] = field(init=False)

    @property
    def used(self) -> bool:
        """Whether a request uses it or the decoder runs: its room is not free before."""
        return self.refcount > 0 or not self.decoder.done()


@dataclass(eq=False)
class _Waiter:
    """A request that waits for room for its picture file."""

    key: bytes
    pixels: int
    file: bytes
    place: asyncio.Future[_CachedPicture]


class PictureCache:
    """Room for `most` decoded pixels, or for a single larger picture; so many `idle` ones stay when no request uses them.

    `decoders` work at once. A picture counts with all of its pixels, and with no less than its rendered views may have.
    """

    def __init__(self, most: int, idle: int, decoders: int) -> None:
        self.most, self.idle, self.decoders = most, idle, asyncio.Semaphore(decoders)
        self._places = OrderedDict[bytes, _CachedPicture]()  # of those that no request uses, the longest unused first
        self._line = deque[_Waiter]()

    @asynccontextmanager
    async def shown(self, file: bytes, pixels: int, hung_up: HungUp) -> AsyncIterator[Picture]:
        """The picture in a file, for as long as it is used. Raises InvalidImage, and Refused if the client `hung_up`."""
        key = (await asyncio.to_thread(hashlib.sha256, file)).digest()
        turn = _Waiter(key, max(pixels, RENDERED), file, asyncio.Future())
        place = await self._entered(turn, hung_up)
        try:
            await _until(place.decoder, hung_up)
            picture = place.decoder.result()
            assert picture is not None  # a request uses it
            yield picture
        finally:
            self._leave(place)

    async def _entered(self, turn: _Waiter, hung_up: HungUp) -> _CachedPicture:
        self._line.append(turn)
        self._admit()
        try:
            await _until(turn.place, hung_up)
        except BaseException:
            if turn.place.done():
                self._leave(turn.place.result())
            else:
                self._line.remove(turn)
                self._admit()
            raise
        return turn.place.result()

    def _admit(self) -> None:
        """Admit waiting requests in their order, as long as there is room."""
        while self._line and self._fits(self._line[0]):
            turn = self._line.popleft()
            if turn.key not in self._places:
                place = self._places[turn.key] = _CachedPicture(turn.key, turn.pixels)
                place.decoder = asyncio.create_task(self._decoded(place, turn.file))
                place.decoder.add_done_callback(self._settle)
            self._places[turn.key].refcount += 1
            turn.place.set_result(self._places[turn.key])
        self._clear()

    def _fits(self, turn: _Waiter) -> bool:
        used = {place.key: place.pixels for place in self._places.values() if place.used}
        return not used or sum((used | {turn.key: turn.pixels}).values()) <= self.most

    def _clear(self) -> None:
        """Drop pictures that no request uses, as far as they are too many, the longest unused first."""
        idle = [place for place in self._places.values() if not place.used]
        kept, all_there = sum(place.pixels for place in idle), sum(place.pixels for place in self._places.values())
        for place in idle:
            if kept <= self.idle and all_there <= self.most:
                return
            del self._places[place.key]
            kept, all_there = kept - place.pixels, all_there - place.pixels

    async def _decoded(self, place: _CachedPicture, file: bytes) -> Picture | None:
        """The picture, None where no request uses it any more when its turn comes. One that was not decoded is dropped."""
        picture = None
        try:
            async with self.decoders:
                if place.refcount:
                    picture = Picture(await asyncio.to_thread(load, file))
            return picture
        finally:
            if picture is None:
                del self._places[place.key]

    def _settle(self, decoder: asyncio.Task[Picture | None]) -> None:
        """Retrieve the error of a failed decoding, which requests that use it get as well. There may be room now."""
        if not decoder.cancelled():
            decoder.exception()
        self._admit()

    def _leave(self, place: _CachedPicture) -> None:
        place.refcount -= 1
        if self._places.get(place.key) is place:
            self._places.move_to_end(place.key)
        self._admit()


async def _until(done: asyncio.Future[Any], hung_up: HungUp) -> None:
    """Wait for it. Raises Refused where the client `hung_up` before."""
    while not done.done():
        await asyncio.wait({done}, timeout=POLL_SECONDS)
        if not done.done() and await hung_up():
            raise client_closed()
