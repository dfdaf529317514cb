"""What a selection goes by: what was said rightly is found easy, and the same trace always lies at the same place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cof.data.embed import embed
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.local.model import LocalModel
from cof.models.scripted import ScriptedModel
from cof.needle.samples import samples
from cof.trace import Trace
from cof.types import Completion


def test_what_the_model_said_itself_is_easier_than_what_it_did_not() -> None:
    model = LocalModel.load("nano", device="cpu")
    (sample,) = samples("train", 3, 1, 896)
    trace = run(model, sample.question, sample.load())
    place, loss = embed(model, trace)
    wrong = replace(trace.turns[-1], completion=Completion("<think>I can see it.</think><answer>a boat</answer>"))
    other, worse = embed(model, replace(trace, turns=(*trace.turns[:-1], wrong)))
    assert loss < worse / 3
    assert place.shape == (256,)
    assert np.allclose(place, other, atol=1e-5)


def spoken(name: str, *said: str) -> Trace:
    (sample,) = samples("train", 3, 1, 896)
    return run(ScriptedModel(said), sample.question, sample.load(), Setting(dialect=dialect_of(name)))


def test_a_trace_is_embedded_in_its_own_dialect() -> None:
    """Another family is asked in other words; a turn that could not be read is not part of what was asked."""
    model = LocalModel.load("nano", device="cpu")
    own, other = (embed(model, spoken(name, "<answer>a boat</answer>")) for name in ("cof", "plain"))
    assert not np.allclose(own[0], other[0], atol=1e-3)
    stumbled = spoken("cof", "<tool_call>{</tool_call>", "<answer>a boat</answer>")
    assert np.allclose(embed(model, stumbled)[0], own[0], atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"), [({"dialect": "klingon"}, "there is no dialect 'klingon'"), ({}, "holds '<s>'")]
)
def test_a_trace_that_cannot_be_trained_on_is_named(changes: dict[str, str], told: str) -> None:
    trace = spoken("cof", "<answer><s>a boat</answer>")
    with pytest.raises(InvalidConfig, match=f"trace {trace.id}:? .*{told}"):
        embed(LocalModel.load("nano", device="cpu"), replace(trace, **changes))  # type: ignore[arg-type]
