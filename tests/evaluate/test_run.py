"""An evaluation keeps every trace as it ends; killed and started again it ends with the same report."""

import json
import os
import signal
import subprocess
import sys
import time

from cof.evaluate.report import report
from cof.evaluate.run import evaluate
from cof.focus.loop import Setting
from cof.models.scripted import ScriptedModel
from cof.runs import RunDir, read_records
from cof.types import trace_from_json
from cof.worlds.needle import samples

N = 6


def questions():
    return ((s.question, s.picture) for s in samples("validation", 1, N, 448))


def test_nothing_is_asked_twice(tmp_path):
    first, second = ScriptedModel(["<answer>red</answer>"]), ScriptedModel(["<answer>red</answer>"])
    with RunDir(tmp_path / "run", {}) as run:
        evaluate(first, questions, ("direct", "focus"), Setting(), run, batch=4)
    with RunDir(tmp_path / "run", {}) as run:
        evaluate(second, questions, ("direct", "focus"), Setting(), run, batch=4)
    assert len(first.requests) == 2 * N
    assert second.requests == []


def figures(out):
    found = report((r["arm"], trace_from_json(r["trace"])) for r in read_records(out / "traces.jsonl"))
    return json.dumps(found)


def test_a_killed_evaluation_ends_as_an_unbroken_one(tmp_path):
    def command(name):
        options = ["--n", "12", "--side", "448", "--batch", "2", "--out", str(tmp_path / name)]
        return [sys.executable, "-m", "cof", "eval", "needle", *options]

    subprocess.run(command("whole"), check=True, capture_output=True)
    journal = tmp_path / "broken" / "traces.jsonl"
    for wanted in (2, 7):
        process = subprocess.Popen(command("broken"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not journal.exists() or journal.read_bytes().count(b"\n") < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command("broken"), check=True, capture_output=True)
    assert figures(tmp_path / "broken") == figures(tmp_path / "whole")
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "broken")]
    assert reports[0] == reports[1]
    assert reports[0]["arms"]["focus"]["n"] == 12
