"""Runs as a folder that a browser opens: an index with filters, a page for each trace, runs side by side. Needs no server.

The pages are those of `page.py`. What models said is in the index as data alone, never as markup. Omits editing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cof.errors import InvalidImage
from cof.plain import to_json
from cof.runs import publish
from cof.scoring.traces import score_trace
from cof.serve.page import template, trace_page
from cof.types import Trace
from cof.worlds.pictures import picture_in


@dataclass(frozen=True)
class Shown:
    """A trace to be shown. Traces of the same `key`, from different runs, are shown side by side."""

    key: str
    trace: Trace


def write_pages(runs: Mapping[str, Sequence[Shown]], folder: Path, without: list[str] | None = None) -> Path:
    """Write the runs, by name, to `folder`; returns its `index.html`. Each run's traces are in `NAME/traces.jsonl`.

    The page of a trace whose picture cannot be read is a note, and `without` gets its key and the reason.
    """
    notes = [] if without is None else without
    entries = list[dict[str, Any]]()
    for name, traces in runs.items():
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        for n, shown in enumerate(traces, 1):
            publish(own / f"{n}.html", _page(shown, notes))
            entries.append(_entry(name, f"{name}/{n}.html", shown))
        lines = (json.dumps({"id": shown.key, "trace": to_json(shown.trace)}) + "\n" for shown in traces)
        publish(own / "traces.jsonl", "".join(lines))
    data = Markup(json.dumps(entries).replace("<", "\\u003c"))
    page = template("index.html").render(title=", ".join(runs), runs=len(runs), data=data)
    publish(folder / "index.html", page)
    return folder / "index.html"


def _page(shown: Shown, notes: list[str]) -> str:
    try:
        return trace_page(shown.trace, picture_in(shown.trace))
    except InvalidImage as error:
        notes.append(f"{shown.key}: {error}")
        trace = shown.trace
        return template("note.html").render(question=trace.question.text, answer=trace.answer, note=str(error))


def _entry(run: str, page: str, shown: Shown) -> dict[str, Any]:
    """What the index knows of a trace."""
    trace, question = shown.trace, shown.trace.question
    return {
        "run": run,
        "page": page,
        "key": shown.key,
        "id": trace.id,
        "question": question.text,
        "category": question.category or "",
        "answer": trace.answer,
        "truth": question.answer,
        "right": score_trace(trace).right,
        "zooms": trace.zooms,
        "stop": trace.stop.value,
    }
