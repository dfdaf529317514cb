"""Runs as a folder that a browser opens: an index with filters, a page for each trace, runs side by side. Needs no server.

The pages are those of `page.py`; a picture that cannot be read spoils its own page alone. What models said is in the index as
data alone, never as markup. Omits editing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cof.errors import InvalidImage
from cof.plain import to_json
from cof.runs import publish
from cof.scoring.traces import score_trace
from cof.serve.page import page_without_picture, template, trace_page
from cof.types import Trace
from cof.worlds.pictures import picture_in


@dataclass(frozen=True)
class Shown:
    """A trace to be shown. Traces of the same `key`, from different runs, are shown side by side."""

    key: str
    trace: Trace


def write_pages(
    runs: Mapping[str, Sequence[Shown]], folder: Path, on_missing: Callable[[str], None] = lambda _: None
) -> Path:
    """Write the runs, by name, to `folder`; returns its `index.html`. Each run's traces are in `NAME/traces.jsonl`.

    Where a trace's picture cannot be read, its page and the index say so, and `on_missing` gets the reason.
    """
    entries = list[dict[str, Any]]()
    for name, traces in runs.items():
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        for n, shown in enumerate(traces, 1):
            try:
                page, missing = trace_page(shown.trace, picture_in(shown.trace)), ""
            except InvalidImage as error:
                page, missing = page_without_picture(shown.trace, str(error)), str(error)
                on_missing(missing)
            publish(own / f"{n}.html", page)
            entries.append(_entry(name, f"{name}/{n}.html", shown, missing))
        lines = (json.dumps({"id": shown.key, "trace": to_json(shown.trace)}) + "\n" for shown in traces)
        publish(own / "traces.jsonl", "".join(lines))
    data = Markup(json.dumps(entries).replace("<", "\\u003c"))
    index = template("index.html").render(title=", ".join(runs), runs=len(runs), data=data)
    publish(folder / "index.html", index)
    return folder / "index.html"


def _entry(run: str, page: str, shown: Shown, missing: str) -> dict[str, Any]:
    """What the index knows of a trace; `missing` says why there is no picture, "" where there is one."""
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
        "missing": missing,
    }
