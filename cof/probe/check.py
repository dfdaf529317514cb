"""`cof check`: what an endpoint takes, in which frame its model names boxes, and what a zoom costs, as rows of a table.

Each row is found out by real requests, and is given as soon as it is known. Omits anything that would need the model's
weights, and prices.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

from cof.dialects.dialect import Dialect
from cof.models.remote.model import RemoteModel
from cof.probe.endpoint import SECONDS, Probe
from cof.probe.grounding import boxes_row, frame_at, shrinks_row
from cof.probe.pictures import drawn
from cof.probe.rows import (
    CheckRow,
    context_row,
    is_served,
    largest_row,
    logprobs_row,
    models_row,
    several_row,
    system_row,
    text_row,
)
from cof.probe.trips import served_rows, trip_rows
from cof.vision.urls import Wire


def check(
    url: str,
    model: str,
    key: str | None = None,
    dialect: Dialect | None = None,
    wire: Wire = Wire(),
    seed: int = 0,
    seconds: float = SECONDS,
) -> Iterator[CheckRow]:
    """The rows of the table; the last is the zoom round trip, whose `good` says whether it worked.

    `dialect` is tried alone where it is given; else the family by the model's name and the one by the measured frame are.
    Without a `dialect` a server of cof, which zooms by itself, is asked one question only.
    `seed` is that of the drawn rectangles; a request has `seconds`. Raises InputError where `url` is no URL or the key no key.
    """
    probe = Probe(url, model, key, seconds)
    with closing(probe.endpoint):
        listing = probe.models()
        yield models_row(listing, model)
        text, ready = text_row(probe, wire)
        yield text
        if text.good is False:  # every other request would end the same way, and may take as long
            yield CheckRow("zoom", "not tried, as the endpoint answers nothing", False)
            return
        if dialect is None and is_served(listing, model):
            with closing(RemoteModel(url, model, 1, seconds, key, wire=wire)) as remote:
                yield from served_rows(remote, random.Random(seed))
            return
        yield system_row(probe, ready)
        yield several_row(probe, wire)
        yield logprobs_row(probe, ready)
        yield context_row(listing, model)
        yield largest_row(probe, wire)
        frame, failure = frame_at(probe, wire, drawn(seed))
        yield boxes_row(frame, failure)
        yield shrinks_row(frame)
    yield CheckRow("thinks", "yes, before it answers" if probe.thinks else "no thought seen")
    with closing(RemoteModel(url, model, 1, seconds, key, wire=wire)) as remote:
        yield from trip_rows(remote, model, frame, dialect, random.Random(seed))
