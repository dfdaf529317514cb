"""How a token is drawn: by temperature, and from the fewest tokens that hold `top_p` of the probability."""

from __future__ import annotations

import pytest
import torch

from cof.models.local.batch import draw
from cof.types import Sampling

SHARES = (0.1, 0.5, 0.05, 0.3, 0.05)  # of tokens 0 to 4
DRAWS = 400


def drawn(**sampling: float) -> list[int]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor(SHARES).log()
    return [draw(logits, Sampling(**sampling), generator) for _ in range(DRAWS)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("top_p", "tokens"),
    [(0.3, {1}), (0.499, {1}), (0.6, {1, 3}), (0.799, {1, 3}), (0.85, {0, 1, 3}), (1.0, {0, 1, 2, 3, 4})],
)
def test_the_fewest_tokens_that_hold_top_p_are_drawn_from(top_p: float, tokens: set[int]) -> None:
    assert {*drawn(temperature=1.0, top_p=top_p)} == tokens


def test_what_is_left_keeps_its_proportions() -> None:
    found = drawn(temperature=1.0, top_p=0.7)
    assert found.count(1) / DRAWS == pytest.approx(0.5 / 0.8, abs=0.08)


def test_a_low_temperature_draws_the_likeliest() -> None:
    hot, cold = drawn(temperature=2.0), drawn(temperature=0.2)
    assert cold.count(1) > 0.9 * DRAWS > 0.6 * DRAWS > hot.count(1)
