"""The workflows of CI run what `.ci/run` runs: targets of the Makefile, on every Python that the package supports."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MADE = re.compile(r"make ([a-z-]+)")
VERSION = re.compile(r"Programming Language :: Python :: (3\.\d+)")


def read(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text())
    return found


def commands(workflow: dict[Any, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every command with the Pythons that it runs on."""
    for job in workflow["jobs"].values():
        (python,) = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
        several = job.get("strategy", {}).get("matrix", {}).get("python", [])
        for step in job["steps"]:
            if "run" in step:
                yield step["run"], several if "matrix.python" in python else [python]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_command_is_a_target_of_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command, _ in commands(read(file)):
        made = MADE.fullmatch(command)
        assert made, command
        assert made[1] in targets


def test_together_they_run_what_ci_runs() -> None:
    ours = {command for file in FILES for command, _ in commands(read(file))}
    assert ours == {f"make {name}" for name in MADE.findall((ROOT / ".ci" / "run").read_text())}


def test_the_quick_tests_run_on_every_python_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [found[1] for each in project["classifiers"] if (found := VERSION.fullmatch(each))]
    (pythons,) = [pythons for file in FILES for command, pythons in commands(read(file)) if command == "make test"]
    assert pythons == supported


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_a_workflow_has_no_secret_and_may_only_read(file: Path) -> None:
    assert "secrets." not in file.read_text()
    assert read(file)["permissions"] == {"contents": "read"}
