import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.scoring.statistics import matthews, paired_bootstrap, wilson


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


def test_the_bootstrap_agrees_with_the_normal_interval_of_many():
    differences = [1.0] * 300 + [0.0] * 600 + [-1.0] * 100
    mean, low, high = paired_bootstrap(differences)
    half = 1.96 * math.sqrt((0.4 - 0.2**2) / 1000)
    assert mean == pytest.approx(0.2)
    assert (low, high) == (pytest.approx(0.2 - half, abs=0.005), pytest.approx(0.2 + half, abs=0.005))
    assert paired_bootstrap(differences) == (mean, low, high)
    assert paired_bootstrap([0.0]) == (0.0, 0.0, 0.0)


@settings(max_examples=200)
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
