"""Quantiles of the normal distribution and of Student's t, which intervals over few infants need."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

CONFIDENCE = 0.95
UPPER = 0.5 + CONFIDENCE / 2
"""Rank of an interval's upper end."""
Z = NormalDist().inv_cdf(UPPER)
TERMS, SMALLEST = 400, 1e-300


def t_cdf(t: float, freedom: float) -> float:
    """P(T <= t) for `freedom` degrees of freedom, which need not be whole."""
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=4096)
def t_quantile(freedom: float, rank: float = UPPER) -> float:
    """The t with this share below it, over one half. Raises `ValueError` for no degrees of freedom."""
    if freedom <= 0:
        raise ValueError(f"degrees of freedom: got {freedom:g}, expected more than 0")
    low, high = 0.0, 2.0
    while t_cdf(high, freedom) < rank:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, freedom) < rank else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function by its continued fraction (Lentz; Numerical Recipes 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, TERMS):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / max(1 + factor * d, SMALLEST)
            c = 1 + factor / c
            value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return front * value
