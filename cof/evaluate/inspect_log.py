"""An evaluation as logs of inspect-ai, one JSON file per arm, which `inspect view` and its `read_eval_log` open.

Owns the mapping from records to that form (version 2 of its log). Written without the package: its requirements exclude
versions that this one pins; docs/peers.md names the version that read the logs back. Omits the prompts around a question,
the events of a run (there are none), and times of day but two: those of the run's first file and of its last trace.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from cof.data.example import NATIVE
from cof.data.pictures import can_open, pictures_in
from cof.errors import InvalidImage
from cof.evaluate.report import report
from cof.evaluate.run import Record, records
from cof.geometry import Shown
from cof.loop.session import NO_VIEW
from cof.runs import publish
from cof.scoring.answers import metric_of, score
from cof.scoring.traces import Judgement, score_trace
from cof.trace import Trace, Turn
from cof.types import Answer, Call, Malformed, Stop
from cof.vision import boxes, views
from cof.vision.urls import jpeg_url

LOG_VERSION = 2
TOOL = "zoom"  # of every dialect: boxes are in source pixels here, whatever the family's own tool is called
SIDE = 1024  # most pixels of a picture's longer side in a log
QUALITY = 85
PICTURES = 100  # samples of a log that carry pictures, by default: 4 to 5 MB with nano's views
ID_LETTERS = 22  # as many as its own ids have
CUSTOM = (Stop.ZOOMS, Stop.CALLS, Stop.PIXELS)  # limits that inspect-ai has no name for
LIMITS = {Stop.TURNS: "turn", Stop.TOKENS: "token", Stop.SECONDS: "time"} | dict.fromkeys(CUSTOM, "custom")
FIGURES = ("accuracy", "right", "low", "high", "zooms", "zoomed", "visual_tokens", "text_tokens", "mcc", "failed")

Json = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """The records of one arm, the report's figures of it, and the run that they are of."""

    name: str
    records: Sequence[Record]
    figures: Json
    manifest: Json
    made: datetime
    ended: datetime


def write_logs(run: Path, folder: Path, judge: Judgement = score, pictures: int = PICTURES) -> list[Path]:
    """Write a log of every arm of a finished run to `folder`; the first `pictures` samples of each show what the model saw.

    A picture that is not there any more is replaced by words. Writing again replaces the same files. Raises InvalidRun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((run / "manifest.json").read_text())
    made, ended = _written(run / "manifest.json"), _written(run / "traces.jsonl")
    found = sorted(records(run), key=lambda record: (record.seed, record.resolution, record.trace.id))
    figures = report(found, judge)["arms"]
    arms = defaultdict[str, list[Record]](list)
    for record in found:
        arms[record.arm].append(record)
    paths = []
    for name, own in arms.items():
        log = _log(Arm(name, own, figures[name], manifest, made, max(made, ended)), judge, pictures)
        stem = f"{made:%Y-%m-%dT%H-%M-%S}_{log['eval']['task'].replace('_', '-')}_{log['eval']['task_id']}"
        paths.append(folder / f"{stem}.json")
        publish(paths[-1], json.dumps(log))
    return paths


def _log(arm: Arm, judge: Judgement, pictures: int) -> Json:
    samples = [_sample(record, arm, judge, shown=place < pictures) for place, record in enumerate(arm.records)]
    return {
        "version": LOG_VERSION,
        "status": "success",
        "eval": _eval(arm),
        "plan": {"name": arm.name, "steps": [{"solver": arm.name, "params": {}}]},
        "results": _results(arm),
        "stats": {
            "started_at": arm.made.isoformat(),
            "completed_at": arm.ended.isoformat(),
            "model_usage": {arm.manifest["model"]: _sum(sample["output"]["usage"] for sample in samples)},
        },
        "samples": samples,
    }


def _eval(arm: Arm) -> Json:
    """What its viewer shows of a log before its samples."""
    manifest, told = arm.manifest, json.dumps([arm.manifest, arm.made.isoformat()])
    names = list(dict.fromkeys(_name(record, arm) for record in arm.records))
    versions = {name: found for name, found in manifest.get("versions", {}).items() if found is not None}
    return {
        "run_id": _id(told),
        "eval_id": _id(told, arm.name, "eval"),
        "task_id": _id(told, arm.name, "task"),
        "created": arm.made.isoformat(),
        "task": f"{manifest['benchmark']}-{arm.name}",
        "solver": arm.name,
        "dataset": {"name": manifest["benchmark"], "samples": len(names), "sample_ids": names, "shuffled": False},
        "model": manifest["model"],
        "model_args": {"weights": manifest["weights"], "dialect": arm.records[0].trace.dialect},
        "config": {"epochs": len(manifest["seeds"])},
        "packages": versions,
        "metadata": {"manifest": manifest, "figures": arm.figures},
        "scorers": [{"name": metric} for metric in arm.figures["by_metric"]],
    }


def _results(arm: Arm) -> Json:
    """The report's own figures: the mean of its samples would count a question once for every resolution and cycle."""
    return {
        "total_samples": len(arm.records),
        "completed_samples": arm.figures["samples"],
        "scores": [_scorer(metric, figures) for metric, figures in arm.figures["by_metric"].items()],
    }


def _scorer(metric: str, figures: Json) -> Json:
    """What one metric came to, over the samples that it scores."""
    metrics = {name: {"name": name, "value": figures[name]} for name in FIGURES if figures[name] is not None}
    counts = {"scored_samples": figures["samples"] - figures["unscored"], "unscored_samples": figures["unscored"]}
    return {"name": metric, "scorer": metric, "metrics": metrics} | counts


def _sample(record: Record, arm: Arm, judge: Judgement, shown: bool) -> Json:
    trace, question = record.trace, record.trace.question
    messages = list(_messages(trace, _pictures(trace) if shown else []))
    usage = _usage(trace)
    sample = {
        "id": _name(record, arm),
        "epoch": arm.manifest["seeds"].index(record.seed) + 1,
        "input": question.text,
        "choices": list(question.choices) or None,
        "target": [question.answer, *question.aliases]
        if question.answer and question.aliases
        else question.answer or "",
        "messages": messages,
        "output": _output(trace, messages, usage),
        "scores": _scores(trace, judge),
        "metadata": _metadata(record),
        "model_usage": {trace.model: usage},
        "total_time": trace.seconds,
        "working_time": trace.seconds,
    }
    if trace.error is not None:
        sample["error"] = {"message": trace.error, "traceback": "", "traceback_ansi": ""}
    if trace.stop in LIMITS:
        limit = float(getattr(trace.limits, trace.stop.value))
        sample["limit"] = {"type": LIMITS[trace.stop], "limit": limit, "reason": f"limit on {trace.stop.value}"}
    return sample


def _messages(trace: Trace, images: Sequence[Image.Image]) -> Iterator[Json]:
    """The question, and every turn with what came back."""
    asked = "\n".join([trace.question.text, *(f"- {choice}" for choice in trace.question.choices)])
    overviews = [part for view in trace.overviews for part in _shown(view, trace, images)]
    yield {"role": "user", "source": "input", "content": [*overviews, _text(asked)]}
    for number, turn in enumerate(trace.turns, 1):
        call = f"turn-{number}"
        yield _assistant(turn, call, trace.model)
        back = [part for view in turn.views for part in _shown(view, trace, images)]
        back += [_text(words) for words in (*(each.words for each in turn.observations), turn.note) if words]
        if back and turn.calls:
            yield {"role": "tool", "content": back, "tool_call_id": call, "function": turn.calls[0].tool}
        elif back:
            yield {"role": "user", "content": back}


def _assistant(turn: Turn, call: str, model: str) -> Json:
    """What the turn was parsed into; its text as it was sampled stands in the metadata."""
    told = {
        "text": turn.completion.text,
        "tokens": turn.completion.tokens,
        "seconds": turn.seconds,
        "given": turn.given,
    }
    message: Json = {"role": "assistant", "model": model, "metadata": told}
    message |= {} if turn.given else {"source": "generate"}
    match turn.action:
        case Answer(text, thought):
            return message | {"content": [*_thought(thought), _text(text)]}
        case Malformed(_, raw):
            return message | {"content": [_text(raw)]}
        case made:
            return message | {"content": _thought(turn.thought), "tool_calls": [_tool_call(call, made)]}


def _tool_call(id_: str, made: Sequence[Call]) -> Json:
    """The calls of a turn as one, so that one message of the tool replies to all of them."""
    arguments: Json = {name: value for each in made for name, value in each.arguments.items() if name != "box"}
    corners = [boxes.rounded(each.box) for each in made if each.box]
    arguments |= ({"boxes": corners} if corners else {}) | {"label": made[0].label}
    return {"id": id_, "type": "function", "function": made[0].tool, "arguments": arguments}


def _output(trace: Trace, messages: Sequence[Json], usage: Json) -> Json:
    output: Json = {"model": trace.model, "usage": usage, "time": trace.seconds, "error": trace.error}
    last = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    if last is not None:
        cut = trace.turns[-1].completion.finish == "length"
        output["choices"] = [{"message": last, "stop_reason": "max_tokens" if cut else "stop"}]
    return output | {"completion": trace.answer or ""}


def _scores(trace: Trace, judge: Judgement) -> Json:
    """Nothing for a failed run, and for an answer that could not be scored: neither is a wrong one."""
    given = score_trace(trace, judge)
    if given.value is None:
        return {}
    return {
        metric_of(trace.question): {"value": given.value, "answer": trace.answer, "explanation": f"read by: {given.by}"}
    }


def _metadata(record: Record) -> Json:
    trace, question = record.trace, record.trace.question
    return {
        "resolution": record.resolution,
        "seed": record.seed,
        "group": record.group,
        "picture": ", ".join(PurePath(image).name for image in question.images),
        "category": question.category,
        "depth": question.depth,
        "tags": list(question.tags),
        "stop": trace.stop.value,
        "zooms": trace.zooms,
        "visual_tokens": trace.visual_tokens,
    }


def _usage(trace: Trace) -> Json:
    """Tokens as a server without a cache would count them: every turn reads its whole prompt."""
    read = sum(turn.completion.prompt_tokens for turn in trace.model_turns)
    return {"input_tokens": read, "output_tokens": trace.tokens, "total_tokens": read + trace.tokens}


def _sum(usages: Iterable[Mapping[str, int]]) -> Json:
    total = Counter[str]()
    for usage in usages:
        total.update(usage)
    return dict(total)


def _pictures(trace: Trace) -> list[Image.Image]:
    """The pictures as they were asked about; none where one is missing."""
    if trace.overview == NO_VIEW or not can_open(trace.question):
        return []
    try:
        return pictures_in(trace)
    except InvalidImage:
        return []


def _shown(view: Shown, trace: Trace, images: Sequence[Image.Image]) -> list[Json]:
    """A view in words, and its pixels where the picture is there."""
    which = f"picture {view.picture + 1}" if len(trace.overviews) > 1 else "the picture"
    words = _text(f"{boxes.in_words(view.region)} of {which}, shown as {view.size[0]} x {view.size[1]} px")
    if not images:
        return [words]
    pixels = views.render(images[view.picture], view, trace.overview_of(view.region), trace.spec)
    pixels.thumbnail((SIDE, SIDE))
    return [{"type": "image", "image": jpeg_url(pixels, QUALITY)}, words]


def _thought(thought: str) -> list[Json]:
    return [{"type": "reasoning", "reasoning": thought}] if thought else []


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _name(record: Record, arm: Arm) -> str:
    """The question's id, with the resolution where there are several."""
    several = len(arm.manifest["resolutions"]) > 1
    side = "native" if record.resolution == NATIVE else str(record.resolution)
    return f"{side}/{record.trace.id}" if several else record.trace.id


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def _id(*told: str) -> str:
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:ID_LETTERS]
