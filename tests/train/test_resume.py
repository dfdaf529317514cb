"""Both stages, killed with SIGKILL in mid-run and started again, end with the loss curve of an unbroken run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cof.train.progress import last_checkpoint

TINY = Path(__file__).parent / "tiny"
STEPS = 8


def command(stage, out, *overrides):
    recipe = TINY / f"{stage}.toml"
    options = [part for item in overrides for part in ("--set", item)]
    return [sys.executable, "-m", "cof", "train", stage, "--config", str(recipe), "--out", str(out), *options]


def curve(out):
    return [
        {name: value for name, value in json.loads(line).items() if "runtime" not in name and "second" not in name}
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


@pytest.mark.parametrize("stage", ["perception", "sft"])
def test_a_killed_run_ends_as_an_unbroken_one(stage, tmp_path):
    overrides = []
    if stage == "sft":
        start = tmp_path / "start"
        subprocess.run(command("perception", start, "steps=1", "save_every=1"), check=True, capture_output=True)
        overrides = [f"model={start / 'model'}", f"heads={start / 'checkpoint-1/model.safetensors'}"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(stage, whole, *overrides), check=True, capture_output=True)
    run_killed(command(stage, broken, *overrides), broken)
    assert len(curve(whole)) == STEPS / 2
    for resumed, unbroken in zip(curve(broken), curve(whole), strict=True):
        assert resumed == pytest.approx(unbroken, rel=1e-4, abs=1e-6)
    one, two = (load_file(out / "model" / "model.safetensors") for out in (whole, broken))
    for name, weight in one.items():  # sums over gathered rows may differ in their last bit
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-6)
    assert (broken / "curves.png").stat().st_size > 0
