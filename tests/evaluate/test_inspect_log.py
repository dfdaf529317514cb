"""Logs for inspect-ai: what is in them, and that the package reads them back, where some Python on this machine has it.

The package cannot be installed beside this one's pins (docs/peers.md): `COF_INSPECT_PYTHON` names a Python that has it.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof.data.example import Example, Source
from cof.evaluate.inspect_log import write_logs
from cof.evaluate.run import EvaluationPlan, evaluate, records
from cof.loop.session import NO_VIEW
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.plain import to_json
from cof.runs import RunDir
from cof.scoring import verdicts
from cof.scoring.answers import score
from cof.scoring.judge import judged, remembered
from cof.types import Limits, Question, Stop

SIZE = (448, 224)
ZOOM = (
    '<think>Closer.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": '
    '{"bbox_2d": [100, 100, 200, 200], "label": "it"}}</tool_call>'
)
SAID = (ZOOM, "what?", "<think>I see.</think><answer>blue</answer>")
READ = """
import sys
from inspect_ai.log import list_eval_logs, read_eval_log
(info,) = list_eval_logs(sys.argv[1])
log, head = read_eval_log(info), read_eval_log(info, header_only=True)
sample = log.samples[0]
images = [part for message in sample.messages for part in message.content if part.type == "image"]
print(head.eval.task, log.status, log.results.scores[0].metrics["accuracy"].value, len(log.samples), len(images))
print(sample.messages[1].tool_calls[0].function, sample.output.completion, sample.scores["match"].value)
print([bool(sample.error) for sample in log.samples])
"""


def made(
    folder: Path,
    plan: EvaluationPlan = EvaluationPlan(("own",)),
    answers: tuple[str | None, ...] = ("blue", "red"),
    fields: Mapping[str, Any] = {},
    **options: Any,
) -> Path:
    """A run about pictures on disk, as `cof eval` leaves it; every model turn is one of SAID."""

    def items(_seed: int) -> list[Example]:
        found = []
        for number, answer in enumerate(answers):
            place = folder.parent / f"{number}.png"
            Image.new("RGB", SIZE, (0, 0, 80 * number)).save(place)
            question = Question(f"q{number}", (str(place),), "Which colour?", answer=answer, **fields)
            found.append(Example(question, lambda place=place: Image.open(place).convert("RGB")))  # type: ignore[misc]
        return found

    manifest = {"benchmark": "jsonl", "model": "scripted", "weights": "none", "versions": {"cof": "0", "torch": None}}
    with RunDir(folder, manifest | to_json(plan)) as run:
        evaluate(ScriptedModel(SAID), items, plan, Setting(**options), run)
    return folder


def log_of(run: Path, folder: Path, **options: Any) -> dict[str, Any]:
    (path,) = write_logs(run, folder, **options)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_log_says_what_was_asked_said_and_shown(tmp_path: Path) -> None:
    log = log_of(made(tmp_path / "run"), tmp_path / "logs")
    right, wrong = log["samples"]
    assert (right["id"], right["input"], right["target"]) == ("q0", "Which colour?", "blue")
    assert [m["role"] for m in right["messages"]] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    (call,) = right["messages"][1]["tool_calls"]
    assert (call["function"], call["arguments"]["label"]) == ("zoom", "it")
    assert right["messages"][2]["tool_call_id"] == call["id"]
    assert [m["metadata"]["text"] for m in right["messages"] if m["role"] == "assistant"] == list(SAID)
    assert (right["scores"]["match"]["value"], wrong["scores"]["match"]["value"]) == (1.0, 0.0)
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    assert log["stats"]["model_usage"]["scripted"] == {
        name: 2 * count for name, count in right["model_usage"]["scripted"].items()
    }
    assert log["stats"]["started_at"] <= log["stats"]["completed_at"]


def test_a_graded_metric_is_its_own_scorer_and_every_truth_a_target(tmp_path: Path) -> None:
    run = made(tmp_path / "run", answers=("blues", "red"), fields={"metric": "anls", "aliases": ("pink",)})
    log = log_of(run, tmp_path / "logs")
    near, wrong = log["samples"]
    assert (near["target"], wrong["target"]) == (["blues", "pink"], ["red", "pink"])
    assert near["scores"] == {"anls": {"value": pytest.approx(0.8), "answer": "blue", "explanation": "read by: anls"}}
    assert wrong["scores"]["anls"]["value"] == 0.0
    assert log["eval"]["scorers"] == [{"name": "anls"}]
    (found,) = log["results"]["scores"]
    assert (found["name"], found["scored_samples"]) == ("anls", 2)
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(0.4)
    assert found["metrics"]["right"]["value"] == 0.5


@pytest.mark.parametrize("source", ["original", "resized"])
def test_pictures_are_those_that_the_model_saw(tmp_path: Path, source: Source) -> None:
    log = log_of(made(tmp_path / "run", EvaluationPlan(("own",), (224, 448), source)), tmp_path / "logs", pictures=2)
    assert [sample["id"] for sample in log["samples"]] == ["224/q0", "224/q1", "448/q0", "448/q1"]
    sizes = [[size(part) for part in parts(sample) if part["type"] == "image"] for sample in log["samples"]]
    assert [len(found) for found in sizes] == [2, 2, 0, 0]
    assert sizes[0][0] == (224, 112)
    assert any("shown as 448 x 224 px" in part.get("text", "") for part in parts(log["samples"][2]))


def test_a_picture_that_is_gone_is_told_in_words(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    for place in tmp_path.glob("*.png"):
        place.unlink()
    assert all(part["type"] != "image" for part in parts(log_of(run, tmp_path / "logs")["samples"][0]))


def test_failures_unscored_answers_and_limits_are_no_wrong_answers(tmp_path: Path) -> None:
    run = made(tmp_path / "run", answers=("blue", None), limits=Limits(zooms=0))
    lost = replace(next(records(run)).trace, id="q2", turns=(), stop=Stop.FAILED, error="broken", overviews=(NO_VIEW,))
    line = {"id": "f", "arm": "own", "resolution": 0, "seed": 0, "group": "q2", "trace": to_json(lost)}
    with (run / "traces.jsonl").open("a") as lines:
        lines.write(json.dumps(line) + "\n")
    log = log_of(run, tmp_path / "logs")
    limited, unscored, failed = log["samples"]
    assert limited["limit"]["limit"] == 0.0
    assert (unscored["scores"], failed["scores"]) == ({}, {})
    assert failed["error"]["message"] == "broken"
    assert (log["results"]["total_samples"], log["results"]["completed_samples"]) == (3, 2)
    assert log["results"]["scores"][0]["unscored_samples"] == 1


def test_an_arm_is_a_log_and_writing_again_replaces_it(tmp_path: Path) -> None:
    run = made(tmp_path / "run", EvaluationPlan(("direct", "own")))
    first = write_logs(run, tmp_path / "logs")
    assert len(first) == 2
    assert write_logs(run, tmp_path / "logs") == first
    assert sorted((tmp_path / "logs").iterdir()) == sorted(first)


def test_a_judges_verdicts_are_scores(tmp_path: Path) -> None:
    run = made(tmp_path / "run", answers=("azure",))
    with RunDir(run, json.loads((run / "manifest.json").read_text())) as folder:
        asked = [(record.trace.question, record.trace.answer) for record in records(run)]
        judge = ScriptedModel(['{"right": true}'])
        judged(judge, asked, folder.journal("verdicts"))
    assert verdicts.verdict('{"right": true}')
    log = log_of(run, tmp_path / "logs", judge=remembered(run / "verdicts.jsonl"))
    assert log["samples"][0]["scores"]["match"]["value"] == 1.0
    assert remembered(tmp_path / "none.jsonl") is score


@pytest.mark.skipif("COF_INSPECT_PYTHON" not in os.environ, reason="COF_INSPECT_PYTHON names no Python with inspect-ai")
def test_inspect_reads_it_back(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    write_logs(run, tmp_path / "logs")
    command = [os.environ["COF_INSPECT_PYTHON"], "-c", READ, str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["jsonl-own success 0.5 2 2", "zoom blue 1.0", "[False, False]"]


def parts(sample: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for message in sample["messages"] for part in message["content"]]


def size(part: dict[str, Any]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(part["image"].partition(",")[2]))).size
