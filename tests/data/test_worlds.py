"""A world from outside the package is asked, searched, trained on and evaluated as the package's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cof.data.pictures import can_open, picture_of
from cof.data.worlds import is_world, world_of, world_with
from cof.errors import InvalidConfig, InvalidImage
from cof.geometry import ViewSpec
from cof.train.prompts import WorldPrompts
from cof.types import Question

DOTS = '''
"""A world of one dot: what colour is it?"""
from PIL import Image
from cof.agent.calls import Summarise
from cof.data.example import Example, Needs
from cof.geometry import Box
from cof.types import Question

COLOURS = ("red", "blue")


class Truth:
    def __init__(self, side):
        self.side = side

    def resized(self, factor):
        return Truth(self.side * factor)

    def needs(self, overview, spec):
        return Needs(0 if overview.size[0] >= 112 else None, (Box(0, 0, self.side / 2, self.side / 2),))

    def shows_answer(self, view):
        return True

    def preview(self):
        return Image.new("RGB", (8, 8), "red")


class Experts:
    def play(self, example, call, cost):
        match call:
            case Summarise(chain):
                return ("I see it.",) * (len(chain) + 1)
            case _:
                return example.question.answer


class Dots:
    grid = 1

    def examples(self, split, seed, count, sides, spec, multiple_choice=False, per_picture=1):
        for n in range(count):
            yield self.example(split, seed * 1000 + n, sides[n % len(sides)], spec, (1.0,))

    def example(self, split, number, side, spec, depths):
        colour = COLOURS[number % 2]
        question = Question(f"{split}-{number}", f"dots:{split}-{number}@{side}", f"What colour is dot {number}?", (), colour)
        made = Example(question, lambda: Image.new("RGB", (side, side), colour), truth=Truth(side), known_size=(side, side))
        return made.at(spec)

    def experts(self, error, seed):
        return Experts()

    def has_picture(self, name):
        return name.startswith("dots:") and "@" in name

    def picture(self, name):
        number, _, side = name.partition("-")[2].partition("@")
        return Image.new("RGB", (int(side), int(side)), COLOURS[int(number) % 2])

    def is_outside(self, overview):
        return len(overview.getcolors(2) or (1, 2)) > 1

    def write(self, examples, folder):
        return sum(1 for _ in examples)


WORLD = Dots()
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module, and what an installer leaves of a package that registers it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "dots_of_others.py").write_text(DOTS)
    info = folder / "dots_of_others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dots-of-others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cof.worlds]\ndots = dots_of_others:WORLD\n")
    return folder


def cof(site: Path, *arguments: object) -> str:
    paths = os.pathsep.join([str(site), str(Path(__file__).resolve().parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "cof", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", ["dots", "dots_of_others:WORLD"])
def test_a_world_of_another_package_is_searched_and_evaluated(site: Path, tmp_path: Path, name: str) -> None:
    cof(site, "data", "build", "--source", name, "--n", 3, "--side", 224, "--out", tmp_path / "built")
    lines = (tmp_path / "built" / "traces.jsonl").read_text().splitlines()
    assert [json.loads(line)["trace"]["question"]["answer"] for line in lines] == ["red", "blue", "red"]
    cof(site, "eval", name, "--n", 3, "--side", 224, "--out", tmp_path / "run", "--arms", "direct")
    assert json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["direct"]["samples"] == 3
    if name == "dots":  # a picture's name leads to what is registered alone
        cof(site, "data", "convert", tmp_path / "built", "--out", tmp_path / "form")
        assert len(list((tmp_path / "form" / "images").iterdir())) == 3


def test_questions_of_reinforcement_come_from_any_world(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    prompts = WorldPrompts(world_of("dots_of_others:WORLD"), ViewSpec(), 0, (224,), (64,), (1.0,), (224, 56))
    found = [prompts(n) for n in range(20)]
    assert {example.question.depth for example in found} == {0, None}
    assert all(example.question.readable == (example.question.depth == 0) for example in found)


def test_a_world_is_named_or_given_by_its_path() -> None:
    assert world_of("needle") is world_of("cof.needle.world:WORLD")
    assert is_world("needle")
    assert is_world("a.b:C")
    assert not any(map(is_world, ("needles", "a/b.jsonl", "", "questions.jsonl", "needle:train-1@448")))
    for name, told in (
        ("streets", "unknown world 'streets'; want one of "),
        ("os:nothing", "is not there"),
        ("no_such_module:WORLD", "is not there"),
    ):
        with pytest.raises(InvalidConfig, match=told):
            world_of(name)


def test_the_picture_of_a_question_is_found_by_its_scheme(tmp_path: Path) -> None:
    def named(image: str) -> Question:
        return Question("q", (image,), "?")

    assert world_with("needle:train-7@448") is world_of("needle")
    assert can_open(named("needle:train-7@448"))
    assert max(picture_of(named("needle:train-7@448")).size) == 448
    for other in (
        "needle:elsewhere-7@448",
        "os:getcwd",
        "http://127.0.0.1/a.png",
        str(tmp_path / "needle:train-7@448"),
    ):
        assert world_with(other) is None
        assert not can_open(named(other))
    with pytest.raises(InvalidImage):
        picture_of(named("needle:elsewhere-7@448"))
    with pytest.raises(InvalidImage, match="is no picture of the needle world"):
        world_of("needle").picture("streets:1")
