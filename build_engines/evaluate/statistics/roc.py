"""The ROC curve, its area, and both drawn again over infants for their bands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.metrics import roc_auc
from runtime.shares import Clusters, Flags, wilson
from runtime.student import UPPER, t_quantile

Floats = NDArray[np.float64]
GRID: Floats = np.linspace(0, 1, 101)
"""False positive rates at which a band is given."""
AT_ONCE = 2_000_000
"""Weights that are held in memory at a time."""
DRAWS = 1000


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve, from the highest threshold on; the first, infinite, lets nothing through."""

    thresholds: Floats
    sensitivity: Floats
    false_positive_rate: Floats


@dataclass(frozen=True)
class Area:
    """Area under the curve with its 95 % interval, and the band of the curve at the rates of `GRID`."""

    value: float
    low: float
    high: float
    band_low: Floats
    band_high: Floats


def roc_curve(scores: Floats, truth: Flags) -> RocCurve:
    """The curve at every score that occurs; without the points between two others on one straight line."""
    order = np.argsort(-scores, kind="stable")
    value, positive = scores[order], truth[order]
    last = np.append(np.flatnonzero(value[1:] != value[:-1]), len(value) - 1)
    hits = np.cumsum(positive)[last]
    alarms = last + 1 - hits
    kept = np.ones(len(last), np.bool_)
    kept[1:-1] = (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0)
    start = np.zeros(1)
    return RocCurve(
        np.concatenate((start + np.inf, value[last][kept])),
        np.concatenate((start, hits[kept] / max(int(hits[-1]), 1))),
        np.concatenate((start, alarms[kept] / max(int(alarms[-1]), 1))),
    )


def drawn_areas(scores: Floats, truth: Flags, clusters: Clusters, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Areas and curves of `draws` samples of the infants: [D], and sensitivity at `GRID` [D, 101].

    Draws in which one class is missing are left out.
    """
    order = np.argsort(scores, kind="stable")
    positive, number = truth[order], clusters[order]
    starts = np.flatnonzero(np.append(True, scores[order][1:] != scores[order][:-1]))
    areas, curves = [], []
    for weights in _weights(number, draws, seed):
        yes = np.add.reduceat(weights * positive, starts, axis=1)
        no = np.add.reduceat(weights * ~positive, starts, axis=1)
        yes_all, no_all = yes.sum(axis=1), no.sum(axis=1)
        both = (yes_all > 0) & (no_all > 0)
        yes, no, yes_all, no_all = yes[both], no[both], yes_all[both], no_all[both]
        below = np.cumsum(no, axis=1) - no
        areas.append((yes * (below + no / 2)).sum(axis=1) / (yes_all * no_all))
        hits = np.cumsum(yes[:, ::-1], axis=1) / yes_all[:, None]
        alarms = np.cumsum(no[:, ::-1], axis=1) / no_all[:, None]
        curves += [_at_grid(alarms[i], hits[i]) for i in range(len(hits))]
    return np.concatenate(areas), np.array(curves).reshape(-1, len(GRID))


def area_interval(scores: Floats, truth: Flags, clusters: Clusters, draws: int = DRAWS, seed: int = 20) -> Area:
    """The area with its interval and band, infants drawn anew `draws` times.

    The interval is taken on the logit scale with the draws' spread and Student's t by the infants of the smaller
    class, which covers better than percentiles do. It is at most as wide as Wilson's for the infants of that class,
    since no area is less certain than such a share (Birnbaum and Klose 1957); that it is where no draw differs. Raises
    `ValueError` of one class only.
    """
    value = roc_auc(scores, truth)
    if value is None:
        raise ValueError("area: got one class only, expected both")
    fewest = min(len(np.unique(clusters[truth])), len(np.unique(clusters[~truth])))
    drawn, curves = drawn_areas(scores, truth, clusters, draws, seed)
    tails = (1 - UPPER, UPPER)
    band_low, band_high = np.quantile(curves, tails, axis=0) if len(curves) else (GRID * 0, GRID * 0 + 1)
    bound = wilson(value, fewest)
    spread = float(np.std(drawn, ddof=1)) if len(drawn) > 1 else 0.0
    if spread == 0 or not 0 < value < 1 or fewest < 2:
        return Area(value, *bound, band_low, band_high)
    middle = math.log(value / (1 - value))
    half = t_quantile(fewest - 1.0) * spread / (value * (1 - value))
    low, high = max(_from_logit(middle - half), bound[0]), min(_from_logit(middle + half), bound[1])
    return Area(value, low, high, band_low, band_high)


def _from_logit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _weights(number: Clusters, draws: int, seed: int) -> Iterator[Floats]:
    """How often each unit is drawn, [some draws, N], when its infants are drawn with replacement."""
    _, compact = np.unique(number, return_inverse=True)
    infants = int(compact.max()) + 1
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // len(number))
    for first in range(0, draws, step):
        some = min(step, draws - first)
        picked = rng.integers(0, infants, (some, infants)) + infants * np.arange(some)[:, None]
        times = np.bincount(picked.reshape(-1), minlength=some * infants).reshape(some, infants)
        yield times[:, compact].astype(np.float64)


def _at_grid(alarms: Floats, hits: Floats) -> Floats:
    """Sensitivity at each rate of `GRID`: the most that is reached at it, straight lines between points."""
    found: Floats = np.interp(GRID, np.append(0.0, alarms), np.append(0.0, hits))
    return found
