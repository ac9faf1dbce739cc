"""Whether stated probabilities mean what they say: Brier score, reliability, expected error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Units of which like probabilities were stated."""

    stated: float
    """Their mean."""
    observed: float
    """Share of them that is positive."""
    count: int
    members: NDArray[np.int64]
    """Which units they are."""


def brier(probability: Floats, truth: Flags) -> float:
    """Mean squared distance of the stated probability from what was so (Brier 1950)."""
    return float(np.mean((probability - truth) ** 2))


def reliability(probability: Floats, truth: Flags, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal width that hold any unit, the lowest first; an edge belongs to the bin below it."""
    edges = np.linspace(0, 1, bins + 1)
    number = np.searchsorted(edges[1:-1], probability)
    found = []
    for index in range(bins):
        members = np.flatnonzero(number == index)
        if len(members):
            stated, observed = float(probability[members].mean()), float(truth[members].mean())
            found.append(Bin(stated, observed, len(members), members))
    return tuple(found)


def expected_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance of stated and observed, weighted by units (expected calibration error)."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.stated - part.observed) for part in bins) / total
