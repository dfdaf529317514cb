"""The engine on the embedded model: nothing is read twice, and nobody's words depend on who sits beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cof.errors import InputError
from cof.loop.policies.known import policy_named
from cof.loop.run import run_many
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Request, Usage, complete
from cof.models.encoding import Codec
from cof.models.local.engine import _shares
from cof.models.local.kv_cache import KVCache
from cof.models.local.model import LocalModel
from cof.needle.demonstrations import ZOOM_OPENING
from cof.needle.samples import samples, truth_of
from cof.plain import to_json, trace_from_json
from cof.trace import Trace
from cof.types import Sampling, Stop
from cof.vision.views import Picture

SAMPLES = list(samples("validation", 7, 6, 896))
SETTING = Setting(sampling=Sampling(tokens=100))


def answered(batch: int, setting: Setting = SETTING) -> tuple[list[Trace], Usage]:
    model = LocalModel.load("nano", device="cpu", batch=batch)
    return run_many(model, ((s.question, s.load()) for s in SAMPLES), setting), model.usage


def said(traces: list[Trace]) -> list[list[str]]:
    return [[turn.completion.text for turn in trace.turns] for trace in traces]


@pytest.fixture(scope="module")
def together() -> tuple[list[Trace], Usage]:
    return answered(4)


def test_every_token_is_read_once_and_every_picture_encoded_once(together: tuple[list[Trace], Usage]) -> None:
    traces, usage = together
    assert any(len(trace.turns) > 1 for trace in traces)
    sampled = [turn.completion.tokens for trace in traces for turn in trace.turns]
    kept = sum(turn.completion.tokens - 1 for trace in traces for turn in trace.turns[:-1])
    assert usage.decoded == sum(sampled)
    assert usage.prefilled == sum(trace.turns[-1].completion.prompt_tokens for trace in traces) - kept
    assert usage.images == sum(1 + len({*trace.views}) for trace in traces)
    assert usage.seconds > 0


class Twice:
    """A conversation that wants one turn twice."""

    cancelled = gone = False

    def __init__(self, request: Request) -> None:
        self.wanted, self.heard = request, list[Any]()

    def request(self) -> Request | None:
        return self.wanted if len(self.heard) < 2 else None

    def receive(self, completion: Any, _seconds: float) -> None:
        self.heard.append(completion)


def test_a_prompt_that_is_cached_as_a_whole_is_answered_again() -> None:
    """Nothing of the second prompt is new, and its last token must be read again to sample the next one."""
    model = LocalModel.load("nano", device="cpu", batch=1)
    request = Session(model.name, SAMPLES[0].question, (Picture(SAMPLES[0].load()),), SETTING).request()
    assert request is not None
    conversation = Twice(request)
    model.converse([conversation])
    first, second = (completion.text for completion in conversation.heard)
    assert first == second


def test_alone_or_together_the_words_are_the_same(together: tuple[list[Trace], Usage]) -> None:
    alone, usage = answered(1)
    assert said(alone) == said(together[0])
    assert replace(usage, seconds=together[1].seconds) == together[1]


def test_the_words_are_those_of_a_model_that_reads_all_anew(together: tuple[list[Trace], Usage]) -> None:
    model, asked = LocalModel.load("nano", device="cpu"), list[Request]()

    class Listening:
        info = model.info

        def converse(self, conversations):  # type: ignore[no-untyped-def]
            for conversation in conversations:
                while (request := conversation.request()) is not None:
                    asked.append(replace(request, pixels=dict(request.pixels)))
                    conversation.receive(complete(model, [request])[0], 0.0)

    traces = run_many(Listening(), ((s.question, s.load()) for s in SAMPLES), SETTING)
    assert said(traces) == said(together[0])
    assert len(asked) == sum(len(trace.turns) for trace in traces)


def test_what_one_has_read_the_others_of_the_same_picture_copy(together: tuple[list[Trace], Usage]) -> None:
    """Three askings of each picture, two of them alike: the front that they share is read once."""
    model, direct = LocalModel.load("nano", device="cpu", batch=9), replace(SETTING, policy=policy_named("direct"))
    kept = list[Trace]()
    sessions = [
        Session("nano", sample.question, (picture,), setting, kept.append)
        for sample in SAMPLES[:3]
        for picture in [Picture(sample.load())]
        for setting in (SETTING, SETTING, direct)
    ]
    model.converse(sessions)
    focus = [session.trace for session in sessions if session.trace.policy == "own"]
    assert said(focus) == [words for words in said(together[0])[:3] for _ in range(2)]
    alone = answered(1, direct)[0][:3]
    assert said([session.trace for session in sessions if session.trace.policy == "direct"]) == said(alone)
    overviews = sum(trace.overview.pixels for trace in alone) // 28**2
    prompts = sum(session.trace.turns[-1].completion.prompt_tokens for session in sessions)
    assert model.usage.prefilled < prompts - 2 * overviews + 60
    assert model.usage.images == sum(1 + len({*trace.views}) for trace in focus[::2])


def test_a_transcript_holds_what_was_read_and_sampled_and_how_likely_it_was() -> None:
    hot = Setting(sampling=Sampling(1.0, tokens=60, seed=5), transcript=True)
    model, sample = LocalModel.load("nano", device="cpu", batch=2), SAMPLES[0]
    trace = run_many(model, [(sample.question, sample.load())], hot)[0]
    for turn in trace.turns:
        told = turn.completion.transcript
        assert told is not None
        assert len(told.prompt) == turn.completion.prompt_tokens
        assert len(told.sampled) == len(told.logprobs) == turn.completion.tokens
        assert all(logprob <= 0 for logprob in told.logprobs)
        assert model.codec.decode(told.sampled[:-1]) == turn.completion.text
    assert trace_from_json(json.loads(json.dumps(to_json(trace)))) == trace


def test_what_is_drawn_by_chance_depends_on_the_seed_alone() -> None:
    hot = replace(SETTING, sampling=Sampling(1.0, 0.95, tokens=40, seed=3))
    one, three = answered(1, hot)[0], answered(3, hot)[0]
    assert said(one) == said(three)
    other = answered(3, replace(hot, sampling=replace(hot.sampling, seed=4)))[0]
    assert said(other) != said(one)


@pytest.mark.parametrize("policy", ["always", "oracle"])
def test_a_model_that_must_zoom_has_zoomed(policy: str) -> None:
    traces, _ = answered(4, replace(SETTING, policy=policy_named(policy), zoom_opening=ZOOM_OPENING))
    forced = [any(turn.completion.text.startswith(ZOOM_OPENING) for turn in trace.turns) for trace in traces]
    assert all(trace.views or made for trace, made in zip(traces, forced, strict=True))
    assert all(trace.answer is not None for trace in traces)


class Breaking:
    """A network whose forward pass fails when a row holds a certain token, while reading or while speaking."""

    def __init__(self, network: Any, token: int, speaking: bool) -> None:
        self.network, self.token, self.speaking = network, token, speaking

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    @property
    def model(self) -> Any:
        return self

    @property
    def language_model(self) -> Any:
        return self.network.model.language_model

    def __call__(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        if (input_ids.shape[1] == 1) == self.speaking and bool((input_ids == self.token).any()):
            raise RuntimeError("out of memory")
        return self.network.model(input_ids=input_ids, **inputs)


@pytest.mark.parametrize("speaking", [False, True])
def test_what_breaks_the_network_fails_alone(together: tuple[list[Trace], Usage], speaking: bool) -> None:
    """The token of the second question's shape, which its question holds and its thought repeats."""
    model = LocalModel.load("nano", device="cpu", batch=4)
    shape = " " + truth_of(SAMPLES[1]).needle.items[0].kind
    token = int(model.codec.tokenizer.convert_tokens_to_ids(shape))
    model.engine.bundle = replace(model.engine.bundle, network=Breaking(model.network, token, speaking))
    traces = run_many(model, ((s.question, s.load()) for s in SAMPLES), SETTING)
    failed = [trace.stop is Stop.FAILED for trace in traces]
    assert failed[1]
    assert not all(failed)
    assert all("the network failed: out of memory" in str(trace.error) for trace in traces if trace.error)
    whole = [words for words, broke in zip(said(together[0]), failed, strict=True) if not broke]
    assert [words for words, broke in zip(said(traces), failed, strict=True) if not broke] == whole


def test_room_grows_with_the_conversations_and_not_before() -> None:
    slots = KVCache(1)
    layer = slots.layers[0]
    for rows, held, new, room in (
        ([0], [0], 10, (1, 256)),
        ([0, 1], [10, 0], 300, (2, 512)),
        ([1], [300], 1, (2, 512)),
    ):
        slots.place(torch.tensor(rows), torch.tensor(held), new)
        keys = torch.arange(len(rows) * 2 * new * 4, dtype=torch.float32).view(len(rows), 2, new, 4)
        seen, _ = layer.update(keys, keys)
        for row, start, brought in zip(seen, held, keys, strict=True):
            assert torch.equal(row[:, start : start + new], brought)
        assert tuple(layer.keys.shape[:2]) == room
    slots.move(1, 0, 301)
    assert torch.equal(layer.keys[0, :301], layer.keys[1, :301])
    assert layer.keys[1, 300].any()


def test_a_new_token_sees_its_slot_up_to_itself() -> None:
    slots = KVCache(1)
    slots.place(torch.tensor([0, 1]), torch.tensor([3, 0]), 2)
    assert slots.mask()[:, 0].int().tolist() == [
        [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]],
    ]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_side_by_side_the_words_are_the_same(together: tuple[list[Trace], Usage]) -> None:
    found, usage = answered(4)
    assert said(found) == said(together[0])
    assert replace(usage, seconds=together[1].seconds) == together[1]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_one_picture_that_several_ask_about_is_encoded_once() -> None:
    model = LocalModel.load("nano", device="cpu", batch=6)
    sample, picture = SAMPLES[0], Picture(SAMPLES[0].load())
    ended: list[Trace] = []
    direct = replace(SETTING, policy=policy_named("direct"))
    model.converse(Session("m", sample.question, (picture,), direct, ended.append) for _ in range(6))
    assert len({trace.answer for trace in ended}) == 1
    assert (len(ended), model.usage.images) == (6, 1)


@pytest.mark.usefixtures("two_threads")
def test_where_one_batch_breaks_off_the_others_do_too() -> None:
    def asked() -> Iterator[Session]:
        for sample in SAMPLES:
            yield Session("m", sample.question, (Picture(sample.load()),), SETTING, ended.append)
        raise InputError("the next question cannot be read")

    ended: list[Trace] = []
    with pytest.raises(InputError, match="the next question"):
        LocalModel.load("nano", device="cpu", batch=2).converse(asked())
    assert all(trace.stop is not Stop.FAILED for trace in ended)  # how many had ended by then depends on the machine


@pytest.mark.usefixtures("two_threads")
def test_a_picture_that_breaks_the_tower_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pictures = LocalModel.load("nano", device="cpu", batch=6), [Picture(s.load()) for s in SAMPLES]
    patches = Codec.patches

    def torn(codec: Codec, shown: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        if any(picture is bad for picture in shown):
            raise ValueError("the picture is torn")
        return patches(codec, shown)

    sessions = [Session("m", s.question, (p,), SETTING) for s, p in zip(SAMPLES, pictures, strict=True)]
    bad = pictures[2].show(sessions[2].trace.overview, sessions[2].trace.overview, SETTING.spec)
    monkeypatch.setattr(Codec, "patches", torn)
    model.converse(sessions)
    assert [session.trace.stop is Stop.FAILED for session in sessions] == [n == 2 for n in range(6)]
    assert "torn" in str(sessions[2].trace.error)


def test_sequences_and_threads_are_shared_out() -> None:
    assert [_shares(5, 4), _shares(6, 4), _shares(32, 2)] == [[2, 1, 1, 1], [2, 2, 1, 1], [16, 16]]


def test_a_question_that_is_no_text_fails_alone() -> None:
    half = replace(SAMPLES[0].question, text="What is \ud800?")
    asked = [(half, SAMPLES[0].load()), (SAMPLES[1].question, SAMPLES[1].load())]
    first, second = run_many(LocalModel.load("nano", device="cpu"), asked, SETTING)
    assert "lone surrogate" in str(first.error)
    assert second.answer is not None
