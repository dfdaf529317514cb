"""`cof ask`: one question about one picture, the answer, and where the model looked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cof.cli.options import (
    Adapter,
    Budget,
    CropBudget,
    DialectName,
    KeyFile,
    LimitItems,
    ModelName,
    TurnTokens,
    Urls,
    WireName,
    opened,
)
from cof.config import replace_fields
from cof.dialects.named import dialect_of
from cof.errors import CofError, InputError, ModelError
from cof.focus.loop import run
from cof.focus.notes import limit_notes, stop_note, unreadable
from cof.focus.question import question_of
from cof.focus.setting import TURN_TOKENS, setting_of
from cof.runs import publish
from cof.scoring.answers import listed
from cof.serve.page import trace_page
from cof.types import Answer, Limits, Sampling, Stop, Trace, Zoom
from cof.vision.boxes import in_words, rounded
from cof.vision.load import load

COLUMN = 11  # characters before what a line says


def ask(
    image: Annotated[str, typer.Argument(help="A picture file, - for standard input, or a URL with --fetch.")],
    question: str,
    choice: Annotated[list[str], typer.Option("--choice", help="A possible answer; repeatable.")] = [],  # noqa: B006
    model: ModelName = None,
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    crop_budget: CropBudget = None,
    turn_tokens: TurnTokens = TURN_TOKENS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[Path | None, typer.Option("--trace", help="Write the trace page to this HTML file.")] = None,
) -> None:
    """Ask a question about a picture, and see where the model looked."""
    try:
        limits, picture = replace_fields(Limits(), limit), load(image)
        asked = question_of(str(Path(image).absolute()), question, choice)
        loaded = opened(model, adapter, urls=url, key_file=key_file, seconds=limits.seconds, wire=wire)
        spoken = None if dialect is None else dialect_of(dialect)
        setting = setting_of(loaded, limits, Sampling(tokens=turn_tokens), budget, spoken, crop_budget)
        if url and dialect is None:
            print(
                f"cof: {setting.dialect.name} is the dialect, by the model's name; --dialect changes it",
                file=sys.stderr,
            )
        found = run(loaded, asked, picture, setting)
        if trace is not None:
            _write(trace, trace_page(found, picture))
    except CofError as error:
        if as_json:
            print(json.dumps({"answer": None, "error": " ".join(str(error).split())}, ensure_ascii=False))
        raise
    if trouble := unreadable(found):
        print(f"cof: {trouble}", file=sys.stderr)
    if as_json:
        print(json.dumps(summary(found), ensure_ascii=False))
    else:
        _print(found, trace)
    if found.error is not None:
        raise ModelError(found.error)


def summary(trace: Trace) -> dict[str, Any]:
    """What `--json` prints: the answer, where the model looked (boxes in source pixels), what it cost, and what limits did."""
    return {
        "answer": trace.answer,
        "listed": listed(trace),
        "outside": trace.outside,
        "stop": trace.stop.value,
        "error": trace.error,
        "model": trace.model,
        "dialect": trace.dialect,
        "zooms": trace.zooms,
        "tokens": trace.tokens,
        "visual_tokens": trace.visual_tokens,
        "boxes": [rounded(box) for box in trace.looked],
        "thoughts": [turn.action.thought for turn in trace.turns if isinstance(turn.action, Zoom | Answer)],
        "limits": list(limit_notes(trace)),
        "seconds": round(trace.seconds, 2),
    }


def _print(trace: Trace, page: Path | None) -> None:
    for turn in trace.turns:
        if isinstance(turn.action, Zoom):
            for box in turn.action.boxes[: len(turn.views)]:
                _line("looked at", f"{turn.action.label or 'a region'}  {in_words(box)}")
    _line("answer", "(none)" if trace.answer is None else trace.answer)
    if listed(trace) is False:
        _line("", f"This answer is none of the choices: {', '.join(trace.question.choices)}.")
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    _line("stop", f"{trace.stop.value}, {zooms}, {trace.visual_tokens} visual tokens, {trace.seconds:.1f} s")
    if trace.stop not in (Stop.ANSWER, Stop.FAILED):
        _line("", stop_note(trace))
    for note in limit_notes(trace):
        _line("limits", note)
    if page is not None:
        _line("trace", str(page))


def _line(name: str, text: str) -> None:
    print(f"{name:<{COLUMN}}{text}")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(path, text)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; want a file in a folder that can be written"
        ) from None
