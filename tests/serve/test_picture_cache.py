"""Pictures that requests share: decoded once, in the room there is, kept for a while, and let go."""

import asyncio
import gc
import io
import logging
import time

import anyio
import pytest
from PIL import Image

from cof.errors import InvalidImage
from cof.serve import picture_cache as rooms
from cof.serve.picture_cache import PictureCache
from cof.serve.service import Refused
from cof.vision.views import RENDERED

DAMAGED = 60  # bytes of a file that are left


def file(shade):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


async def stays():
    return False


async def leaves():
    return True


class Visit:
    """A cache whose pictures count as given and take some `seconds` to decode; what was decoded in it, how much of it at
    once, and which requests entered and left."""

    def __init__(self, monkeypatch, most, idle=0, decoders=2, seconds=0.0):
        self.picture_cache, self.decoded, self.told = PictureCache(most * RENDERED, idle * RENDERED, decoders), [], []
        self.decoding = self.at_once = 0
        load = rooms.load

        def counted(data):
            self.decoded.append(data)
            self.decoding += 1
            self.at_once = max(self.at_once, self.decoding)
            time.sleep(seconds)
            self.decoding -= 1
            return load(data)

        monkeypatch.setattr(rooms, "load", counted)

    async def look(self, shade, seconds=0.0, hung_up=stays, size=1, cut=None):
        async with self.picture_cache.shown(file(shade)[:cut], size * RENDERED, hung_up) as picture:
            self.told.append(f"in {shade}")
            await asyncio.sleep(seconds)
            self.told.append(f"out {shade}")
            return picture

    async def begin(self, shade, *rest, **options):
        """Somebody who looks, as far in as there is room."""
        task = asyncio.create_task(self.look(shade, *rest, **options))
        await asyncio.sleep(0.05)
        return task


def visited(visit):
    return asyncio.run(asyncio.wait_for(visit, 10))


def test_a_picture_that_several_look_at_is_decoded_once(monkeypatch):
    visit = Visit(monkeypatch, 1)

    async def five():
        return await asyncio.gather(*(visit.look(1, 0.1) for _ in range(5)))

    first, *others = visited(five())
    assert first.image.getpixel((0, 0)) == (1, 0, 0)
    assert all(other is first for other in others)
    assert len(visit.decoded) == 1
    assert visit.told == ["in 1"] * 5 + ["out 1"] * 5


def test_what_was_left_first_goes_first(monkeypatch):
    visit = Visit(monkeypatch, 3, idle=2)

    async def six():
        for shade in (1, 2, 1, 3, 1, 2):
            await visit.look(shade)

    visited(six())
    assert visit.decoded == [file(shade) for shade in (1, 2, 3, 2)]


def test_what_nobody_looks_at_makes_room(monkeypatch):
    visit = Visit(monkeypatch, 2, idle=2)

    async def walk():
        for shade in (1, 2):
            await visit.look(shade)
        both = await visit.begin(3, 0.2), await visit.begin(4, 0.2)
        held = len(visit.picture_cache._places)
        await asyncio.gather(*both)
        return held

    assert visited(walk()) == 2
    assert visit.told[4:6] == ["in 3", "in 4"]


def test_who_finds_no_room_waits_in_line(monkeypatch):
    visit = Visit(monkeypatch, 2)

    async def three():
        await asyncio.gather(visit.look(1, 0.2), visit.look(2, 0.1, size=2), visit.look(3))

    visited(three())
    assert visit.told == ["in 1", "out 1", "in 2", "out 2", "in 3", "out 3"]


def test_what_is_larger_than_the_room_is_looked_at_alone(monkeypatch):
    visit = Visit(monkeypatch, 2)

    async def two():
        await asyncio.gather(visit.look(1, 0.1, size=9), visit.look(2))

    visited(two())
    assert visit.told == ["in 1", "out 1", "in 2", "out 2"]


def test_a_picture_that_is_always_looked_at_does_not_keep_others_out(monkeypatch):
    visit = Visit(monkeypatch, 2)

    async def crowd():
        first = [await visit.begin(1, 0.2)]
        large = await visit.begin(2, size=2)
        later = [await visit.begin(1) for _ in range(3)]
        await asyncio.gather(*first, large, *later)

    visited(crowd())
    assert visit.told[:4] == ["in 1", "out 1", "in 2", "out 2"]


def test_small_pictures_count_as_much_as_their_views_may(monkeypatch):
    visit = Visit(monkeypatch, 9, idle=3)

    async def many():
        for shade in range(20):
            await visit.look(shade, size=1e-6)

    visited(many())
    assert len(visit.picture_cache._places) == 3


def test_who_hangs_up_in_the_line_is_refused_and_holds_nobody_up(monkeypatch):
    visit = Visit(monkeypatch, 1)

    async def three():
        first = await visit.begin(1, 0.5)
        gone, last = await visit.begin(2, hung_up=leaves), await visit.begin(3)
        return await asyncio.gather(first, gone, last, return_exceptions=True)

    _, gone, _ = visited(three())
    assert isinstance(gone, Refused)
    assert gone.status == 499
    assert visit.told == ["in 1", "out 1", "in 3", "out 3"]


def test_who_hangs_up_lets_those_behind_have_what_room_there_is(monkeypatch):
    visit = Visit(monkeypatch, 2)

    async def three():
        first = await visit.begin(1, 1.0)
        large, small = await visit.begin(2, hung_up=leaves, size=2), await visit.begin(3)
        await asyncio.gather(first, large, small, return_exceptions=True)

    visited(three())
    assert visit.told == ["in 1", "in 3", "out 3", "out 1"]


def test_room_is_free_only_when_the_decoder_is_done_with_it(monkeypatch):
    visit = Visit(monkeypatch, 1, seconds=0.5)

    async def two():
        gone, waiting = await visit.begin(1, hung_up=leaves), await visit.begin(2)
        await asyncio.gather(gone, waiting, return_exceptions=True)

    visited(two())
    assert visit.decoded == [file(1), file(2)]
    assert visit.at_once == 1


def test_a_damaged_one_that_all_have_left_is_nothing_to_log(monkeypatch, caplog):
    visit = Visit(monkeypatch, 1, seconds=0.5)

    async def two():
        gone, waiting = await visit.begin(1, hung_up=leaves, cut=DAMAGED), await visit.begin(2)
        await asyncio.gather(gone, waiting, return_exceptions=True)

    with caplog.at_level(logging.ERROR):
        visited(two())
        gc.collect()
    assert len(visit.decoded) == 2
    assert not caplog.records


@pytest.mark.parametrize("shade", [2, 1])
def test_who_is_cancelled_again_and_again_holds_nobody_up(monkeypatch, shade):
    """As a web framework cancels a stream whose client is gone: at every await, while the stream cleans up."""
    visit = Visit(monkeypatch, 1)

    async def two():
        async with anyio.create_task_group() as group:
            group.start_soon(visit.look, 1, 60.0)
            await asyncio.sleep(0.1)
            waiting = await visit.begin(shade)
            group.cancel_scope.cancel()
        return await waiting

    assert visited(two()).image.getpixel((0, 0)) == (shade, 0, 0)


def test_who_began_may_leave_while_another_still_looks(monkeypatch):
    visit = Visit(monkeypatch, 1, decoders=1)

    async def two():
        await visit.picture_cache.decoders.acquire()  # the decoder is busy
        both = await visit.begin(1, hung_up=leaves), await visit.begin(1)
        await asyncio.wait({both[0]})
        visit.picture_cache.decoders.release()
        return await asyncio.gather(*both, return_exceptions=True)

    first, second = visited(two())
    assert isinstance(first, Refused)
    assert second.image.getpixel((0, 0)) == (1, 0, 0)


def test_what_all_have_left_is_not_decoded(monkeypatch):
    visit = Visit(monkeypatch, 1, idle=1, decoders=1)

    async def three():
        await visit.picture_cache.decoders.acquire()
        gone = await visit.begin(1, hung_up=leaves)
        await asyncio.wait({gone})
        waiting = await visit.begin(2)  # the room is the decoder's until it has seen that nobody looks
        visit.picture_cache.decoders.release()
        await waiting
        return await visit.look(1)

    assert visited(three()).image.getpixel((0, 0)) == (1, 0, 0)
    assert visit.decoded == [file(2), file(1)]


def test_a_damaged_one_is_told_to_all_and_takes_no_room(monkeypatch, caplog):
    visit = Visit(monkeypatch, 2, idle=1)

    async def many():
        await visit.look(1)
        crowd = list[asyncio.Task]()
        for _ in range(40):
            crowd.append(asyncio.create_task(visit.look(2, cut=DAMAGED)))
            await asyncio.sleep(0.0005)
        return await asyncio.gather(*crowd, return_exceptions=True), await visit.look(1)

    with caplog.at_level(logging.ERROR):
        faults, _ = visited(many())
    assert {type(fault) for fault in faults} == {InvalidImage}
    assert visit.decoded.count(file(1)) == 1
    assert not caplog.records
