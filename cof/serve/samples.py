"""Several traces as a folder of pages: one for each, and an index that names them. Loads nothing, runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cof.runs import publish
from cof.serve.page import trace_page
from cof.types import Trace
from cof.worlds.pictures import picture_of

INDEX = Environment(autoescape=True, undefined=StrictUndefined).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ traces | length }} trajectories</title>
<h1>{{ traces | length }} trajectories</h1>
<ol>{% for trace in traces %}
<li><a href="{{ loop.index }}.html">{{ trace.question.text }}</a> {{ trace.zooms }} zooms, {{ trace.answer }}</li>{% endfor %}
</ol></html>
""")


def write_samples(traces: Sequence[Trace], folder: Path) -> None:
    """Write `index.html`, and the page of trace n, from 1, as `n.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, trace in enumerate(traces, 1):
        publish(folder / f"{n}.html", trace_page(trace, picture_of(trace.question)))
    publish(folder / "index.html", INDEX.render(traces=traces))
