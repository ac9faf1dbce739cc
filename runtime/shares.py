"""Shares with 95 % intervals: Wilson's, and where one infant gives several units, Wilson's at their effective number.

The effective number follows from the spread between infants (the variance that drawing infants again and again, the
cluster bootstrap, tends to), with Student's t for few infants, and is at least that of the infants. Where a few infants
give most of the units that spread is theirs alone, and comes out too small as often as they happen to be alike; there
it is at least what the correlation within all infants makes of their sizes. The percentile bootstrap itself covers too
little near 0 and 1, and not at all where every unit is right; docs/measurements.md has the coverages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.student import Z, t_quantile

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Clusters = NDArray[np.int64]
"""Number of the infant, or of whatever else units hang together by, of each unit."""
Range = tuple[float, float, float]
"""Value, low, high."""
WILSON = "Wilson"
CLUSTERED = "Wilson at the effective number, by infant"
ALL_ALIKE = "Wilson over infants"
"""Methods, as they are shown."""
UNLIKE = 0.6
"""Clusters are of unlike sizes where their `effective` number is under this share of theirs (0.81 of 1 to 6 units)."""


@dataclass(frozen=True)
class Share:
    """`count` of `of`, with its interval; no value where there is nothing to count."""

    count: int
    of: int
    infants: int
    """How many independent clusters the units come from."""
    value: float | None
    low: float | None
    high: float | None
    method: str

    @property
    def range(self) -> Range | None:
        """Value, low and high together; None where there is nothing to count."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return self.value, self.low, self.high


def wilson(value: float, size: float, z: float = Z) -> tuple[float, float]:
    """Wilson's score interval of a share over `size` independent units, which need not be whole."""
    shrunk = 1 + z * z / size
    middle = (value + z * z / (2 * size)) / shrunk
    half = z / shrunk * math.sqrt(value * (1 - value) / size + z * z / (4 * size * size))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(right: Flags, clusters: Clusters) -> Share:
    """The share of units that are right. right, clusters: [N] each."""
    count, of = int(right.sum()), len(right)
    if of == 0:
        return Share(0, 0, 0, None, None, None, WILSON)
    sizes = np.unique(clusters, return_counts=True)[1]
    infants, value = len(sizes), count / of
    if infants == of:
        return Share(count, of, infants, value, *wilson(value, of), WILSON)
    if count in (0, of) or infants == 1:
        return Share(count, of, infants, value, *wilson(value, infants), ALL_ALIKE)
    size, z = float(of), Z
    if variance := max(cluster_variance(right, clusters), least_variance(right.astype(np.float64), clusters)):
        size = min(max(value * (1 - value) / variance, 1.0), float(of))
        z = t_quantile(freedom(right, clusters))
    low, high = wilson(value, size, z)
    # However alike an infant's units are, they tell no less than its infants do, one unit of each. With a wrong unit or
    # two the spread is so badly known that t alone would say less.
    least, most = wilson(value, effective(clusters))
    return Share(count, of, infants, value, max(low, least), min(high, most), CLUSTERED)


def effective(clusters: Clusters) -> float:
    """How many clusters of one size would be as unlike as these are (Kish): less than their number."""
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def freedom(right: Flags, clusters: Clusters) -> float:
    """Degrees of freedom: effective infants, or twice those with the rarer answer where these are fewer, less one.

    A spread that a handful of infants carries is itself not well known.
    """
    rarer = min(len(np.unique(clusters[right])), len(np.unique(clusters[~right])))
    return max(min(effective(clusters), 2.0 * rarer) - 1, 1.0)


def cluster_variance(right: Flags, clusters: Clusters) -> float:
    """Variance of a share whose units hang together within clusters: the ratio estimator's, C / (C - 1) corrected."""
    _, number = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(number).astype(np.float64)
    residual = np.bincount(number, right.astype(np.float64)) - right.mean() * sizes
    few = len(sizes) / (len(sizes) - 1)
    return few * float((residual**2).sum()) / len(right) ** 2


def least_variance(values: Floats, clusters: Clusters) -> float:
    """`alike_variance` where the clusters are of `UNLIKE` sizes; 0 elsewhere, where their own spread tells it."""
    unlike = effective(clusters) < UNLIKE * len(np.unique(clusters))
    return alike_variance(values, clusters) if unlike else 0.0


def alike_variance(values: Floats, clusters: Clusters) -> float:
    """Variance of a mean whose units hang together alike in every cluster, whatever its size; 0 of one unit a cluster.

    The correlation within clusters is that of the analysis of variance, from 0 to 1 (Donner, Int Stat Rev 1986).
    """
    _, number, counts = np.unique(clusters, return_inverse=True, return_counts=True)
    sizes, units, count = counts.astype(np.float64), len(values), len(counts)
    if not 1 < count < units:
        return 0.0
    means = np.bincount(number, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (count - 1)
    within = float(((values - means[number]) ** 2).sum()) / (units - count)
    usual = (units - float((sizes**2).sum()) / units) / (count - 1)
    both = between + (usual - 1) * within
    alike = min(1.0, max(0.0, (between - within) / both)) if both > 0 else 0.0
    return float(values.var()) / units * (1 + (float((sizes**2).sum()) / units - 1) * alike)
