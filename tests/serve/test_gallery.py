"""Pictures that requests share: decoded once, in the room there is, kept for a while, and let go."""

import asyncio
import io
from contextlib import AsyncExitStack

import pytest
from PIL import Image

from cof.errors import InvalidImage
from cof.serve.gallery import Gallery
from cof.serve.service import Refused

PIXELS = 64 * 64


def file(shade):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


async def stays():
    return False


async def leaves():
    return True


async def look(gallery, shade, left=stays):
    async with gallery.shown(file(shade), PIXELS, left) as picture:
        return picture


def test_a_picture_that_several_look_at_is_decoded_once():
    async def visit():
        gallery = Gallery(PIXELS, 0, 2)
        async with AsyncExitStack() as open_until_here:
            shown = [gallery.shown(file(1), PIXELS, stays) for _ in range(5)]
            return await asyncio.gather(*map(open_until_here.enter_async_context, shown))

    first, *others = asyncio.run(visit())
    assert first.image.getpixel((0, 0)) == (1, 0, 0)
    assert all(other is first for other in others)


def test_it_stays_while_its_room_is_not_wanted():
    async def visit():
        gallery = Gallery(3 * PIXELS, 2 * PIXELS, 2)
        first = [await look(gallery, shade) for shade in (1, 2)]
        again = [await look(gallery, shade) for shade in (1, 2)]
        await look(gallery, 3)  # one too many: 1 was left first
        return first, again, await look(gallery, 2), await look(gallery, 1)

    first, again, second, anew = asyncio.run(visit())
    assert again == first
    assert second is first[1]
    assert anew is not first[0]


def test_what_nobody_looks_at_makes_room():
    async def visit():
        gallery = Gallery(2 * PIXELS, 2 * PIXELS, 2)
        idle = [await look(gallery, shade) for shade in (1, 2)]
        async with gallery.shown(file(3), PIXELS, stays), gallery.shown(file(4), PIXELS, stays):
            pass
        return idle[0], await look(gallery, 1)

    before, after = asyncio.run(asyncio.wait_for(visit(), 10))
    assert before is not after


def test_who_finds_no_room_waits_in_line():
    async def visit():
        gallery, order = Gallery(PIXELS, 0, 2), []

        async def one(shade):
            async with gallery.shown(file(shade), PIXELS, stays):
                order.append(shade)
                await asyncio.sleep(0.01)

        await asyncio.gather(*map(one, (1, 2, 3, 4)))
        return order

    assert asyncio.run(visit()) == [1, 2, 3, 4]


def test_who_hangs_up_in_the_line_is_refused_and_holds_nobody_up():
    async def visit():
        gallery = Gallery(PIXELS, 0, 2)
        async with gallery.shown(file(1), PIXELS, stays):
            with pytest.raises(Refused) as refused:
                await look(gallery, 2, leaves)
            last = asyncio.create_task(look(gallery, 3))
        return refused.value.status, await last

    status, picture = asyncio.run(asyncio.wait_for(visit(), 10))
    assert status == 499
    assert picture.image.getpixel((0, 0)) == (3, 0, 0)


def test_who_began_may_leave_while_another_still_looks():
    async def visit():
        gallery = Gallery(PIXELS, 0, 1)
        await gallery.decoding.acquire()  # the decoder is busy
        first = asyncio.create_task(look(gallery, 1, leaves))
        await asyncio.sleep(0)
        second = asyncio.create_task(look(gallery, 1))
        await asyncio.wait({first}, timeout=0.5)
        gallery.decoding.release()
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = asyncio.run(asyncio.wait_for(visit(), 10))
    assert isinstance(first, Refused)
    assert second.image.getpixel((0, 0)) == (1, 0, 0)


def test_what_all_have_left_is_not_decoded():
    async def visit():
        gallery = Gallery(PIXELS, PIXELS, 1)
        await gallery.decoding.acquire()
        first = asyncio.create_task(look(gallery, 1, leaves))
        await asyncio.sleep(0.5)
        gallery.decoding.release()
        await asyncio.wait({first})
        return first.exception(), await look(gallery, 1), await look(gallery, 2)

    gone, again, other = asyncio.run(asyncio.wait_for(visit(), 10))
    assert isinstance(gone, Refused)
    assert again.image.getpixel((0, 0)) == (1, 0, 0)
    assert other.image.getpixel((0, 0)) == (2, 0, 0)


def test_a_damaged_one_is_told_to_all_and_takes_no_room():
    async def visit():
        gallery = Gallery(PIXELS, PIXELS, 1)

        async def damaged():
            async with gallery.shown(file(1)[:60], PIXELS, stays):
                pass

        faults = await asyncio.gather(damaged(), damaged(), return_exceptions=True)
        return faults, await look(gallery, 2)

    faults, whole = asyncio.run(asyncio.wait_for(visit(), 10))
    assert [type(fault) for fault in faults] == [InvalidImage, InvalidImage]
    assert whole.image.getpixel((0, 0)) == (2, 0, 0)
