"""Trajectories in the forms that trainers read: ShareGPT for LLaMA-Factory, conversations for TRL, Parquet for verl.

ShareGPT and TRL files hold whole conversations with every picture as it was shown, the crops included; verl's hold the first
turn, and the truth for its reward. Every trace is written in the words of its own dialect. One that cannot be written (its
words hold a control token, such as the placeholder of a picture, or its picture is not there) goes to `left_out`; without
it, it is an error.
"""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cof.data.benchmarks.conversation import PICTURE
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.rows import Row
from cof.data.pictures import picture_of
from cof.data.traces import NAME as TRACES
from cof.dialects.base import Message
from cof.dialects.control import spelt_in
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidImage, MissingExtra
from cof.geometry import Shown
from cof.runs import naming, publish
from cof.trace import Trace
from cof.vision import views

T = TypeVar("T")

NAME = "cof"  # of the dataset in dataset_info.json
DATASET_INFO = {
    "file_name": f"{NAME}.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def write_sharegpt(kept: Iterable[Trace], out: Path, left_out: LeftOut | None = None) -> int:
    """Write `cof.json`, `images/` and `dataset_info.json` as LLaMA-Factory reads them. Returns the count."""

    def row(trace: Trace) -> dict[str, Any]:
        messages, images = _conversation(trace, out)
        return {"messages": [{"role": m.role, "content": _text(m)} for m in messages], "images": images}

    rows = list(_written(kept, row, left_out))
    publish(out / f"{NAME}.json", json.dumps(rows, ensure_ascii=False, indent=1))
    publish(out / "dataset_info.json", json.dumps({NAME: DATASET_INFO}, indent=1))
    return len(rows)


def write_trl(kept: Iterable[Trace], out: Path, left_out: LeftOut | None = None) -> int:
    """Write `cof.jsonl` and `images/`: conversations whose content is a list of texts and images. Returns the count."""

    def line(trace: Trace) -> str:
        messages, images = _conversation(trace, out)
        listed = [{"role": m.role, "content": [_as_part(part) for part in m.parts]} for m in messages]
        return json.dumps({"messages": listed, "images": images}, ensure_ascii=False) + "\n"

    lines = list(_written(kept, line, left_out))
    publish(out / f"{NAME}.jsonl", "".join(lines))
    return len(lines)


def write_verl(kept: Iterable[Trace], out: Path, left_out: LeftOut | None = None) -> int:
    """Write `cof.parquet` and `images/`: first turns with the true answer. Returns the count. Raises MissingExtra."""
    try:
        arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))  # by name: they have no types
    except ImportError:
        raise MissingExtra("writing Parquet", "pyarrow", "train") from None

    def row(trace: Trace) -> dict[str, Any]:
        refuse(trace)
        images = _save(trace, trace.overviews, out)
        opening = dialect_of(trace.dialect).messages(trace.question, trace.overviews)
        return {
            "data_source": NAME,
            "prompt": [{"role": m.role, "content": _text(m)} for m in opening],
            "images": [{"image": f"file://{(out / image).resolve()}"} for image in images],
            "ability": "visual search",
            "reward_model": {"style": "rule", "ground_truth": trace.question.answer or ""},
            "extra_info": {"id": trace.id, "choices": list(trace.question.choices)},
        }

    rows = list(_written(kept, row, left_out))
    for n, each in enumerate(rows):
        each["extra_info"] = {"index": n} | each["extra_info"]
    with naming(out / f"{NAME}.parquet"):
        parquet.write_table(arrow.Table.from_pylist(rows), out / f"{NAME}.parquet")
    return len(rows)


def refuse(trace: Trace) -> None:
    """Raises InputError where the words of a trace would be read as something else."""
    if spelt := spelt_in(trace, dialect_of(trace.dialect).grammar):
        raise InputError(f"trace {trace.id} holds {spelt}, which models read as a control token; leave it out")


def _written(kept: Iterable[Trace], write: Callable[[Trace], T], left_out: LeftOut | None) -> Iterator[T]:
    """What `write` gives for every trace that can be written."""
    rows = (Row(Path(TRACES), number, {"trace": trace}) for number, trace in enumerate(kept, 1))
    yield from usable(rows, lambda row: write(row.fields["trace"]), left_out)


def _conversation(trace: Trace, out: Path) -> tuple[tuple[Message, ...], list[str]]:
    """A trace's messages, and where its pictures were written, relative to `out`."""
    refuse(trace)
    messages = dialect_of(trace.dialect).conversation(trace)
    shown = [part for message in messages for part in message.parts if isinstance(part, Shown)]
    return messages, _save(trace, shown, out)


def _save(trace: Trace, shown: Sequence[Shown], out: Path) -> list[str]:
    """Write views as PNG files; their names, relative to `out`."""
    try:
        pictures, names = [picture_of(trace.question, view.picture) for view in trace.overviews], list[str]()
    except InvalidImage as error:
        raise InvalidImage(f"trace {trace.id}: {error}") from error
    (out / "images").mkdir(parents=True, exist_ok=True)
    for n, view in enumerate(shown):
        names.append(f"images/{_file_name(trace.id)}-{n}.png")
        with naming(out / names[-1]):
            first = trace.overview_of(view.region)
            views.render(pictures[view.picture], view, first, trace.spec).save(out / names[-1])
    return names


def _file_name(name: str) -> str:
    """The name as a file may have it: plain and short, and different for different names."""
    plain = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
    return plain if plain == name and len(name) < 100 else f"{plain[:80]}-{zlib.crc32(name.encode()):08x}"


def _text(message: Message) -> str:
    """A message as one text, with the placeholder for every picture."""
    return "".join(part if isinstance(part, str) else PICTURE for part in message.parts)


def _as_part(part: str | Shown) -> dict[str, str]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
