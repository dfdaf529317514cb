"""What a job may cost: sums, prices, caps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cof.batch.spending import Caps, Price, Spending, price_of
from cof.config import replace_fields
from cof.errors import InvalidConfig

SPENT = Spending(tokens=1_000, prompt_tokens=2_000_000, zooms=3, seconds=12.5)


def test_rows_add_up_and_one_without_a_trace_costs_nothing() -> None:
    spent = Spending()
    spent.add({"tokens": 5, "prompt_tokens": 7, "zooms": 1, "seconds": 0.5, "answer": "B"})
    spent.add({"answer": None, "error": "no picture"})
    assert spent == Spending(5, 7, 1, 0.5)


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (Caps(), ""),
        (Caps(tokens=1_001), ""),
        (Caps(tokens=1_000), "tokens (1,000 of 1,000)"),
        (Caps(zooms=2), "zooms (3 of 2)"),
        (Caps(seconds=12.5), "seconds (12.5 of 12.5)"),
        (Caps(money=0.41), ""),
        (Caps(money=0.4), "money (0.401 of 0.4)"),
    ],
)
def test_a_cap_is_reached(caps: Caps, said: str) -> None:
    assert caps.reached(SPENT, Price(0.2, 1.0)) == said


def test_money_is_not_counted_without_a_price() -> None:
    assert Caps(money=0.000001).reached(SPENT, None) == ""


def test_caps_are_read_as_limits_are() -> None:
    assert replace_fields(Caps(), ["tokens=5", "money=0.5"]) == Caps(tokens=5, money=0.5)
    for item in ("tokens=0", "money=-1", "seconds=nan", "turns=3"):
        with pytest.raises(InvalidConfig):
            replace_fields(Caps(), [item])


def test_a_price_is_that_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        'currency = "EUR"\n["a/b"]\ninput = 1\noutput = 2.5\n[other]\ninput = 0\noutput = 0\n'
    )
    assert price_of("a/b", tmp_path / "prices.toml") == Price(1.0, 2.5, "EUR")
    assert price_of("a/b", tmp_path / "prices.toml").of(Spending(1_000_000, 2_000_000)) == 4.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[other]\ninput = 1\noutput = 1\n", r"has no price of 'm' \(it has: other\)"),
        ("[m]\ninput = 1\n", "want input and output"),
        ('[m]\ninput = "1"\noutput = 1\n', "want input and output"),
        ("[m]\ninput = -1\noutput = 1\n", "want input and output"),
        ("[m]\ninput = 1\noutput = 1\ncached = 1\n", "want input and output"),
        ("m = [", "cannot be read as TOML"),
    ],
)
def test_what_is_no_price_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(InvalidConfig, match=said):
        price_of("m", tmp_path / "prices.toml")
