"""The file of trajectories that a build leaves, and that all else reads: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cof.data.benchmarks import rows
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.rows import Row
from cof.errors import InputError
from cof.plain import to_json, trace_from_json
from cof.runs import publish
from cof.trace import Trace

NAME = "traces.jsonl"


@dataclass(frozen=True)
class Kept:
    """A trajectory; `pass_rate` is the share of the target's tries that were right, None where it did not try."""

    trace: Trace
    pass_rate: float | None = None


def write_kept(kept: Iterable[Kept], folder: Path) -> int:
    """Write the file in `folder`, whole or not at all; returns the count."""
    lines = [
        json.dumps({"id": each.trace.id, "pass_rate": each.pass_rate, "trace": to_json(each.trace)}) for each in kept
    ]
    publish(folder / NAME, "".join(line + "\n" for line in lines))
    return len(lines)


def read_kept(folder: Path, left_out: LeftOut | None = None) -> list[Kept]:
    """The trajectories in a folder. Those that cannot be read go to `left_out`; without it, they are an error. InputError."""
    file = folder / NAME
    if not file.is_file():
        raise InputError(f"{folder} holds no {NAME}; give a folder of cof data build")
    return list(usable(rows.read(file), kept, left_out))


def kept(row: Row) -> Kept:
    """The trajectory of one row of the file. Raises InputError."""
    try:
        rate = row.fields.get("pass_rate")
        return Kept(trace_from_json(row.fields["trace"]), None if rate is None else float(rate))
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        want = "want an object with a trace, as cof data build writes it"
        raise InputError(f"{row.place} is no trajectory ({error}); {want}") from error
