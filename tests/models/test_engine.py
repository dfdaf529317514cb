"""The engine on the embedded model: nothing is read twice, and nobody's words depend on who sits beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from cof.focus.loop import Mode, Setting, run_many
from cof.models.base import Request, complete
from cof.models.engine import Usage
from cof.models.local import LocalModel
from cof.train.demonstrations import ZOOM_OPENING
from cof.types import Sampling, Trace
from cof.worlds.needle import samples

SAMPLES = list(samples("validation", 7, 6, 896))
SETTING = Setting(sampling=Sampling(tokens=100))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def answered(batch: int, setting: Setting = SETTING) -> tuple[list[Trace], Usage]:
    model = LocalModel.load("nano", device="cpu", batch=batch)
    return run_many(model, ((s.question, s.picture()) for s in SAMPLES), setting), model.usage


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


def test_alone_or_together_the_words_are_the_same(together: tuple[list[Trace], Usage]) -> None:
    alone, usage = answered(1)
    assert said(alone) == said(together[0])
    assert replace(usage, seconds=together[1].seconds) == together[1]


def test_the_words_are_those_of_a_model_that_reads_all_anew(together: tuple[list[Trace], Usage]) -> None:
    model, asked = LocalModel.load("nano", device="cpu"), list[Request]()

    class Listening:
        name = model.name

        def converse(self, conversations):  # type: ignore[no-untyped-def]
            for conversation in conversations:
                while (request := conversation.request()) is not None:
                    asked.append(replace(request, pixels=dict(request.pixels)))
                    conversation.hear(complete(model, [request])[0], 0.0)

    traces = run_many(Listening(), ((s.question, s.picture()) for s in SAMPLES), SETTING)
    assert said(traces) == said(together[0])
    assert len(asked) == sum(len(trace.turns) for trace in traces)


def test_what_is_drawn_by_chance_depends_on_the_seed_alone() -> None:
    hot = replace(SETTING, sampling=Sampling(1.0, 0.95, tokens=40, seed=3))
    one, three = answered(1, hot)[0], answered(3, hot)[0]
    assert said(one) == said(three)
    other = answered(3, replace(hot, sampling=replace(hot.sampling, seed=4)))[0]
    assert said(other) != said(one)


@pytest.mark.parametrize("mode", ["always", "oracle"])
def test_a_model_that_must_zoom_has_zoomed(mode: Mode) -> None:
    traces, _ = answered(4, replace(SETTING, mode=mode, zoom_opening=ZOOM_OPENING))
    forced = [any(turn.completion.text.startswith(ZOOM_OPENING) for turn in trace.turns) for trace in traces]
    assert all(trace.views or made for trace, made in zip(traces, forced, strict=True))
    assert all(trace.answer is not None for trace in traces)
