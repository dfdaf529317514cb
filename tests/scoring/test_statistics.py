import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.scoring.statistics import graded, matthews, paired_bootstrap, wilson
from tests.properties import cases


def test_wilson_against_published_figures():
    low, high = wilson(172, 191)  # V* at 90.1%: reference interval about 4.5 points each way
    assert low == pytest.approx(0.8498, abs=1e-3)
    assert high == pytest.approx(0.9354, abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share(right, n):
    right = min(right, n)
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-9
    assert right / n - 1e-9 <= high <= 1


@given(st.lists(st.floats(0, 1), max_size=60))
def test_the_interval_of_graded_values_holds_their_mean(values):
    low, high = graded(values)
    assert 0 <= low <= high <= 1
    if values:
        assert low - 1e-9 <= sum(values) / len(values) <= high + 1e-9


@given(st.lists(st.booleans(), max_size=60))
def test_of_zeros_and_ones_it_is_wilsons(rights):
    assert graded([float(right) for right in rights]) == pytest.approx(wilson(sum(rights), len(rights)))


def test_graded_values_count_as_many_as_would_vary_as_little():
    """By hand: variance 0.2 / 19, to which 2 * 0.25 / 20 is added; 20 * 0.25 / 0.035526 is 140.74 values."""
    assert graded([0.4] * 10 + [0.6] * 10) == pytest.approx(wilson(0.5 * 140.7407, 140.7407), abs=1e-6)


def test_few_values_that_agree_give_no_narrow_interval_and_many_do():
    low, high = graded([0.7] * 2)
    assert high - low > 0.5
    assert graded([0.7]) == pytest.approx(wilson(0.7, 1))
    widths = [high - low for low, high in (graded([0.7, 0.72, 0.68] * n) for n in (1, 10, 100))]
    assert widths[0] > 0.3 > widths[1] > 0.05 > widths[2]
    many = [0.0, 1.0, 0.8, 0.6] * 100
    half = 1.96 * float(np.std(many)) / math.sqrt(len(many))
    assert graded(many) == (pytest.approx(0.6 - half, abs=0.005), pytest.approx(0.6 + half, abs=0.005))


@pytest.mark.parametrize(("zeros", "ones"), [(0.3, 0.0), (0.2, 0.6), (0.5, 0.1)])
@pytest.mark.parametrize("n", [10, 50])
def test_the_interval_of_graded_values_covers_what_it_says(zeros, ones, n):
    """Values of which some are 0, some 1, and the others about 0.75: 95% intervals that hold the mean."""
    rng, mean = np.random.default_rng(0), ones + 0.75 * (1 - zeros - ones)
    held = 0
    for _ in range(400):
        kinds = rng.random(n)
        values = np.where(kinds < zeros, 0.0, np.where(kinds > 1 - ones, 1.0, rng.uniform(0.5, 1.0, n)))
        low, high = graded(values.tolist())
        held += low <= mean <= high
    assert held / 400 >= 0.92


def test_the_bootstrap_agrees_with_the_normal_interval_of_many():
    differences = [1.0] * 300 + [0.0] * 600 + [-1.0] * 100
    mean, low, high = paired_bootstrap(differences)
    half = 1.96 * math.sqrt((0.4 - 0.2**2) / 1000)
    assert mean == pytest.approx(0.2)
    assert (low, high) == (pytest.approx(0.2 - half, abs=0.005), pytest.approx(0.2 + half, abs=0.005))
    assert paired_bootstrap(differences) == (mean, low, high)
    assert paired_bootstrap([0.0]) == (0.0, 0.0, 0.0)


@settings(max_examples=cases(200))
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_matthews_is_the_correlation_of_two_yes_nos(pairs):
    found = matthews(pairs)
    one, two = ([float(pair[i]) for pair in pairs] for i in (0, 1))
    if len({*one}) < 2 or len({*two}) < 2:
        assert found is None
        return
    m1, m2 = sum(one) / len(one), sum(two) / len(two)
    across = sum((a - m1) * (b - m2) for a, b in zip(one, two, strict=True))
    scale = math.sqrt(sum((a - m1) ** 2 for a in one) * sum((b - m2) ** 2 for b in two))
    assert found == pytest.approx(across / scale)
