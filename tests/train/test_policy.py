"""Training sees what the engine sampled: the same tokens, masks and pictures, and the same probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cof.data.worlds import world_of
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.loop.run import run_many
from cof.loop.setting import Setting
from cof.models.encoding import views_in
from cof.models.local.model import LocalModel
from cof.scoring.rewards import formed
from cof.train.policy import Packed, learnt_tokens, loss_inputs, pack, score
from cof.train.prompts import WorldPrompts
from cof.train.rollouts import Episode, episode, play
from cof.types import Limits, Sampling, Stop
from cof.vision.views import Picture
from tests.properties import ALL

QUESTIONS, ROLLOUTS, TEMPERATURE = 10 if ALL else 3, 5, 1.3
SETTING = Setting(limits=Limits(turns=3), sampling=Sampling(TEMPERATURE, tokens=60))


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel.load("nano", device="cpu", batch=8)


@pytest.fixture(scope="module")
def episodes(model: LocalModel) -> list[Episode]:
    """50 rollouts, hot enough for bad boxes and broken turns among them."""
    prompts = WorldPrompts(world_of("needle"), model.card.spec, 3, (672, 1344), (64, 256), (0.2, 0.4, 0.4))
    asked = [prompts(index) for index in range(QUESTIONS)]
    return play(model, [(prompt, seed) for prompt in asked for seed in range(ROLLOUTS)], SETTING)


def probabilities(model: LocalModel, packed: Packed, episodes: list[Episode]) -> torch.Tensor:
    shape = len(episodes), max(len(each.ids) - each.prompt for each in episodes)
    with torch.no_grad():
        said, entropy = score(model.network, packed, shape, TEMPERATURE, model.engine.bundle.never)
    assert (entropy >= 0).all()
    assert ((said != 0) == (entropy != 0)).float().mean() > 0.99
    return said


@pytest.mark.long
def test_the_rollouts_are_of_many_kinds(episodes: list[Episode]) -> None:
    assert len(episodes) == QUESTIONS * ROLLOUTS
    assert {len(each.trace.turns) for each in episodes} >= {1, 2, 3}
    assert len({each.trace.stop for each in episodes}) > 1
    assert len({each.ids.tobytes() for each in episodes}) > 40


def test_the_tokens_are_those_of_the_conversation(model: LocalModel, episodes: list[Episode]) -> None:
    for each in episodes:
        turns = each.trace.turns
        assert each.sampled.sum() == sum(turn.completion.tokens for turn in turns)
        assert not each.sampled[: each.prompt].any()
        told = COF.messages(each.trace.question, (each.trace.overview,), turns[:-1])
        assert each.views == views_in(told)
        pictures = sum(view.pixels for view in each.views) // model.codec.factor**2
        assert (each.ids == model.codec.image_token).sum() == pictures
        assert not each.sampled[each.ids == model.codec.image_token].any()
        ends = np.flatnonzero(each.sampled[:-1] & ~each.sampled[1:])
        assert len(ends) + 1 == len(turns)


@pytest.mark.parametrize("branches", [pytest.param(1, marks=pytest.mark.long), ROLLOUTS])
def test_the_probabilities_are_those_of_the_engine(model: LocalModel, episodes: list[Episode], branches: int) -> None:
    chosen = [n for n in range(len(episodes)) if n != 7]
    packed = pack(episodes, chosen, model.codec, branches)
    said = probabilities(model, packed, episodes)
    rows = len(packed.inputs["input_ids"])
    assert rows == (len(chosen) if branches == 1 else QUESTIONS)
    for n in chosen:
        each = episodes[n]
        own = each.ids[each.prompt :]
        np.testing.assert_allclose(said[n, : len(own)], each.logprobs[each.prompt :], atol=1e-4, rtol=0)
    assert (said[7] == 0).all()
    assert len(packed.token) == sum(episodes[n].sampled.sum() for n in chosen)


def test_a_turn_that_is_read_back_otherwise_counts_as_given(model: LocalModel) -> None:
    """As where a server's template writes the end of a turn otherwise than the model did."""
    prompts = WorldPrompts(world_of("needle"), model.card.spec, 3, (672,), (256,), (0.0, 1.0, 0.0))
    prompt = prompts(1)
    trace = run_many(model, [(prompt.question, prompt.picture.image)], replace(SETTING, transcript=True))[0]
    first = trace.turns[0].completion
    assert first.transcript is not None
    told = replace(first.transcript, sampled=(*first.transcript.sampled[:-1], 0))
    turns = (replace(trace.turns[0], completion=replace(first, transcript=told)), *trace.turns[1:])
    whole, other = (episode(each, [Picture(prompt.picture.image)]) for each in (trace, replace(trace, turns=turns)))
    assert len(trace.turns) > 1
    assert other.sampled.sum() == whole.sampled.sum() - 1


def test_a_rollout_that_failed_has_no_tokens(episodes: list[Episode]) -> None:
    failed = replace(episodes[0].trace, turns=(), stop=Stop.FAILED, error="out of memory")
    empty = episode(failed, episodes[0].pictures)
    assert (len(empty.ids), empty.prompt) == (0, 0)


def test_a_rollout_without_an_advantage_is_not_learnt_from(model: LocalModel, episodes: list[Episode]) -> None:
    """Of four rollouts two have none: their tokens are in no mask, and the network does not read them."""
    four = episodes[:4]
    masks = learnt_tokens(four, (0.5, None, 0.0, None))
    assert [int(mask.sum()) for mask in masks] == [int(four[0].sampled.sum()), 0, int(four[2].sampled.sum()), 0]
    inputs = loss_inputs(four, masks, model.codec, 4, torch.device("cpu"))
    assert inputs["completion_mask"].sum(1).tolist() == [float(mask.sum()) for mask in masks]
    assert set(inputs["packed"].episode.tolist()) == {0, 2}


def test_a_group_without_anything_to_learn_reads_one_rollout(model: LocalModel, episodes: list[Episode]) -> None:
    """A pass needs a gradient, if only of 0: of the first rollout that said something, or of one token of padding."""
    failed = replace(episodes[0].trace, turns=(), stop=Stop.FAILED, error="out of memory")
    silent = episode(failed, episodes[0].pictures)
    for group, read in (([silent, *episodes[1:3]], 1), ([episodes[0], silent, silent], 0), ([silent] * 3, 0)):
        masks = learnt_tokens(group, (None,) * 3)
        inputs = loss_inputs(group, masks, model.codec, 4, torch.device("cpu"))
        assert inputs["completion_mask"].sum() == 0
        assert len(inputs["completion_mask"]) == len(inputs["prompt_ids"]) == 3
        assert set(inputs["packed"].episode.tolist()) == {read}


@pytest.mark.parametrize("name", ["plain", "qwen3-vl", "mgpo"])
def test_rollouts_are_played_in_the_recipes_dialect(model: LocalModel, name: str) -> None:
    prompts = WorldPrompts(world_of("needle"), model.card.spec, 3, (672,), (256,), (0.0, 1.0, 0.0))
    (rollout,) = play(model, [(prompts(0), 0)], replace(SETTING, dialect=dialect_of(name), limits=Limits(turns=1)))
    assert rollout.trace.dialect == name
    assert dialect_of(name).system in model.codec.decode(rollout.ids.tolist())
    assert formed(rollout.trace) in (0.0, 1.0)
