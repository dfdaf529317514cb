"""The command line: parse, call, print. Errors end in one line on stderr and exit code 2 (bad input) or 1 (a failure)."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

import cof
from cof.cli import ask, batch, check, data, evaluate, nano, report, serve, status, train, view, world
from cof.cli import dialect as dialects
from cof.cli.console import say
from cof.errors import CofError, InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 1_000_000_000  # bytes: what is smaller is kept

ABOUT = "Vision-language models that see an overview of a picture, zoom where they must, then answer."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=ABOUT)
app.command("ask")(ask.ask)
app.command("batch")(batch.batch)
app.command("check")(check.endpoint)
app.add_typer(world.app, name="world")
app.add_typer(data.app, name="data")
app.command("eval")(evaluate.evaluation)
app.command("report")(report.report)
train.app.command("perception")(nano.perception)
train.app.command("pack")(nano.pack)
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


def run() -> None:
    """Run the command line."""
    status.clear()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what it cannot write: other scripts, half characters
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
        where = error.filename or "standard output, or a file"
        sys.exit(_fail(InputError(f"{where}: {error.strerror or error}; want a place that can be read and written"), 2))


def _keep_memory() -> None:
    """Let glibc keep what tensors and pictures take, as fresh pages cost more, unless the user says how."""
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(M_MMAP_THRESHOLD, LARGE)
            mallopt(M_TRIM_THRESHOLD, LARGE)


def _fail(error: Exception, code: int) -> int:
    say(str(error))
    return code
