"""How far two groups of frames have drifted apart, feature by feature, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.facts import FEATURES

Values = NDArray[np.float64]

FEWEST_FRAMES = 20
"""With fewer on a side, only differences that anyone can see would be told from chance."""
SIGNIFICANCE = 0.01
"""Chance that any feature is called drifted where nothing has changed."""
SMALLEST_KS = 0.2
"""A smaller distance counts as alike however certain it is: with means 0.5 standard deviations apart it is 0.2."""
ROUNDS = 2000
"""Permutations; the smallest p-value that they can give, 1 in 2001, is still significant for five features."""


@dataclass(frozen=True)
class FeatureDrift:
    """One feature's difference between A and B."""

    name: str
    mean_a: float
    mean_b: float
    smd: float
    """Standardised mean difference, (mean B - mean A) / pooled standard deviation (Cohen's d)."""
    ks: float
    """Kolmogorov-Smirnov distance, 0 to 1: the largest gap between the two cumulative shares."""
    p_value: float
    """Of so large a distance by chance: permutation test, Holm's correction over the features."""
    ks_limit: float
    """The distance from which these numbers of frames can show a drift."""
    drifted: bool


def compare_features(
    a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]], seed: int = 1
) -> tuple[FeatureDrift, ...]:
    """Compare every feature. a, b: values by the names in `FEATURES`, at least two a side; seed: of the permutations.

    A feature has drifted when its distance is both significant (`SIGNIFICANCE` over all features together) and large
    enough to matter (`SMALLEST_KS`). Frames are taken for independent, so near-duplicates must be out.
    """
    sides = [(np.asarray(a[name], np.float64), np.asarray(b[name], np.float64)) for name in FEATURES]
    first, second = len(sides[0][0]), len(sides[0][1])
    rng = np.random.default_rng(seed)
    # The same rounds for every feature: whole frames change sides, not single values.
    sides_of_frames = np.array([rng.permutation(first + second) < first for _ in range(ROUNDS)])
    observed = [ks_distance(*side) for side in sides]
    by_chance = [_permuted(np.concatenate(side), sides_of_frames) for side in sides]
    plain = [(1 + int((c >= ks - 1e-12).sum())) / (1 + ROUNDS) for ks, c in zip(observed, by_chance, strict=True)]
    limits = [max(SMALLEST_KS, float(np.quantile(c, 1 - SIGNIFICANCE / len(FEATURES)))) for c in by_chance]
    return tuple(
        FeatureDrift(
            name=name,
            mean_a=float(side[0].mean()),
            mean_b=float(side[1].mean()),
            smd=mean_difference(*side),
            ks=ks,
            p_value=p_value,
            ks_limit=limit,
            drifted=p_value <= SIGNIFICANCE and ks >= SMALLEST_KS,
        )
        for name, side, ks, p_value, limit in zip(FEATURES, sides, observed, holm(plain), limits, strict=True)
    )


def ks_distance(a: Values, b: Values) -> float:
    """Two-sample Kolmogorov-Smirnov distance. a, b: [n], n at least 1."""
    every = np.concatenate([a, b])
    share_a = np.searchsorted(np.sort(a), every, side="right") / a.size
    share_b = np.searchsorted(np.sort(b), every, side="right") / b.size
    return float(np.abs(share_a - share_b).max())


def mean_difference(a: Values, b: Values) -> float:
    """Cohen's d: (mean b - mean a) over the pooled standard deviation; 0 when nothing varies and nothing differs."""
    pooled = (a.var(ddof=1) * (a.size - 1) + b.var(ddof=1) * (b.size - 1)) / (a.size + b.size - 2)
    gap = float(b.mean() - a.mean())
    if pooled <= 1e-18:
        return 0.0 if abs(gap) < 1e-9 else float(np.copysign(1e6, gap))
    return gap / float(np.sqrt(pooled))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): p-values that hold for all tests together."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for step, index in enumerate(np.argsort(p_values)):
        running = max(running, min(1.0, (len(p_values) - step) * p_values[index]))
        adjusted[index] = running
    return adjusted


def _permuted(values: Values, in_a: NDArray[np.bool_]) -> Values:
    """The KS distance under each assignment of frames to sides. values: [n]; in_a: bool [rounds, n]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last_of_equals = np.append(ordered[1:] > ordered[:-1], True)
    first, second = int(in_a[0].sum()), int((~in_a[0]).sum())
    distances = []
    for rows in np.array_split(in_a[:, order], max(1, in_a.size // 2_000_000)):
        steps = np.where(rows, 1 / first, -1 / second).cumsum(axis=1)[:, last_of_equals]
        distances.append(np.abs(steps).max(axis=1))
    return np.concatenate(distances)
