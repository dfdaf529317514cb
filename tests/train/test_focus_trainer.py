"""A step of reinforcement whose rollouts come from vLLM's call form: the engine that TRL would start is put in by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cof.errors import InvalidConfig
from cof.models.local import LocalModel
from cof.scoring.rewards import Weights
from cof.train.focus_trainer import FocusTrainer
from cof.train.grpo import ReinforceConfig, _arguments, train_reinforced
from cof.train.progress import read_metrics
from cof.train.prompts import NeedlePrompts
from tests.models.test_vllm import Engine

CONFIG = ReinforceConfig(
    "nano", rewards=Weights(accuracy=1.0, zooms=0.5), steps=2, groups=2, group=4, tokens=60, temperature=1.3, vllm=True
)


def test_what_vllm_sampled_is_learnt_from_as_its_own_probabilities_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    start, synced = LocalModel.load("nano", device="cpu"), list[bool]()
    prompts = NeedlePrompts(start.spec, 1, (672,), (64,), (0.5, 0.5, 0.0))
    arguments = _arguments(replace(CONFIG, vllm=False), tmp_path)  # vLLM is not installed, and TRL would start it
    trainer = FocusTrainer(CONFIG, start, start.network, arguments, prompts, lambda *_: None)
    trainer.vllm_generation = SimpleNamespace(
        llm=Engine(start.network, start.codec), sync_weights=lambda: synced.append(True)
    )
    trainer.train()
    first, second = read_metrics(tmp_path)
    assert len(synced) == 2
    for step in (first, second):
        assert step["failed"] == 0
        assert step["signal"] > 0
        assert 0 < step["grad_norm"] < 100
        assert step["sampler_difference"] < 0.02  # training is in bfloat16


def test_without_vllm_its_rollouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="vllm = true wants vLLM, which is not installed"):
        train_reinforced(CONFIG, tmp_path)
