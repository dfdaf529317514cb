"""Trajectories in the forms that trainers read: ShareGPT for LLaMA-Factory, conversations for TRL, Parquet for verl.

ShareGPT and TRL files hold whole conversations with every picture as it was shown, the crops included; verl's hold the first
turn, and the truth for its reward. The released CoF data are ShareGPT files: `read_sharegpt` gives their traces.
"""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cof.dialects.base import Message
from cof.dialects.cof import COF
from cof.errors import InputError, InvalidBox, InvalidImage, MissingExtra
from cof.runs import publish
from cof.search.filters import PICTURE
from cof.types import Answer, Completion, Limits, Question, Sampling, Trace, Turn, View, ViewSpec, Zoom
from cof.vision import views
from cof.vision.load import load
from cof.worlds.pictures import picture_of

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


def write_sharegpt(kept: Iterable[Trace], out: Path) -> int:
    """Write `cof.json`, `images/` and `dataset_info.json` as LLaMA-Factory reads them. Returns the count."""
    rows = []
    for trace in kept:
        messages, images = _conversation(trace, out)
        told = [{"role": m.role, "content": "".join(map(_as_text, m.parts))} for m in messages]
        rows.append({"messages": told, "images": images})
    publish(out / f"{NAME}.json", json.dumps(rows, ensure_ascii=False, indent=1))
    publish(out / "dataset_info.json", json.dumps({NAME: DATASET_INFO}, indent=1))
    return len(rows)


def write_trl(kept: Iterable[Trace], out: Path) -> int:
    """Write `cof.jsonl` and `images/`: conversations whose content is a list of texts and images. Returns the count."""
    lines = []
    for trace in kept:
        messages, images = _conversation(trace, out)
        told = [{"role": m.role, "content": [_as_part(part) for part in m.parts]} for m in messages]
        lines.append(json.dumps({"messages": told, "images": images}, ensure_ascii=False) + "\n")
    publish(out / f"{NAME}.jsonl", "".join(lines))
    return len(lines)


def write_verl(kept: Iterable[Trace], out: Path) -> int:
    """Write `cof.parquet` and `images/`: first turns with the true answer. Returns the count. Raises MissingExtra."""
    try:
        arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))  # by name: they have no types
    except ImportError:
        raise MissingExtra("writing Parquet", "pyarrow", "train") from None
    rows = []
    for n, trace in enumerate(kept):
        opening = COF.messages(trace.question, trace.overview)
        (image,) = _save(trace, [trace.overview], out)
        rows.append(
            {
                "data_source": NAME,
                "prompt": [{"role": m.role, "content": "".join(map(_as_text, m.parts))} for m in opening],
                "images": [{"image": f"file://{(out / image).resolve()}"}],
                "ability": "visual search",
                "reward_model": {"style": "rule", "ground_truth": trace.question.answer or ""},
                "extra_info": {"index": n, "id": trace.id, "choices": list(trace.question.choices)},
            }
        )
    parquet.write_table(arrow.Table.from_pylist(rows), out / f"{NAME}.parquet")
    return len(rows)


def read_sharegpt(file: Path, spec: ViewSpec) -> Iterator[Trace]:
    """The traces of a ShareGPT file whose conversations end with an answer; crops are cut again, by `spec`.

    The first picture of each conversation is the one that boxes are about; paths are relative to the file. Raises
    InputError with the number of a conversation that is none.
    """
    try:
        rows = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read ({error}); want a ShareGPT file: a JSON list of conversations"
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{file} holds no list; want a ShareGPT file: a JSON list of conversations")
    for n, row in enumerate(rows):
        try:
            trace = _trace(row, file, n, spec)
        except (KeyError, IndexError, TypeError, AttributeError, InvalidImage, InvalidBox) as error:
            want = "want messages with role and content, and images"
            raise InputError(f"{file}, conversation {n}: {error}; {want}") from error
        if trace.answer is not None:
            yield trace


def _trace(row: dict[str, Any], file: Path, number: int, spec: ViewSpec) -> Trace:
    image = file.parent / row["images"][0]
    first = views.overview(load(image).size, spec)
    said = [message for message in row["messages"] if message["role"] != "system"]
    turns = []
    for message in said:
        if message["role"] == "assistant":
            action = COF.parse(str(message["content"]), first)
            shown = tuple(views.zoom(box, first, spec) for box in action.boxes) if isinstance(action, Zoom) else ()
            turns.append(Turn(Completion(str(message["content"])), action, shown))
    last = turns[-1].action
    answer = last.text if isinstance(last, Answer) else None
    question = Question(
        f"{file.stem}-{number}", str(image), said[0]["content"].replace(PICTURE, "").strip(), (), answer
    )
    return Trace(question.id, question, file.stem, COF.name, spec, Sampling(), Limits(), first, tuple(turns))


def _conversation(trace: Trace, out: Path) -> tuple[tuple[Message, ...], list[str]]:
    """A trace's messages, and where its pictures were written, relative to `out`."""
    messages = COF.told(trace)
    if any(isinstance(part, str) and PICTURE in part for message in messages for part in message.parts):
        raise InputError(f"trace {trace.id} says {PICTURE}, which stands for pictures in this form; leave it out")
    shown = [part for message in messages for part in message.parts if isinstance(part, View)]
    return messages, _save(trace, shown, out)


def _save(trace: Trace, shown: Sequence[View], out: Path) -> list[str]:
    """Write views as PNG files; their names, relative to `out`."""
    picture, names = picture_of(trace.question), []
    (out / "images").mkdir(parents=True, exist_ok=True)
    for n, view in enumerate(shown):
        names.append(f"images/{_file_name(trace.id)}-{n}.png")
        views.render(picture, view, trace.overview, trace.spec).save(out / names[-1])
    return names


def _file_name(name: str) -> str:
    """The name as a file may have it: plain and short, and different for different names."""
    plain = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
    return plain if plain == name and len(name) < 100 else f"{plain[:80]}-{zlib.crc32(name.encode()):08x}"


def _as_text(part: str | View) -> str:
    return part if isinstance(part, str) else PICTURE


def _as_part(part: str | View) -> dict[str, str]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
