"""Answers that are nearly right: what the layers say by hand, and that listing everything earns nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.scoring import overlap

CASES = [
    (overlap.f1, "one red brick house.", "Red brick house", 6 / 7),
    (overlap.f1, "Red House", "red house", 1.0),
    (overlap.f1, "house", "red brick house", 0.5),
    (overlap.f1, "red green blue white black", "red", 0.0),  # every option: one word of five
    (overlap.f1, "", "red", 0.0),
    (overlap.anls, "EXIT 24", "exit 24", 1.0),
    (overlap.anls, "EXIT 21", "EXIT 24", 6 / 7),
    (overlap.anls, "exit", "closed", 0.0),
    (overlap.anls, "ex", "exit", 0.5),  # as far apart as counts: half of the longer one
    (overlap.anls, "", "exit", 0.0),
    (overlap.near_number, "about 104", "100", 1.0),
    (overlap.near_number, "1,040", "1000", 1.0),
    (overlap.near_number, "106", "100", 0.0),
    (overlap.near_number, "100 or 200", "100", 0.0),
    (overlap.near_number, "none", "100", 0.0),
    (overlap.near_number, "-3", "3", 0.0),
    (overlap.near_number, "4", "four", 1.0),
    (overlap.near_number, "4", "a few", None),
]


@pytest.mark.parametrize(("part", "answer", "truth", "value"), CASES)
def test_by_hand(part, answer, truth, value):
    assert part(answer, truth) == (value if value is None else pytest.approx(value))


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_value_is_in_range_and_the_truth_is_worth_one(answer: str, truth: str) -> None:
    for part in (overlap.f1, overlap.anls):
        assert 0 <= part(answer, truth) <= 1
        assert not re.search(r"\w\w\w\w", truth) or part(truth, truth) == 1
