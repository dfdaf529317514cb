"""Every stage, killed with SIGKILL in mid-run and started again, ends with the loss curve of an unbroken run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cof.config import dump_config
from cof.errors import InvalidConfig, ModelError
from cof.models.local.model import CARD
from cof.models.named import embedded_folder
from cof.nano.recipes import Dense, NanoSupervisedConfig
from cof.needle.world import NEEDLE
from cof.train import grpo, sft
from cof.train.recipes import SupervisedConfig
from cof.train.reinforce import ReinforceConfig
from cof.train.start import last_checkpoint, maker_of, start_of
from tests.commands import cof
from tests.tiny import write_checkpoint
from tests.train.test_traces import SPEC, write_traces

TINY = Path(__file__).parent / "tiny"
RECIPES = Path(__file__).parents[2] / "recipes"
STEPS = 8


def command(stage, recipe, out, *overrides):
    options = [part for item in overrides for part in ("--set", item)]
    return [sys.executable, "-m", "cof", "train", stage, "--config", str(recipe), "--out", str(out), *options]


def curve(out):
    return [
        {name: value for name, value in json.loads(line).items() if "time" not in name and "second" not in name}
        for line in (out / "metrics.jsonl").read_text().splitlines()
    ]


def run_killed(argv, out):
    """Start, kill once the first checkpoint is whole, and start again."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while last_checkpoint(out) is None:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(curve(out) if (out / "metrics.jsonl").exists() else []) < STEPS
    subprocess.run(argv, check=True, capture_output=True)


def perception(_folder):
    return "perception", TINY / "perception.toml"


def full_weights(folder):
    """Needle lessons on a nano that the first stage made."""
    start = folder / "start"
    argv = command("perception", TINY / "perception.toml", start, "steps=1", "save_every=1")
    subprocess.run(argv, check=True, capture_output=True)
    heads = start / "checkpoint-1" / "model.safetensors"
    return "sft", TINY / "sft.toml", f"model={start / 'model'}", f"heads={heads}"


def adapters(folder):
    """The recipe of the 7B model, on traces from a file and a random checkpoint of its architecture."""
    sizes = ("steps=8", "save_every=2", "warmup=2", "lora_rank=4", "learning_rate=0.01")
    model, traces = write_checkpoint("qwen2_5_vl", folder / "checkpoint"), write_traces(folder)
    spec = [f"spec.{name}={value}" for name, value in dump_config(SPEC).items()]
    return "sft", RECIPES / "cof-7b" / "sft.toml", f"model={model}", f"traces={traces}", *sizes, *spec


def reinforced(_folder):
    small = ("steps=8", "save_every=2", "groups=1", "group=8", "accumulate=2", "sides=[448]", "temperature=1.3")
    return "grpo", RECIPES / "nano" / "grpo.toml", *small


def reinforced_adapters(folder):
    """The recipe of the 7B model, on questions from a file and a random checkpoint, which is paid for its form alone."""
    sizes = ("steps=8", "save_every=2", "lora_rank=4", "groups=1", "accumulate=2", "tokens=8", "rewards.length=1")
    model, traces = write_checkpoint("qwen2_5_vl", folder / "checkpoint"), write_traces(folder, "B")
    return "grpo", RECIPES / "cof-7b" / "grpo.toml", f"model={model}", f"questions={traces}", *sizes


@pytest.mark.long
@pytest.mark.parametrize("stage", [perception, full_weights, adapters, reinforced, reinforced_adapters])
def test_a_killed_run_ends_as_an_unbroken_one(stage, tmp_path):
    name, recipe, *overrides = stage(tmp_path)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(name, recipe, whole, *overrides), check=True, capture_output=True)
    run_killed(command(name, recipe, broken, *overrides), broken)
    assert len(curve(whole)) == (STEPS if name == "grpo" else STEPS / 2)
    for resumed, unbroken in zip(curve(broken), curve(whole), strict=True):
        assert resumed == pytest.approx(unbroken, rel=1e-4, abs=1e-6)
    one, two = (load_file(weights_of(out)) for out in (whole, broken))
    for key, weight in one.items():  # sums over gathered rows may differ in their last bit
        torch.testing.assert_close(two[key], weight, rtol=1e-4, atol=1e-6)
    assert (broken / "curves.png").stat().st_size > 0
    assert name == "grpo" or curve(whole)[-1]["loss"] < curve(whole)[0]["loss"]
    if name != "perception":  # its model has no card
        card = json.loads((broken / "model" / CARD).read_text())
        assert card.get("world") == (NEEDLE if stage in (full_weights, reinforced) else None)


def weights_of(out):
    return next((out / "model").glob("*model.safetensors"))


@pytest.mark.parametrize(
    ("stage", "setting", "told"),
    [
        ("perception", "steps=0", "steps = 0 is not possible; want at least 1"),
        ("sft", "rows=0", "rows = 0 is not possible; want at least 1"),
        ("sft", "model=no/such/folder", "cannot load model no/such/folder: there is no such folder"),
        (
            "sft",
            "seed=1",
            "makes it: run that first",
        ),  # the recipe as it is, before the stage whose model it starts from
    ],
)
def test_a_recipe_that_cannot_run_is_one_line(stage: str, setting: str, told: str, tmp_path: Path) -> None:
    recipe = RECIPES / "nano" / f"{stage}.toml"
    done = cof("train", stage, "--config", recipe, "--out", tmp_path / "run", "--set", setting)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_start_that_another_stage_makes_is_named_with_its_command() -> None:
    for config, told in (
        (SupervisedConfig("runs/of/mine/model"), f"`{maker_of('sft')} --out runs/of/mine` makes it: run that first"),
        (SupervisedConfig("no/such/folder"), "there is no such folder; want 'nano', 'nano-sft', a folder"),
    ):
        with pytest.raises(ModelError, match=re.escape(told)):
            sft.train_supervised(config, Path("nowhere"))
    with pytest.raises(
        ModelError, match=re.escape(f"`{maker_of('grpo')} --out a/run/of/mine` makes it: run that first")
    ):
        grpo.train_reinforced(ReinforceConfig("a/run/of/mine/model"), Path("nowhere"))
    with pytest.raises(
        InvalidConfig, match="heads = 'no.safetensors' does not exist; want a checkpoint's model.safetensors"
    ):
        sft.train_supervised(NanoSupervisedConfig("nano-sft", heads="no.safetensors", dense=Dense()), Path("nowhere"))
    assert start_of("nano", "") == str(embedded_folder("nano"))


@pytest.mark.long
def test_a_trace_whose_picture_moved_is_named_before_training(tmp_path: Path) -> None:
    traces = write_traces(tmp_path)
    (tmp_path / "1.png").rename(tmp_path / "moved.png")
    rules = [f"spec.{name}={value}" for name, value in dump_config(SPEC).items()]
    overrides = ("model=nano-sft", f"traces={traces}", *rules)
    done = subprocess.run(
        command("sft", RECIPES / "cof-7b" / "sft.toml", tmp_path / "run", *overrides), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"trace 1 cannot be shown (picture '{tmp_path / '1.png'}' does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
