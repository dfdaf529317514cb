"""The pictures that questions are about: one that several ask about is decoded once and looked at by all.

There is room for so many pixels at once; who finds none waits, first come, first served. A picture that nobody asks about any
more stays for a while, with the views of it that were rendered, as long as its room is not wanted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cof.serve.service import gone
from cof.vision.load import load
from cof.vision.views import Picture

GLANCE = 0.2  # seconds between looks whether a client still waits

Left = Callable[[], Awaitable[bool]]  # whether a client hung up


@dataclass
class _Place:
    """Where a picture of so many `pixels` hangs, and how many look. It is decoded by a task of its own: who began may leave."""

    key: bytes
    pixels: int
    looking: int = 0
    picture: asyncio.Task[Picture] | None = None

    @property
    def used(self) -> bool:
        """Whether anybody looks, or the decoder is at it."""
        return self.looking > 0 or (self.picture is not None and not self.picture.done())

    @property
    def hangs(self) -> bool:
        """Whether there is something to see, now or soon."""
        if self.picture is None or self.picture.cancelled():
            return False
        return not self.picture.done() or self.picture.exception() is None


class Gallery:
    """Room for `most` decoded pixels, or for a single larger picture, of which `kept` may be of pictures that nobody looks at;
    `decoding` are decoded at once."""

    def __init__(self, most: int, kept: int, decoding: int) -> None:
        self.most, self.kept, self.decoding = most, kept, asyncio.Semaphore(decoding)
        self._places = OrderedDict[bytes, _Place]()  # of those that nobody looks at, the first was left first
        self._changed, self._line = asyncio.Condition(), deque[object]()

    @asynccontextmanager
    async def shown(self, file: bytes, pixels: int, left: Left) -> AsyncIterator[Picture]:
        """The picture in a file, for as long as it is looked at. Raises InvalidImage, and Refused where the client `left`."""
        entering = asyncio.create_task(self._enter(hashlib.sha256(file).digest(), pixels))
        try:
            await _until(entering, left)
            place = entering.result()
            if place.picture is None or not place.hangs:
                place.picture = asyncio.create_task(self._decoded(place, file))
            await _until(place.picture, left)
            yield place.picture.result()
        finally:
            if entering.cancel():
                await asyncio.wait({entering})
            if not entering.cancelled():
                await self._leave(entering.result())

    async def _enter(self, key: bytes, pixels: int) -> _Place:
        turn = object()
        async with self._changed:
            self._line.append(turn)
            try:
                await self._changed.wait_for(
                    lambda: key in self._places or (self._line[0] is turn and self._fits(pixels))
                )
                place = self._places.setdefault(key, _Place(key, pixels))
                place.looking += 1
                self._clear()
                return place
            finally:
                self._line.remove(turn)
                self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        used = sum(place.pixels for place in self._places.values() if place.used)
        return used == 0 or used + pixels <= self.most

    def _clear(self) -> None:
        """Take down what nobody looks at, as far as it is too much, what was left first before others."""
        idle = [place for place in self._places.values() if not place.used]
        kept, used = sum(place.pixels for place in idle), sum(place.pixels for place in self._places.values())
        for place in idle:
            if kept <= self.kept and used <= self.most:
                return
            del self._places[place.key]
            kept, used = kept - place.pixels, used - place.pixels

    async def _decoded(self, place: _Place, file: bytes) -> Picture:
        async with self.decoding:
            if not place.looking:
                raise gone()
            return Picture(await asyncio.to_thread(load, file))

    async def _leave(self, place: _Place) -> None:
        place.looking -= 1
        if place.picture:  # its room is free only when the decoder is done with it
            await asyncio.wait({place.picture})
        async with self._changed:
            if not place.used and self._places.get(place.key) is place:
                self._places.move_to_end(place.key)
                if not place.hangs:
                    del self._places[place.key]
            self._clear()
            self._changed.notify_all()


async def _until(task: asyncio.Task[object], left: Left) -> None:
    """Wait until the task is done. Raises Refused where the client `left` before."""
    while not task.done():
        await asyncio.wait({task}, timeout=GLANCE)
        if not task.done() and await left():
            raise gone()
