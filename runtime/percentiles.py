"""Percentiles of latencies: by which rule, and how many samples they need."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.99
"""Of the sample-count rule and of a percentile's upper bound, as in MLPerf LoadGen."""
METHOD = "nearest rank: the smallest sample that at least p % of the samples do not exceed (no interpolation)"


def percentile(values: ArrayLike, p: float) -> float:
    """The p-th percentile by nearest rank, `sorted[ceil(p / 100 * n) - 1]`: always a latency that did occur.

    This is also LoadGen's rule. values: [n], n at least 1; p in (0, 100].
    """
    ordered = np.sort(np.asarray(values, np.float64))
    return float(ordered[rank_of(ordered.size, p)])


def rank_of(n: int, p: float) -> int:
    """Where the p-th percentile stands among n ordered samples, from 0."""
    # The small term keeps 99.9 % of 1000, 999.0000000000001 in floating point, at rank 999.
    return min(n, max(1, math.ceil(p / 100 * n - 1e-9))) - 1


@lru_cache(maxsize=64)
def samples_needed(p: float) -> int:
    """The least number of samples from which the p-th percentile may be stated.

    The n from which it is 99 % certain that at least two samples lie beyond the true percentile:
    P(Binomial(n, 1 - p) <= 1) <= 0.01. This is the floor of LoadGen's early stopping (`loadgen/early_stopping.cc`,
    which discards at least one sample), and gives its published 64 for p90 and 662 for p99; also 11 for p50, 130 for
    p95 and 6636 for p99.9. LoadGen's older rule, for a fixed number of queries, asks for a margin of (1 - p) / 20
    around p at the same confidence, n = z^2 p (1 - p) / margin^2 = 262 742 for p99: hours of a cart's time, so it is
    not used here.
    """
    n = 2
    while _at_most(1, n, 1 - p / 100) > 1 - CONFIDENCE:
        n += 1
    return n


def stated(values: ArrayLike, p: float) -> float | None:
    """The p-th percentile where there are enough values to state it, else None."""
    ordered = np.asarray(values, np.float64)
    return percentile(ordered, p) if ordered.size >= samples_needed(p) else None


def told(n: int, p: float, value_ms: float | None, digits: int = 1) -> str:
    """`p95 12.3 ms`, or that n is too small for it and what it needs: the words wherever a percentile is printed."""
    return (
        f"p{p:g} n too small ({n} of {samples_needed(p)})" if value_ms is None else f"p{p:g} {value_ms:.{digits}f} ms"
    )


def upper_bound(values: ArrayLike, p: float) -> float | None:
    """What the true p-th percentile does not exceed with 99 % confidence; None when there are too few samples.

    The sample with t others above it, t the largest with P(Binomial(n, 1 - p) <= t) <= 0.01: LoadGen's early-stopping
    estimate. It takes samples for independent, so a drifting run makes it too sure.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    if ordered.size < samples_needed(p):
        return None
    above = 1
    while _at_most(above + 1, ordered.size, 1 - p / 100) <= 1 - CONFIDENCE:
        above += 1
    return float(ordered[ordered.size - 1 - above])


def _at_most(k: int, n: int, probability: float) -> float:
    """P(Binomial(n, probability) <= k)."""
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(probability)
        + (n - i) * math.log1p(-probability)
        for i in range(min(k, n) + 1)
    ]
    return math.fsum(math.exp(value) for value in logs)
