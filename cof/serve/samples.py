"""Several traces as a folder: a page for each, an index that names them, and the traces themselves. The pages load nothing and
run nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cof.plain import to_json
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
    """Write `index.html`, the page of trace n, from 1, as `n.html`, and `traces.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, trace in enumerate(traces, 1):
        publish(folder / f"{n}.html", trace_page(trace, picture_of(trace.question)))
    publish(folder / "index.html", INDEX.render(traces=traces))
    lines = (json.dumps({"id": f"{n} {trace.id}", "trace": to_json(trace)}) for n, trace in enumerate(traces, 1))
    publish(folder / "traces.jsonl", "".join(line + "\n" for line in lines))
