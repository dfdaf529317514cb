"""The files for other evaluation tools: what they read is written, and the functions that they call are there."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cof.data.benchmarks.known import benchmark_named
from cof.geometry import ViewSpec
from cof.needle.samples import samples, write

PEERS = Path(__file__).parents[1] / "examples" / "peers"
N = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("needle")
    write(samples("test", 0, N, 448, ViewSpec()), place)
    subprocess.run([sys.executable, PEERS / "questions.py", place], check=True)
    return place


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def task() -> ModuleType:
    spec = importlib.util.spec_from_file_location("task", PEERS / "lmms" / "task.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_questions_are_those_that_cof_eval_reads(folder: Path) -> None:
    choices = list(benchmark_named("jsonl")(folder / "questions.jsonl", 0))
    free = list(benchmark_named("jsonl")(folder / "open.jsonl", 0))
    assert len(choices) == len(free) == N
    for with_options, without in zip(choices, free, strict=True):
        assert with_options.question.answer == without.question.answer
        assert with_options.question.answer in with_options.question.choices
        assert without.question.choices == ()
        assert without.load().size == (448, 448)


def test_the_table_has_the_right_letter(folder: Path) -> None:
    csv.field_size_limit(10**7)
    with (folder / "questions.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row[row["answer"]] for row in rows] == [line["answer"] for line in lines(folder / "questions.jsonl")]


def test_gold_scores_one_and_nothing_zero(folder: Path) -> None:
    found = task()
    for line in lines(folder / "questions.jsonl"):
        assert found.scores(line, [f" {line['answer']}. "]) == {"exact_match": 1.0}
        assert found.scores(line, [""]) == {"exact_match": 0.0}
        assert found.question(line) in found.choice(line)
        assert found.pictures(line)[0].size == (448, 448)


@pytest.mark.parametrize("file", sorted((PEERS / "lmms").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_task_names_functions_and_files_that_exist(file: Path, folder: Path) -> None:
    text = file.read_text()
    assert f"task: {file.stem}\n" in text
    named = re.findall(r"!function task\.(\w+)", text)
    assert len(named) == 3
    assert all(callable(getattr(task(), name)) for name in named)
    (data,) = re.findall(r"test: needle/(\S+)", text)
    assert (folder / data).exists()


@pytest.mark.long
def test_a_run_becomes_logs_on_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    cof = [sys.executable, "-m", "cof"]
    asked = [*cof, "eval", "needle", "--n", "2", "--side", "448", "--out", str(run)]
    subprocess.run(asked, check=True, capture_output=True)
    told = [*cof, "report", str(run), "--inspect", str(tmp_path / "logs"), "--pictures", "1"]
    done = subprocess.run(told, check=True, capture_output=True, text=True)
    logs = sorted((tmp_path / "logs").glob("*.json"))
    assert len(logs) == 2
    assert all(str(path) in done.stdout for path in logs)
