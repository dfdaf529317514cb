"""What is installed: the wheel with its extras in bare environments, the recipes, and which Python `make` takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from cof.errors import MissingExtra, installing
from tests.models.remote.endpoints import ANSWER, ZOOM, by_turn, listening, models
from tests.test_served import free_port, wait_for

ROOT = Path(__file__).parent.parent
LARGEST = 250  # MB of an environment with the server and without torch
WITHOUT = {"torch", "transformers", "accelerate", "matplotlib", "datasets", "trl"}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the clone is not found by it
HEAVY = ("torch", "transformers", "trl", "datasets", "matplotlib", "fastapi", "uvicorn", "huggingface_hub")


def run(*command: Any, env: Mapping[str, str] = OUTSIDE, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env, **options)


def done(*command: Any, **options: Any) -> str:
    found = run(*command, **options)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_what_is_only_said_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cof.cli import main\n"
        "for words in (['--version'], ['--help'], *([name, '--help'] for name in ('ask', 'serve', 'eval', 'train'))):\n"
        "    sys.argv = ['cof', *words]\n"
        "    try: main()\n    except SystemExit: pass\n"
        f"print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    said = done(sys.executable, "-c", code, cwd=ROOT)
    assert "--upstream" in said
    assert said.splitlines()[-1] == "[]"


def test_the_lowest_releases_are_those_of_the_ranges() -> None:
    """Each range has one low end, and constraints-lowest.txt has it; where `train` wants a later one than `local`, that."""
    wanted = [
        *PROJECT["dependencies"],
        *(r for name in ("local", "evaluate", "serve", "heif", "train") for r in extra(name)),
    ]
    lows = dict(re.findall(r"^([\w-]+)>=([\d.]+),<", each)[0] for each in wanted if "[" not in each)
    pins = [line for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in pins)
    assert pinned.keys() == lows.keys()
    for name, low in lows.items():
        assert (pinned[name] + ".0.0").startswith(low), f"{name}: {low} in pyproject.toml, {pinned[name]} in the file"


def extra(name: str) -> list[str]:
    return list(PROJECT["optional-dependencies"][name])


def test_no_extra_but_those_of_models_brings_torch() -> None:
    for name in ("serve", "evaluate", "heif"):
        assert not [each for each in extra(name) if "torch" in each or "[" in each]
    assert "chain-of-focus[evaluate,local]" in extra("train")


def test_a_missing_extra_names_a_command_for_the_clone_it_runs_in() -> None:
    command = shlex.split(installing("local"))
    assert command == [sys.executable, "-m", "pip", "install", "-e", f"{ROOT}[local]"]
    assert str(MissingExtra("reading", "torch", "local")) == (
        f"reading needs torch; want the extra local installed: {shlex.join(command)}"
    )


def test_make_takes_the_first_python_that_runs(tmp_path: Path) -> None:
    """The first names are there and fail when they are run, as those of pyenv do, or are of another version."""
    for name, says in (
        ("python3", "exit 127"),
        ("python3.13", "exit 1"),
        ("python3.12", f'exec {sys.executable} "$@"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    path = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a make around this
    path["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    shown = done("make", "-n", "demo", f"VENV={tmp_path}/venv", cwd=ROOT, env=path)
    assert f"\npython3.12 -m venv {tmp_path}/venv\n" in shown


def test_make_says_what_it_wants_where_no_python_is_suitable(tmp_path: Path) -> None:
    refused = run("make", "demo", f"VENV={tmp_path}/venv", "PYTHON=no-such-python", cwd=ROOT)
    assert refused.returncode == 2
    assert "no-such-python is no Python of 3.11 to 3.13 with venv; want one, or make PYTHON=" in refused.stdout
    assert not (tmp_path / "venv").exists()


@pytest.mark.long
def test_a_wheel_with_the_server_is_small_and_takes_a_model_when_it_is_asked_for(tmp_path: Path) -> None:
    """The extras of the wheel that the sdist builds, which is the clone's, in an environment with nothing else."""
    wheel = built(tmp_path)
    python = bare(tmp_path / "venv")
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    done(*install, f"chain-of-focus[serve] @ {wheel.as_uri()}", cwd=tmp_path)
    size = int(done("du", "-sm", tmp_path / "venv").split()[0])
    assert size < LARGEST
    assert not WITHOUT & {line.split("==")[0].lower() for line in done(python, "-m", "pip", "freeze").splitlines()}
    endpoint_only(python, tmp_path)
    cof = [python, "-m", "cof"]
    ask = ["ask", ROOT / "examples" / "plaza.jpg", (ROOT / "examples" / "plaza.txt").read_text().strip()]
    refused = run(*cof, *ask, cwd=tmp_path)
    assert refused.returncode == 2
    words = shlex.split(refused.stderr.partition("want the extra local installed: ")[2])
    assert words == [str(python), "-m", "pip", "install", f"chain-of-focus[local] @ {wheel.as_uri()}"]
    done(*words, cwd=tmp_path, env=OUTSIDE | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")})
    answered = done(*cof, *ask, cwd=tmp_path)
    assert f"answer     {(ROOT / 'examples' / 'plaza.answer').read_text().strip()}\n" in answered
    shutil.rmtree(tmp_path / "venv")  # more than a gigabyte


def bare(folder: Path) -> Path:
    """The Python of a new environment in `folder`."""
    done(sys.executable, "-m", "venv", folder)
    return folder / "bin" / "python"


def built(folder: Path) -> Path:
    """The wheel of a copy of the clone, which is the one that its sdist builds, byte by byte."""
    python, clone = bare(folder / "builder"), folder / "clone"
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    done(python, "-m", "pip", "install", "-q", *requires, cwd=folder)
    for name in done("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    build = "import sys, setuptools.build_meta as made; made.build_{}(sys.argv[1])"
    done(python, "-c", build.format("sdist"), folder / "sdist", cwd=clone)
    (sdist,) = (folder / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    for source, out in ((clone, "of-clone"), (unpacked, "of-sdist")):
        done(python, "-c", build.format("wheel"), folder / out, cwd=source)
    (one,), (other,) = ((folder / name).glob("*.whl") for name in ("of-clone", "of-sdist"))
    assert one.name == other.name
    assert files_of(one) == files_of(other)
    return other


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def endpoint_only(python: Path, folder: Path) -> None:
    """Everything that an endpoint is enough for: ask, serve, evaluate and report."""
    cof, picture = [python, "-m", "cof"], ROOT / "examples" / "meadow.jpg"
    with listening(by_turn(ZOOM, ANSWER)) as endpoint:
        endpoint.listing = models("some-model")
        at = ["--dialect", "cof", "--url", endpoint.url]
        assert "answer     B\n" in done(*cof, "ask", picture, "What?", *at, cwd=folder)
        needles = ["eval", "needle", "--n", 2, "--side", 448, "--arms", "own", "--out", "run", *at]
        done(*cof, *needles, cwd=folder)
        assert "own" in done(*cof, "report", "run", cwd=folder)
        port = free_port()
        up = ["--upstream", endpoint.url, "--dialect", "cof", "--port", port]
        server = subprocess.Popen(
            [str(part) for part in (*cof, "serve", *up)], cwd=folder, env=OUTSIDE, stdout=subprocess.DEVNULL
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            assert "answer     B\n" in done(
                *cof, "ask", picture, "What?", "--url", f"http://127.0.0.1:{port}/v1", "--dialect", "plain", cwd=folder
            )
            listed = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"]
            assert [each["id"] for each in listed] == ["some-model"]
        finally:
            server.terminate()
            server.wait(30)
