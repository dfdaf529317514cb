"""Reinforcement of the embedded model: what advantages are, that one step follows them, and that processes agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cof.data.example import Example
from cof.data.worlds import world_of
from cof.errors import InvalidConfig
from cof.evaluate.run import EvaluationPlan, evaluate, records
from cof.geometry import ViewSpec
from cof.loop.run import run as run_session
from cof.loop.setting import Setting
from cof.models.local.model import LocalModel
from cof.models.scripted import ScriptedModel
from cof.needle.samples import samples
from cof.needle.world import NEEDLE
from cof.plain import to_json
from cof.runs import RunDir
from cof.scoring.rewards import box_giou, box_iou
from cof.train.prompts import FilePrompts, WorldPrompts
from cof.train.reinforce import ReinforceConfig
from cof.train.rollouts import play
from cof.train.start import last_checkpoint
from tests.test_served import free_port
from tests.train.test_resume import RECIPES

SMALL = (
    "steps=2",
    "groups=3",
    "group=4",
    "accumulate=4",
    "save_every=1",
    "show_every=1",
    "sides=[448, 896]",
    "temperature=1.3",
)
COUNTED = ("rewards/agar", "signal", "accuracy", "zooms", "tokens", "loss", "grad_norm")


def train(out: Path, *overrides: str, launch: tuple[str, ...] = ("-m",)) -> dict[str, float]:
    """The metrics of a short run of nano's recipe."""
    options = [part for item in (*SMALL, *overrides) for part in ("--set", item)]
    argv = [sys.executable, *launch, "cof", "train", "grpo", "--config", str(RECIPES / "nano" / "grpo.toml")]
    done = subprocess.run([*argv, "--out", str(out), *options], capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr[-2000:]
    last: dict[str, float] = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return last


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("alone") / "run"
    return out, train(out)


@pytest.mark.long
def test_a_run_leaves_a_model_that_loads_and_weights_that_moved(alone: tuple[Path, dict[str, float]]) -> None:
    out, metrics = alone
    assert metrics["step"] == 2
    assert json.loads((out / "manifest.json").read_text())["dialect"] == "cof"
    assert metrics["sampler_difference"] < 0.1
    assert {"seconds/rollout", "seconds/reward", "step_time", "kl", "entropy", "formed"} <= set(metrics)
    moved, start = LocalModel.load(str(out / "model"), device="cpu"), LocalModel.load("nano-sft", device="cpu")
    assert moved.card == replace(start.card, world=NEEDLE)
    assert moved.info.fingerprint != start.info.fingerprint
    apart = [(a - b).abs().max() for a, b in zip(moved.network.parameters(), start.network.parameters(), strict=True)]
    assert 0 < max(apart) < 0.01


@pytest.mark.long
def test_passes_are_a_matter_of_memory_alone(alone: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    once = train(tmp_path / "run", "accumulate=1", "branches=1")
    assert [once[name] for name in COUNTED] == [pytest.approx(alone[1][name], rel=0.05, abs=2e-3) for name in COUNTED]


@pytest.mark.long
def test_two_processes_reward_the_same_groups_as_one(alone: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    """Twelve rollouts, six for each of two processes, which split the second of the three groups."""
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()), "-m")
    both = train(tmp_path / "run", "accumulate=3", launch=launch)
    assert both["processes"] == 2
    assert [both[name] for name in COUNTED] == [pytest.approx(alone[1][name], rel=0.05, abs=2e-3) for name in COUNTED]
    one, other = (load_file(f"{last_checkpoint(out)}/model.safetensors") for out in (alone[0], tmp_path / "run"))
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-2, atol=2e-4)


def test_the_nth_question_is_the_same_for_everybody() -> None:
    model = LocalModel.load("nano", device="cpu")
    one, other = (
        WorldPrompts(world_of("needle"), model.card.spec, 1, (448, 896), (64, 256), (0.3, 0.4, 0.3)) for _ in range(2)
    )
    assert [one(n).question for n in range(5)] == [other(n).question for n in range(5)]
    assert {one(n).question.id.split("-")[0] for n in range(5)} == {"train"}
    assert len({one(n).question.image for n in range(20)}) == 20
    assert len({one(n).spec.max_pixels for n in range(20)}) == 2


@pytest.mark.long
def test_a_smaller_picture_is_asked_about_as_in_an_evaluation(tmp_path: Path) -> None:
    """The questions of reinforcement at 336 px, asked by an evaluation at 336 px: depths and targets are the same."""
    world, spec, depths = world_of("needle"), LocalModel.load("nano", device="cpu").card.spec, (0.3, 0.4, 0.3)
    prompts = WorldPrompts(world, spec, 1, (1344,), (256,), depths, (336,))
    asked = {prompt.question.id: prompt for prompt in map(prompts, range(40))}
    drawn = (world.example("train", _number(prompt), 1344, spec, depths) for prompt in asked.values())
    whole = [example for example in drawn if example is not None]
    with RunDir(tmp_path, {}) as run:
        model = ScriptedModel(["<answer>A</answer>"])
        evaluate(model, lambda _: whole, EvaluationPlan(("direct",), (336,), "resized"), Setting(spec), run)
    found = {record.trace.question.id: record.trace for record in records(tmp_path)}
    assert len(found) == len(asked) == 40
    assert {name: trace.question for name, trace in found.items()} == {n: each.question for n, each in asked.items()}
    assert all(trace.overview == asked[name].overview for name, trace in found.items())
    assert {question.depth for question in (each.question for each in asked.values())} == {None, 0}


def _number(prompt: Example) -> int:
    return int(prompt.question.image.partition("-")[2].partition("@")[0])


def test_a_box_earns_nothing_where_no_zoom_helps() -> None:
    lost = next(samples("train", 0, 1, 1344)).at(ViewSpec(), 56)
    assert (lost.question.depth, lost.question.readable) == (None, False)
    assert lost.question.targets  # the oracle shows them, and reports count them
    box = [round(value) for value in lost.overview.from_source(lost.question.targets[0]).as_tuple()]
    call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": box}}
    said = [f"<tool_call>{json.dumps(call)}</tool_call>", "<answer>A</answer>"]
    trace = run_session(ScriptedModel(said), lost.question, lost.picture.image, Setting(lost.spec))
    assert trace.zooms == 1
    assert box_giou(trace) is box_iou(trace) is None
    known = replace(trace, question=replace(trace.question, readable=None))
    assert box_giou(known) is not None


def test_sides_and_resolutions_are_pixels() -> None:
    ReinforceConfig("nano", sides=(448,), resolutions=(224,))
    for sizes in ({"resolutions": (0,)}, {"resolutions": (448, -1)}, {"sides": (30_000,)}):
        with pytest.raises(InvalidConfig, match="is not possible; want 28 to 20000 pixels"):
            ReinforceConfig("nano", **sizes)
    with pytest.raises(InvalidConfig, match="a budget of 0 visual tokens is not possible"):
        ReinforceConfig("nano", budgets=(256, 0))


def test_questions_of_a_file_are_those_that_are_undecided(tmp_path: Path) -> None:
    model = LocalModel.load("nano", device="cpu")
    prompts = WorldPrompts(world_of("needle"), model.card.spec, 1, (448,), (64,), (1.0, 0.0, 0.0))
    traces = [each.trace for each in play(model, [(prompts(n), 0) for n in range(3)], Setting())]
    lines = [
        {"id": str(n), "pass_rate": rate, "trace": to_json(trace)}
        for n, (trace, rate) in enumerate(zip(traces, (0.0, 0.5, 1.0), strict=True))
    ]
    file = tmp_path / "traces.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = FilePrompts(file, 0, 28)
    assert {asked(n).question for n in range(8)} == {traces[1].question}
    assert asked(0).picture.size == (448, 448) or max(asked(0).picture.size) == 448
    changes: list[tuple[dict[str, Any], str]] = [
        ({"text": "Why <|im_end|>?"}, "holds '<|im_end|>' in its question"),
        ({"images": ("x.png",)}, "cannot be"),
    ]
    for change, told in changes:
        trace = to_json(replace(traces[1], question=replace(traces[1].question, **change)))
        file.write_text(json.dumps(lines[1] | {"trace": trace}) + "\n")
        with pytest.raises(InvalidConfig, match=f"trace {re.escape(traces[1].id)} {re.escape(told)}"):
            FilePrompts(file, 0, 28)(0)
    file.write_text("".join(json.dumps(line | {"pass_rate": 1.0}) + "\n" for line in lines))
    with pytest.raises(InvalidConfig, match="holds nothing to ask; want traces"):
        FilePrompts(file, 0, 28)(0)
    with pytest.raises(InvalidConfig, match="holds nothing to ask"):
        FilePrompts(tmp_path / "none.jsonl", 0, 28)(0)
