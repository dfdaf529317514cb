"""A step of reinforcement with rollouts from what is called as vLLM is: TRL would start that, here it is put in by hand."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cof.data.worlds import world_of
from cof.errors import InvalidConfig, MissingExtra
from cof.models.local.model import LocalModel
from cof.train.focus_trainer import FocusTrainer, rollout_setting
from cof.train.grpo import _arguments, train_reinforced
from cof.train.progress import read_metrics
from cof.train.prompts import WorldPrompts
from cof.train.reinforce import ReinforceConfig
from tests.models.test_vllm import Engine, Params

CONFIG = ReinforceConfig(
    "nano-sft",
    rewards={"accuracy": 1.0, "zooms": 0.5},
    steps=2,
    groups=2,
    group=4,
    tokens=60,
    temperature=1.3,
    vllm=0.4,
)
APART = -0.5  # what the engine says less of a log-probability than it is


@pytest.mark.long
def test_what_vllm_sampled_is_learnt_from_by_the_probabilities_it_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=Params))
    start, synced = LocalModel.load("nano-sft", device="cpu"), list[bool]()
    copy = deepcopy(start.network)
    for parameter in copy.parameters():
        parameter.data.zero_()  # a copy that nobody has given the weights knows nothing

    def sync() -> None:
        copy.load_state_dict(trainer.model.state_dict())
        synced.append(True)

    prompts = WorldPrompts(world_of("needle"), start.card.spec, 1, (672,), (64,), (0.5, 0.5, 0.0))
    arguments = _arguments(replace(CONFIG, vllm=0.0), tmp_path, start)  # TRL would start vLLM, which is not installed
    trainer = FocusTrainer(CONFIG, start, start.network, arguments, prompts, lambda *_: None)
    engine = Engine(copy, start.codec, apart=APART)
    trainer.vllm_generation = SimpleNamespace(llm=engine, sync_weights=sync)
    trainer.train()
    steps = read_metrics(tmp_path)
    assert len(synced) == len(steps) == 2
    for step in steps:
        assert step["failed"] == 0
        assert step["formed"] > 0.5
        assert step["sampler_difference"] == pytest.approx(-APART, abs=0.02)  # training is in bfloat16
        assert step["clip_ratio/high_mean"] > 0.1  # e**0.5 is beyond the clip: learnt from only where it was wrong


def test_trl_is_asked_for_a_copy_in_this_process(tmp_path: Path) -> None:
    start = LocalModel.load("nano-sft", device="cpu")
    asked = _arguments(CONFIG, tmp_path, start)
    assert (asked.use_vllm, asked.vllm_mode, asked.vllm_gpu_memory_utilization) == (True, "colocate", 0.4)
    assert 256 + 4 * 81 < asked.vllm_max_model_length <= start.network.config.text_config.max_position_embeddings
    assert asked.delta == 4.0
    assert not asked.vllm_importance_sampling_correction


def test_rollouts_are_in_the_dialect_of_the_recipe(tmp_path: Path) -> None:
    assert rollout_setting(CONFIG).dialect.name == "cof"
    assert rollout_setting(replace(CONFIG, dialect="qwen3-vl")).dialect.name == "qwen3-vl"
    (tmp_path / "mine.toml").write_text('name = "mine"\nlike = "qwen3-vl"\n')
    assert rollout_setting(replace(CONFIG, dialect=str(tmp_path / "mine.toml"))).dialect.name == str(
        tmp_path / "mine.toml"
    )
    with pytest.raises(InvalidConfig, match="there is no dialect '/.*/none.toml'; want one of "):
        replace(CONFIG, dialect=str(tmp_path / "none.toml"))


def test_without_vllm_its_rollouts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra, match=r"needs vllm; want the extra vllm installed: .*\[vllm\]'"):
        train_reinforced(CONFIG, tmp_path)


def test_what_vllm_would_not_do_is_refused() -> None:
    for wrong in ({"vllm": 1.0}, {"freeze_vision": False}, {"temperature": 2.5}):
        with pytest.raises(InvalidConfig, match="vllm|vLLM"):
            replace(CONFIG, **wrong)
