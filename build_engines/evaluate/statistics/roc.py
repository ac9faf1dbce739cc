"""The ROC curve, and its band by infants drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.shares import Clusters, Flags
from runtime.student import UPPER

Floats = NDArray[np.float64]
GRID: Floats = np.linspace(0, 1, 101)
"""False positive rates at which a band is given."""
AT_ONCE = 2_000_000
"""Weights that are held in memory at a time."""


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve, from the highest threshold on; the first, infinite, lets nothing through."""

    thresholds: Floats
    sensitivity: Floats
    false_positive_rate: Floats


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


def roc_band(scores: Floats, truth: Flags, clusters: Clusters, draws: int, seed: int = 20) -> tuple[Floats, Floats]:
    """Between which sensitivities the curve lies at the rates of `GRID` in 95 % of the draws of infants.

    All of 0 to 1 where no draw has both classes.
    """
    curves = drawn_curves(scores, truth, clusters, draws, seed)
    low, high = np.quantile(curves, (1 - UPPER, UPPER), axis=0) if len(curves) else (GRID * 0, GRID * 0 + 1)
    return low, high


def drawn_curves(scores: Floats, truth: Flags, clusters: Clusters, draws: int, seed: int) -> Floats:
    """Sensitivity at `GRID` of `draws` samples of the infants, [D, 101]; without those that miss a class."""
    order = np.argsort(scores, kind="stable")
    positive, number = truth[order], clusters[order]
    starts = np.flatnonzero(np.append(True, scores[order][1:] != scores[order][:-1]))
    curves = []
    for weights in _weights(number, draws, seed):
        yes = np.add.reduceat(weights * positive, starts, axis=1)
        no = np.add.reduceat(weights * ~positive, starts, axis=1)
        yes_all, no_all = yes.sum(axis=1), no.sum(axis=1)
        both = (yes_all > 0) & (no_all > 0)
        hits = np.cumsum(yes[both][:, ::-1], axis=1) / yes_all[both, None]
        alarms = np.cumsum(no[both][:, ::-1], axis=1) / no_all[both, None]
        curves += [_at_grid(alarms[i], hits[i]) for i in range(len(hits))]
    return np.array(curves).reshape(-1, len(GRID))


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
