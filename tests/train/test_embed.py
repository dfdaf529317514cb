"""What a selection goes by: what was said rightly is found easy, and the same trace always lies at the same place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cof.focus.loop import run
from cof.models.local import LocalModel
from cof.train.embed import embed
from cof.types import Completion
from cof.worlds.needle import samples


def test_what_the_model_said_itself_is_easier_than_what_it_did_not() -> None:
    model = LocalModel.load("nano", device="cpu")
    (sample,) = samples("train", 3, 1, 896)
    trace = run(model, sample.question, sample.picture())
    place, loss = embed(model, trace)
    wrong = replace(trace.turns[-1], completion=Completion("<think>I can see it.</think><answer>a boat</answer>"))
    other, worse = embed(model, replace(trace, turns=(*trace.turns[:-1], wrong)))
    assert loss < worse / 3
    assert place.shape == (256,)
    assert np.allclose(place, other, atol=1e-5)
