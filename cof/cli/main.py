"""The command line: parse, call, print. Errors end in one line on stderr and exit code 2 (bad input) or 1 (a failure)."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import cof
from cof.cli import data, evaluate, serve, train, view, world
from cof.cli import dialect as dialects
from cof.cli.options import Adapter, Budget, DialectName, KeyFile, LimitItems, ModelName, Urls, opened
from cof.config import replace_fields
from cof.dialects.named import dialect_of
from cof.errors import CofError, InputError
from cof.focus.ask import question_of, setting_of, unreadable
from cof.runs import publish
from cof.serve.page import trace_page
from cof.types import Limits, Trace, Zoom
from cof.vision.boxes import in_words, rounded
from cof.vision.load import load

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 1_000_000_000  # bytes: what is smaller is kept

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=cof.__doc__)
app.add_typer(world.app, name="world")
app.add_typer(data.app, name="data")
app.command("eval")(evaluate.evaluation)
app.command("report")(evaluate.comparison)
app.add_typer(train.app, name="train")
app.command("serve")(serve.serve)
app.command("view")(view.view)
app.add_typer(dialects.app, name="dialect")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cof {cof.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def ask(
    image: Annotated[Path, typer.Argument(help="JPEG, PNG or WEBP.")],
    question: str,
    choice: Annotated[list[str], typer.Option("--choice", help="A possible answer; repeatable.")] = [],  # noqa: B006
    model: ModelName = "nano",
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    dialect: DialectName = "cof",
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    trace: Annotated[Path | None, typer.Option("--trace", help="Write the trace page to this HTML file.")] = None,
) -> None:
    """Ask a question about a picture, and see where the model looked."""
    limits, picture = replace_fields(Limits(), limit), load(image)
    asked = question_of(str(image), question, choice)
    spoken, loaded = dialect_of(dialect), opened(model, adapter, urls=url, key_file=key_file, seconds=limits.seconds)
    found = cof.run(loaded, asked, picture, setting_of(loaded, limits, budget=budget, dialect=spoken))
    if trouble := unreadable(found):
        print(f"cof: {trouble}", file=sys.stderr)
    if trace is not None:
        _write(trace, trace_page(found, picture))
    if as_json:
        print(json.dumps(_summary(found), ensure_ascii=False))
    else:
        _tell(found, trace)
    if found.error is not None:
        raise cof.ModelError(found.error)


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # threads that wait for one another leave a busy core to others
    _keep_memory()
    try:
        app(standalone_mode=True)
    except InputError as error:
        sys.exit(_fail(error, 2))
    except CofError as error:
        sys.exit(_fail(error, 1))
    except OSError as error:  # a folder that is a file, a full disk, a file without permission
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_fail(InputError(f"{where}{error.strerror or error}; want a place that can be read and written"), 2))


def _keep_memory() -> None:
    """Let glibc keep what tensors and pictures take, as fresh pages cost more, unless the user says how."""
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(M_MMAP_THRESHOLD, LARGE)
            mallopt(M_TRIM_THRESHOLD, LARGE)


def _fail(error: Exception, code: int) -> int:
    print(f"cof: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _write(path: Path, text: str) -> None:
    try:
        publish(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; want a file in a folder that exists") from None


def _summary(trace: Trace) -> dict[str, Any]:
    return {
        "answer": trace.answer,
        "stop": trace.stop.value,
        "zooms": trace.zooms,
        "tokens": trace.tokens,
        "visual_tokens": trace.visual_tokens,
        "boxes": [rounded(box) for box in trace.looked],
        "seconds": round(trace.seconds, 2),
    }


def _tell(trace: Trace, page: Path | None) -> None:
    for turn in trace.turns:
        if isinstance(turn.action, Zoom):
            for box in turn.action.boxes[: len(turn.views)]:
                print(f"looked at  {turn.action.label or 'a region'}  {in_words(box)}")
    print(f"answer     {trace.answer if trace.answer is not None else '(none)'}")
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    print(f"stop       {trace.stop.value}, {zooms}, {trace.visual_tokens} visual tokens, {trace.seconds:.1f} s")
    if page is not None:
        print(f"trace      {page}")
