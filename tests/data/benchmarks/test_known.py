"""Every benchmark that is read from a copy says what it is, and refuses a copy that is not there."""

import importlib
import json
from pathlib import Path

import pytest
from PIL import Image

from cof.cli.app import app
from cof.data.benchmarks.known import BUILT_IN, benchmark_named, benchmark_names
from cof.errors import InputError, InvalidConfig
from tests.data.benchmarks.copies import one_line
from tests.models.remote.endpoints import Reply, listening, models


@pytest.mark.parametrize("name", BUILT_IN)
def test_documented(name):
    module = importlib.import_module(f"cof.data.benchmarks.{name.replace('-', '_')}")
    lines = (module.__doc__ or "").splitlines()
    for head in ("Dataset: ", "Metric: ", "Source: "):
        assert sum(line.startswith(head) for line in lines) == 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_nothing_there(name, tmp_path):
    with pytest.raises(InputError) as error:
        next(benchmark_named(name)(tmp_path / "absent", 0))
    assert "absent" in one_line(error)


OUTSIDE = "tests.data.benchmarks.outside:items"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A folder for the benchmark from outside."""
    (tmp_path / "pictures").mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (60, 40), colour).save(tmp_path / "pictures" / f"{colour}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raising", r"failed \(ZeroDivisionError: division by zero\)"),
        ("numbers", "gives int; want cof.data.example.Example"),
        ("twice", "gives two questions with the id 'red'"),
        ("without_arguments", "failed \\(TypeError"),
        ("nothing", "gives no question of"),
    ],
)
def test_what_a_benchmark_gives_wrongly_is_one_line(colours: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(benchmark_named(f"tests.data.benchmarks.outside:{name}")(colours, 0))


def test_a_benchmark_from_outside_is_evaluated(tmp_path: Path, colours: Path) -> None:
    with listening(lambda _: Reply("<answer>red</answer>")) as server:
        server.listing = models("m")
        at = ["--url", server.url, "--model", "m", "--dialect", "cof", "--arms", "own"]
        app(
            ["eval", OUTSIDE, "--data", str(colours), *at, "--out", str(tmp_path / "run")],
            standalone_mode=False,
        )
    figures = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (figures["arms"]["own"]["n"], figures["arms"]["own"]["accuracy"]) == (2, 0.5)


def test_benchmarks_are_found_by_name(colours: Path) -> None:
    assert [each.question.id for each in benchmark_named(OUTSIDE)(colours, 0)] == ["blue", "red"]
    assert benchmark_names()[: len(BUILT_IN)] == BUILT_IN
    with pytest.raises(InvalidConfig, match="is int; want a function of"):
        benchmark_named("tests.data.benchmarks.outside:NO_BENCHMARK")
    with pytest.raises(InvalidConfig, match="want one of hrbench, jsonl"):
        benchmark_named("nothing")
