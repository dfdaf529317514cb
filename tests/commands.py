"""The command line in a process of its own, without the seconds that Python takes to import what it needs.

A fork server imports that once, and every command is a fork of it: its arguments, environment, folder, streams and exit code
are those of `python -m cof`. Omits standard input.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMPORTED = ["torch", "transformers", "cof.cli", "cof.models.local.model", "tests.commands"]
SECONDS = 280.0  # that a command may take: less than a test has


def cof(
    *arguments: object, cwd: Path | str | None = None, env: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    """What `python -m cof` with these arguments prints and how it exits. `env` is the whole environment."""
    argv, environment = ["cof", *map(str, arguments)], dict(os.environ if env is None else env)
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        process = _server().Process(target=_run, args=(argv, files, str(cwd or os.getcwd()), environment))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(argv, seconds)
        stdout, stderr = (Path(file).read_text() for file in files)
    return subprocess.CompletedProcess(argv, process.exitcode, stdout, stderr)


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _run(argv: list[str], files: list[str], cwd: str, environment: dict[str, str]) -> None:
    from cof.cli import main

    for descriptor, file in zip((1, 2), files, strict=True):
        to = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(to, descriptor)
        os.close(to)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    main()
