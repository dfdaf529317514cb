"""The numbers in words: each of them is the one that it is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cof.scoring.numbers import number, values

SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
SMALL += " eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


@pytest.mark.parametrize(("value", "word"), [*enumerate(SMALL.split())])
def test_below_twenty(value: int, word: str) -> None:
    assert number((word,)) == value


@pytest.mark.parametrize(("tens", "word"), [*enumerate(TENS.split(), 2)])
def test_tens_and_what_follows_them(tens: int, word: str) -> None:
    assert number((word,)) == 10 * tens
    assert number((word, "three")) == 10 * tens + 3
    assert number(("minus", word, "nine")) == -(10 * tens + 9)
    assert values((word, "ten")) == {Decimal(10 * tens), Decimal(10)}  # two numbers
