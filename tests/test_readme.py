"""The commands in README and docs are real: the README's are run, the options of the others exist."""

import functools
import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cof.probe.pictures import draw
from tests.commands import cof
from tests.models.remote.endpoints import Reply, listening
from tests.probe.seeing import Seeing, thousandths

ROOT = Path(__file__).parent.parent


def commands(path):
    blocks = re.findall(r"```console\n(.*?)```", path.read_text(), re.S)
    return [line[2:].split("#")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_readme_names_two_commands_and_then_the_strangers_own():
    first, second, check, ask = commands(ROOT / "README.md")
    assert (first, second) == ("make demo", "make test")
    assert check.startswith(".venv/bin/cof check --url ")
    assert ask.startswith(".venv/bin/cof ask photo.jpg ")


def test_the_first_lines_are_true_of_a_stranger_with_an_endpoint_and_a_photo(tmp_path):
    """The commands of the first 20 lines, as they stand, against an endpoint that sees."""
    first = tmp_path / "README.md"
    first.write_text("\n".join((ROOT / "README.md").read_text().splitlines()[:20]))
    draw((4000, 3000), "red", random.Random(1)).image.save(tmp_path / "photo.jpg", quality=90)
    played = [command for command in commands(first) if command.startswith(".venv/bin/cof")]
    assert len(played) == 2
    with listening(Seeing(thousandths, looks="the sign say")) as server:
        server.listing = Reply(json.dumps({"data": [{"id": "some-model"}]}).encode())
        for command in played:
            words = shlex.split(command.replace("http://127.0.0.1:8000/v1", server.url))
            server.say.looks = "the sign say" if words[1] == "ask" else "Look closer"
            done = cof(*words[1:], cwd=tmp_path, env=os.environ | {"OPENAI_API_KEY": ""})
            assert done.returncode == 0, done.stderr
            assert max(map(len, done.stdout.splitlines())) <= 90
    assert "looked at" in done.stdout
    assert "answer     red" in done.stdout
    assert "the dialect is plain" in done.stderr
    assert (tmp_path / "trace.html").stat().st_size > 10_000


@pytest.mark.long
def test_the_demo_answers_and_shows_where_it_looked(tmp_path):
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    line = next(line for line in recipe.splitlines() if " ask " in line)
    line = line.replace(".venv/bin/cof", f"{sys.executable} -m cof").replace("trace.html", str(tmp_path / "t.html"))
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    answer = (ROOT / "examples" / "plaza.answer").read_text().strip()
    assert f"answer     {answer}\n" in done.stdout
    assert "looked at" in done.stdout
    assert (tmp_path / "t.html").stat().st_size > 10_000


@pytest.mark.long
def test_the_python_of_the_documents_runs_and_is_right():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ask.md").read_text(), re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith((ROOT / "examples" / "plaza.answer").read_text().strip() + " ")


@functools.cache
def help_of(*names: str) -> str:
    shown = cof(*names, "--help")
    assert shown.returncode == 0
    return shown.stdout


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_documented_options_exist(page):
    for command in (command for command in commands(page) if re.search(r"\bcof\b", command.split("http")[0])):
        words = shlex.split(command.replace('"$(cat', "'$(cat").replace(')"', ")'"))
        words = words[words.index("cof") + 1 :]
        names = [w for w in words[:2] if re.fullmatch("[a-z]+", w)]
        shown = help_of(*names)
        for option in (w for w in words if w.startswith("--")):
            assert option in shown, f"{page.name}: {command}"
