"""The model that speaks to vLLM in tokens, on an engine that is called as vLLM is and generates with transformers.

vLLM itself wants a GPU and was never run: what its engine takes and gives back is as its documentation has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cof.data.worlds import world_of
from cof.loop.setting import Setting
from cof.models.encoding import Codec
from cof.models.local.model import LocalModel
from cof.models.vllm import VllmModel
from cof.train.policy import pack, score
from cof.train.prompts import WorldPrompts
from cof.train.rollouts import play
from cof.types import Limits, Sampling, Stop

SETTING = Setting(limits=Limits(turns=3), sampling=Sampling(tokens=60))
TEMPERATURE = 1.3


@dataclass(frozen=True)
class Params:
    """The fields of `vllm.SamplingParams` that are used, by their names there."""

    temperature: float
    top_p: float
    seed: int
    max_tokens: int
    stop_token_ids: list[int]
    logit_bias: dict[int, float]
    logprobs: int
    detokenize: bool


@dataclass
class Engine:
    """`vllm.LLM.generate` as far as it is used: a placeholder is repeated as the image processor says. A prompt of more than
    `longest` tokens is refused with all others of the call; told log-probabilities are `apart` from the true ones."""

    network: Any
    codec: Codec
    shrink: bool = False
    longest: int = 4096
    apart: float = 0.0
    calls: int = 0

    def generate(
        self, prompts: Sequence[Mapping[str, Any]], sampling_params: Sequence[Any], use_tqdm: bool
    ) -> list[Any]:
        assert not use_tqdm
        assert all(params.top_p == 1 and params.logprobs == 0 and not params.detokenize for params in sampling_params)
        self.calls += 1
        return [self._one(prompt, params) for prompt, params in zip(prompts, sampling_params, strict=True)]

    def _one(self, prompt: Mapping[str, Any], params: Any) -> Any:
        pictures = prompt["multi_modal_data"]["image"]
        if self.shrink:
            pictures = [picture.resize((28, 28)) for picture in pictures]
        seen = {name: torch.from_numpy(array) for name, array in self.codec.patches(pictures).items()}
        counts = iter((seen["image_grid_thw"].prod(-1) // self.codec.processor.merge_size**2).tolist())
        pad = self.codec.image_token
        ids = [each for token in prompt["prompt_token_ids"] for each in [token] * (next(counts) if token == pad else 1)]
        if len(ids) > self.longest:
            raise ValueError(f"the prompt has {len(ids)} tokens, more than {self.longest}")
        assert set(params.logit_bias.values()) == {-100.0}
        torch.manual_seed(params.seed)
        warm = {"do_sample": True, "temperature": params.temperature, "top_k": 0} if params.temperature else {}
        found = self.network.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            mm_token_type_ids=(torch.tensor([ids]) == pad).long(),
            **seen,
            **({"do_sample": False} | warm),
            max_new_tokens=params.max_tokens,
            eos_token_id=params.stop_token_ids,
            suppress_tokens=list(params.logit_bias),
            return_dict_in_generate=True,
            output_scores=True,
        )
        said = found.sequences[0, len(ids) :].tolist()
        shares = [row[0].log_softmax(-1) for row in found.scores]
        logprobs = [
            {token: SimpleNamespace(logprob=float(row[token]) + self.apart)}
            for token, row in zip(said, shares, strict=True)
        ]
        return SimpleNamespace(prompt_token_ids=ids, outputs=[SimpleNamespace(token_ids=said, logprobs=logprobs)])


@pytest.fixture(scope="module")
def local() -> LocalModel:
    return LocalModel.load("nano", device="cpu", batch=4)


def spoken_to(engine: Engine, local: LocalModel) -> VllmModel:
    bundle = local.engine.bundle
    return VllmModel("nano", engine, Params, local.codec, bundle.ends, bundle.never)


@pytest.mark.long
def test_rollouts_have_the_tokens_masks_and_probabilities_of_our_own_engine(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672, 1344), (64, 256), (0.2, 0.4, 0.4))
    asked = [(prompts(index), 0) for index in range(4)]
    engine = Engine(local.network, local.codec)
    theirs, own = play(spoken_to(engine, local), asked, SETTING), play(local, asked, SETTING)
    assert 1 < max(len(each.trace.turns) for each in own) == engine.calls
    for one, other in zip(theirs, own, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.sampled, other.sampled)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4, rtol=0)
        assert one.prompt == other.prompt
        assert [turn.completion for turn in one.trace.turns] == [turn.completion for turn in other.trace.turns]


@pytest.mark.long
def test_warm_rollouts_are_as_likely_in_training_as_the_engine_found_them(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672, 1344), (64, 256), (0.2, 0.4, 0.4))
    setting = replace(SETTING, sampling=Sampling(TEMPERATURE, tokens=60))
    asked = [(prompts(index), seed) for index in range(2) for seed in range(3)]
    episodes = play(spoken_to(Engine(local.network, local.codec), local), asked, setting)
    assert len({each.ids.tobytes() for each in episodes}) > 4
    packed = pack(episodes, range(len(episodes)), local.codec, branches=3)
    shape = len(episodes), max(len(each.ids) - each.prompt for each in episodes)
    with torch.no_grad():
        said, _ = score(local.network, packed, shape, TEMPERATURE, local.engine.bundle.never)
    for row, each in zip(said, episodes, strict=True):
        own = each.logprobs[each.prompt :]
        np.testing.assert_allclose(row[: len(own)], own, atol=1e-4, rtol=0)


def test_a_prompt_that_is_too_long_spoils_no_other(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672,), (64, 256), (0.2, 0.4, 0.4))
    asked = [(prompts(index), 0) for index in range(6)]
    episodes = play(spoken_to(Engine(local.network, local.codec, longest=200), local), asked, SETTING)
    failed = [each.trace for each in episodes if each.trace.stop is Stop.FAILED]
    assert 0 < len(failed) < 6
    assert all("vLLM refused a turn: the prompt has" in str(trace.error) for trace in failed)


def test_a_turn_that_is_cut_off_has_no_end(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672,), (64,), (0.2, 0.4, 0.4))
    setting = replace(SETTING, sampling=Sampling(tokens=3))
    (cut,) = play(spoken_to(Engine(local.network, local.codec), local), [(prompts(0), 0)], setting)
    assert cut.trace.turns[0].completion.finish == "length"
    assert cut.trace.turns[0].completion.tokens == 3


def test_pictures_that_the_engine_makes_smaller_are_an_error(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672,), (64,), (0.2, 0.4, 0.4))
    engine = Engine(local.network, local.codec, shrink=True)
    (failed,) = play(spoken_to(engine, local), [(prompts(0), 0)], SETTING)
    assert failed.trace.stop is Stop.FAILED
    assert "vLLM read other tokens" in str(failed.trace.error)


def test_a_probability_that_is_not_known_is_an_error(local: LocalModel) -> None:
    prompts = WorldPrompts(world_of("needle"), local.card.spec, 3, (672,), (64,), (0.2, 0.4, 0.4))
    engine = Engine(local.network, local.codec, apart=float("nan"))
    (failed,) = play(spoken_to(engine, local), [(prompts(0), 0)], SETTING)
    assert "does not know how likely" in str(failed.trace.error)
