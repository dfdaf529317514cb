"""Searches as a long job: many at once, journaled as they end, resumed where they stopped, published when all ended.

Owns the run folder of a build: `searches.jsonl` holds every search that ended, `failures.jsonl` those that broke and will be
tried again; `traces.jsonl` and `stats.json` are published from them, in the order of the examples' ids, so that they do not
depend on what ended first or how often the build was killed.
"""

from __future__ import annotations

import io
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from cof.agent.calls import Actors, Cost
from cof.agent.ground import ground
from cof.agent.search import search
from cof.agent.trajectory import Outcome, Rules, Search
from cof.data.example import Example
from cof.data.filters import FAILED, UNVERIFIED, Filters, counted, picture_hash
from cof.data.pictures import can_open
from cof.data.traces import Kept, write_kept
from cof.errors import ModelError
from cof.geometry import Box
from cof.plain import to_json, trace_from_json
from cof.runs import RunDir, publish, read_records
from cof.trace import Trace
from cof.types import Question
from cof.vision import boxes

METHODS: dict[str, Callable[[Example, Rules], Search]] = {"search": search, "ground": ground}
GOOD = 0.3  # IoU from which a box points at its target; so does one that holds the target


@dataclass(frozen=True)
class Ended:
    """A search that ended, or broke with `error`; `picture` is the hash of what it was about."""

    example: Example
    outcome: Outcome | None
    cost: Cost
    seconds: float
    picture: int = 0
    error: str = ""


def build(
    players: Actors,
    examples: Iterable[Example],
    rules: Rules,
    run: RunDir,
    method: Callable[[Example, Rules], Search] = search,
    concurrency: int = 1,
    most_calls: int | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Do every example that is not in the journal of `run` by `method`, `concurrency` at once, as long as calls are left."""
    searches, failures = run.journal("searches"), run.journal("failures")
    spent = sum(record["calls"] for name in ("searches", "failures") for record in _read(run, name))

    def keep(ended: Ended) -> None:
        nonlocal spent
        spent += ended.cost.calls
        if ended.outcome is None:
            fault = {"id": f"{len(failures.done)} {ended.example.question.id}", "error": ended.error}
            failures.append(fault | _cost(ended))
        else:
            searches.append(_record(ended, ended.outcome, run.folder))
        on_end()

    stopping = Event()
    with ThreadPoolExecutor(concurrency) as pool:
        running: set[Future[Ended]] = set()
        try:
            for example in examples:
                if example.question.id in searches.done:
                    continue
                if most_calls is not None and spent >= most_calls:
                    break
                running.add(pool.submit(_searched, players, method(example, rules), example, stopping))
                if len(running) >= concurrency:
                    running = _settled(running, keep)
            while running:
                running = _settled(running, keep)
        finally:
            stopping.set()  # where something went wrong, searches under way end at their next call


def publish_kept(run: RunDir, filters: Filters, left_out_rows: int = 0) -> dict[str, Any]:
    """Write what passes the filters to `traces.jsonl`, and what was counted to `stats.json`, which is returned.

    `left_out_rows` of the source could not be used.
    """
    found = sorted(_read(run, "searches"), key=lambda record: str(record["id"]))
    reasons, kept = Counter[str](), list[tuple[dict[str, Any], Trace]]()
    for record in found:
        trace = trace_from_json(record["trace"]) if record["trace"] else None
        reason = UNVERIFIED if trace is None else filters.refuse(trace, record["picture"])
        if trace is None or reason is not None:
            reasons[str(reason)] += 1
        else:
            kept.append((record, trace))
    ended = {record["id"] for record in found}
    reasons[FAILED] = len({record["id"].partition(" ")[2] for record in _read(run, "failures")} - ended)
    write_kept((Kept(trace, record["pass_rate"]) for record, trace in kept), run.folder)
    stats = _stats(found, kept, reasons) | {"left_out_rows": left_out_rows}
    stats |= {name: _sum(run, name) for name in ("calls", "malformed", "unanswered", "tokens", "seconds")}
    publish(run.folder / "stats.json", json.dumps(stats, indent=1) + "\n")
    return stats


class Stopped(Exception):
    """A search was given up because the build ends."""


def _searched(players: Actors, asked: Search, example: Example, stopping: Event) -> Ended:
    """One search from its beginning to its end. Raises Stopped."""
    cost, began, reply = Cost(), time.monotonic(), None
    try:
        while not stopping.is_set():
            reply = players.play(example, asked.send(reply), cost)
            cost.calls += 1
    except StopIteration as stop:
        return Ended(example, stop.value, cost, time.monotonic() - began, picture_hash(example.preview()))
    except ModelError as error:
        return Ended(example, None, cost, time.monotonic() - began, error=str(error))
    raise Stopped


def _settled(running: set[Future[Ended]], keep: Callable[[Ended], None]) -> set[Future[Ended]]:
    """Those still running after at least one ended, and was kept; what went wrong is raised when all others were kept."""
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    faults = [fault for future in done if (fault := future.exception()) is not None]
    for future in done:
        if future.exception() is None:
            keep(future.result())
    if faults:
        raise faults[0]
    return rest


def _record(ended: Ended, outcome: Outcome, folder: Path) -> dict[str, Any]:
    question, trace = ended.example.question, outcome.trace
    if trace is not None and not can_open(question):  # a picture inside another file: the trace needs one of its own
        place = folder / "images" / f"{ended.picture:016x}-{zlib.crc32(question.image.encode()):08x}.png"
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            publish(place, _png(ended.example))
        trace = replace(trace, question=replace(question, images=(str(place.resolve()),)))
    return {
        "id": question.id,
        "pass_rate": outcome.pass_rate,
        "rounds": outcome.rounds,
        **_cost(ended),
        "picture": ended.picture,
        "proposed": [_points(place.box, question) for place in outcome.proposed],
        "seen": ended.example.shows_answer((trace.overview, *trace.views)[-1]) if trace else None,
        "trace": to_json(trace) if trace else None,
    }


def _png(example: Example) -> bytes:
    buffer = io.BytesIO()
    example.picture.image.save(buffer, "PNG")
    return buffer.getvalue()


def _cost(ended: Ended) -> dict[str, float]:
    return {**asdict(ended.cost), "seconds": round(ended.seconds, 3)}


def _points(box: Box, question: Question) -> bool | None:
    """Whether a box points at one of the question's targets; None where these are not known."""
    if not question.targets:
        return None
    return any(boxes.iou(box, target) >= GOOD or boxes.contains(box, target) for target in question.targets)


def _stats(
    found: list[dict[str, Any]], kept: list[tuple[dict[str, Any], Trace]], reasons: Counter[str]
) -> dict[str, Any]:
    proposed = [good for record in found for good in record["proposed"]]
    zooms = [(turn.calls, trace) for _, trace in kept for turn in trace.turns if turn.calls]
    return {
        "asked": len(found),
        "kept": len(kept),
        "dropped": counted(reasons),
        "zooms": dict(sorted(Counter(str(trace.zooms) for _, trace in kept).items())),
        "box_precision_proposed": _share(proposed),
        "box_precision_kept": _share(
            _points(call.box, trace.question) for calls, trace in zooms for call in calls if call.box
        ),
        "answer_precision_kept": _share(record["seen"] for record, _ in kept),
    }


def _share(found: Iterable[bool | None]) -> float | None:
    """The share of True among what is known."""
    known = [good for good in found if good is not None]
    return sum(known) / len(known) if known else None


def _read(run: RunDir, name: str) -> Iterator[dict[str, Any]]:
    return read_records(run.folder / f"{name}.jsonl")


def _sum(run: RunDir, field: str) -> float:
    """A cost of all searches, those that broke included."""
    spent: float = sum(record[field] for name in ("searches", "failures") for record in _read(run, name))
    return round(spent, 3)
