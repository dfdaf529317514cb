"""`cof ask`: one question about one picture, the answer, and where the model looked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cof.api import opened_picture, session_of
from cof.cli.console import two_columns
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
    print_dialect,
)
from cof.config import replace_fields
from cof.dialects.named import dialect_of
from cof.errors import CofError, InputError, ModelError
from cof.focus.loop import Session
from cof.focus.notes import notes, unreadable
from cof.focus.question import question_of
from cof.focus.setting import setting_of
from cof.runs import publish
from cof.scoring.traces import listed
from cof.serve.page import trace_page
from cof.types import Answer, Limits, Sampling, Trace, Zoom
from cof.vision.boxes import in_words, rounded
from cof.vision.load import MEGAPIXELS, limits_of, read_stdin
from cof.vision.views import Picture
from cof.worlds.outside import OUTSIDE

STDIN = "-"
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
    turn_tokens: TurnTokens = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Allow the picture to be an http(s) URL.")] = False,
    max_megapixels: Annotated[float, typer.Option(help="The largest picture that is read.")] = MEGAPIXELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", help="Write the trace page to this HTML file, or the trace to a .json file."),
    ] = None,
) -> None:
    """Ask a question about a picture, and see where the model looked."""
    with _error_as_json(as_json):
        limits, spoken = replace_fields(Limits(), limit), None if dialect is None else dialect_of(dialect)
        largest = limits_of(max_megapixels)
        name, picture = opened_picture(read_stdin(largest) if image == STDIN else image, fetch, largest)
        asked, sampling = question_of(name, question, choice), Sampling(tokens=turn_tokens) if turn_tokens else None
        loaded = opened(model, adapter, urls=url, key_file=key_file, seconds=limits.seconds, wire=wire)
        setting = setting_of(loaded, limits, sampling, budget, spoken, crop_budget)
        if url and spoken is None:
            print_dialect(loaded, setting.dialect)
        found = _answered(loaded, session_of(loaded, asked, Picture(picture), setting), quiet=as_json)
    if trouble := unreadable(found):
        print(f"cof: {trouble}", file=sys.stderr)
    if as_json:
        print(json.dumps(summary(found), ensure_ascii=False))
    else:
        _print(found)
    if trace is not None:  # last, so that a page that cannot be written costs no answer
        as_data = trace.suffix.lower() == ".json"
        _write(trace, json.dumps(found.to_json(), ensure_ascii=False) + "\n" if as_data else trace_page(found, picture))
        _line("trace", str(trace), as_json)
    if found.error is not None:
        raise ModelError(found.error)


@contextmanager
def _error_as_json(wanted: bool) -> Iterator[None]:
    """Prints what goes wrong as an object too, where one is `wanted`."""
    try:
        yield
    except CofError as error:
        if wanted:
            print(json.dumps({"answer": None, "error": " ".join(str(error).split())}, ensure_ascii=False))
        raise


def _answered(model: Any, session: Session, quiet: bool) -> Trace:
    """The trace of the question; that the picture is outside what the model knows is printed before, unless `quiet`."""
    if session.trace.outside:
        _line("outside", OUTSIDE, quiet)
    model.converse([session])
    return session.trace


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
        "notes": list(notes(trace)),
        "seconds": round(trace.seconds, 2),
    }


def _print(trace: Trace) -> None:
    for turn in trace.turns:
        if isinstance(turn.action, Zoom):
            for box in turn.action.boxes[: len(turn.views)]:
                _line("looked at", f"{turn.action.label or 'a region'}  {in_words(box)}")
    _line("answer", "(none)" if trace.answer is None else trace.answer)
    if listed(trace) is False:
        _line("", f"This answer is none of the choices: {', '.join(trace.question.choices)}.")
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    _line("stop", f"{trace.stop.value}, {zooms}, {trace.visual_tokens} visual tokens, {trace.seconds:.1f} s")
    for note in notes(trace):
        _line("note", note)


def _line(name: str, text: str, quiet: bool = False) -> None:
    if not quiet:
        print(two_columns(name, text, COLUMN))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(path, text)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; want a file in a folder that can be written"
        ) from None
