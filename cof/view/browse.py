"""Runs as a folder that a browser opens: an index with filters, a page for each trace, runs side by side. Needs no server.

The pages are those of `page.py`. A picture that cannot be read is missing on its own page alone. A picture of several traces
is read and encoded once. Model text is in the index as data alone, never as markup. Omits editing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

from markupsafe import Markup

from cof.data.pictures import pictures_in
from cof.errors import InputError
from cof.plain import to_json
from cof.runs import publish
from cof.scoring.traces import score_trace
from cof.trace import Trace
from cof.view.encoded import EncodedPicture
from cof.view.page import page_without_picture, template, trace_page

Entry = dict[str, Any]
INDEX = "index.html"
PLAIN = re.compile(r"\w[\w ()+,=@-]*(?:\.[\w ()+,=@-]+)*")  # no path, nothing that an address would read as structure
LONGEST = 100  # bytes of a folder's name


@dataclass(frozen=True)
class ShownTrace:
    """A trace to be shown. Traces of the same `key`, from different runs, are shown side by side.

    `cell` is the resolution and the seed of an evaluation in words, "" elsewhere.
    """

    key: str
    trace: Trace
    cell: str = ""


def write_pages(
    runs: Mapping[str, Sequence[ShownTrace]],
    folder: Path,
    on_missing: Callable[[str], None] = lambda _: None,
    on_page: Callable[[], None] = lambda: None,
) -> Path:
    """Write the runs, by name, to `folder`; returns its `index.html`. Each run's pages and `traces.jsonl` are in a folder of
    its name, or of a hash of the name where it is no plain one.

    Where a trace's picture cannot be read, its page and the index note it, and `on_missing` gets the reason. `on_page` is
    called after every page.
    """
    entries = dict[tuple[str, int], Entry]()
    for run, n, shown, pictures in _by_picture(runs):
        entry = write_page(folder, run, n, shown, pictures)
        entries[run, n] = entry
        if entry["missing"]:
            on_missing(entry["missing"])
        on_page()
    for run, traces in runs.items():
        write_traces(folder, run, traces)
    ordered = [entries[run, n] for run, traces in runs.items() for n in range(1, len(traces) + 1)]
    return write_index(folder, list(runs), ordered)


def write_page(folder: Path, run: str, n: int, shown: ShownTrace, pictures: Sequence[EncodedPicture] | str) -> Entry:
    """Write the page of the `n`-th trace of a run; returns its entry in the index.

    `pictures` are the trace's, or why one cannot be read.
    """
    page, missing = "", pictures if isinstance(pictures, str) else ""
    if not isinstance(pictures, str):
        try:
            page = trace_page(shown.trace, pictures)
        except InputError as error:  # a view that lies outside the picture
            missing = str(error)
    place = _folder_name(run)
    (folder / place).mkdir(parents=True, exist_ok=True)
    publish(folder / place / f"{n}.html", page or page_without_picture(shown.trace, missing))
    return _entry(run, f"{place}/{n}.html", shown, missing)


def write_traces(folder: Path, run: str, traces: Sequence[ShownTrace]) -> None:
    """Write the traces of a run beside its pages, in the form that `cof view` reads."""
    place = folder / _folder_name(run)
    place.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"id": shown.key, "trace": to_json(shown.trace)}) + "\n" for shown in traces)
    publish(place / "traces.jsonl", "".join(lines))


def write_index(folder: Path, runs: Sequence[str], entries: Sequence[Entry]) -> Path:
    """Write the page that lists all others; returns it."""
    data = Markup(json.dumps(list(entries)).replace("<", "\\u003c"))
    index = template(INDEX).render(title=", ".join(runs), runs=list(runs), data=data)
    publish(folder / INDEX, index)
    return folder / INDEX


def _folder_name(run: str) -> str:
    """The folder of a run's pages, which is its name where that is plain: it comes from files, and is part of an address."""
    if len(run.encode(errors="replace")) <= LONGEST and PLAIN.fullmatch(run) and run.lower() != INDEX:
        return run
    return "run-" + hashlib.sha256(run.encode(errors="backslashreplace")).hexdigest()[:16]


def _by_picture(
    runs: Mapping[str, Sequence[ShownTrace]],
) -> Iterator[tuple[str, int, ShownTrace, Sequence[EncodedPicture] | str]]:
    """Every trace with its run, its number and its picture, those about one picture after one another."""
    found = [(run, n, shown) for run, traces in runs.items() for n, shown in enumerate(traces, 1)]

    def image_of(each: tuple[str, int, ShownTrace]) -> tuple[tuple[str, ...], list[tuple[float, float, float, float]]]:
        return each[2].trace.question.images, [view.region.as_tuple() for view in each[2].trace.overviews]

    for _, same in groupby(sorted(found, key=image_of), image_of):
        each = list(same)
        pictures = _read(each[0][2].trace)
        yield from ((*one, pictures) for one in each)


def _read(trace: Trace) -> Sequence[EncodedPicture] | str:
    """The pictures of the trace, or why one cannot be read."""
    try:
        return [EncodedPicture(image) for image in pictures_in(trace)]
    except InputError as error:
        return str(error)


def _entry(run: str, page: str, shown: ShownTrace, missing: str) -> Entry:
    """The entry of a trace in the index; `missing` is why there is no picture, "" where there is one."""
    trace, question = shown.trace, shown.trace.question
    region = trace.overview.region
    return {
        "run": run,
        "page": page,
        "key": shown.key,
        "id": trace.id,
        "picture": ", ".join(PurePath(image).name for image in question.images),
        "size": [round(region.width), round(region.height)],
        "cell": shown.cell,
        "question": question.text,
        "category": question.category or "",
        "answer": trace.answer,
        "truth": question.answer,
        "right": score_trace(trace).right,
        "zooms": trace.zooms,
        "refused": len(trace.requested_boxes) - len(trace.shown_boxes),
        "stop": trace.stop.value,
        "missing": missing,
    }
