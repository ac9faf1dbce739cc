"""Figures on held-out frames with their 95 % bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import metrics


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval and the number of frames behind it."""

    value: float
    low: float
    high: float
    frames: int


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve; NaN with one class only."""
    area = metrics.roc_auc(scores, positive)
    return float("nan") if area is None else area


def auc_interval(scores: ArrayLike, positive: ArrayLike, seed: int = 0, draws: int = 2000) -> Interval:
    """ROC AUC with a 95 % percentile bootstrap, stratified by class (each draw keeps the class counts)."""
    value, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    rng = np.random.default_rng(seed)
    yes, no = np.flatnonzero(truth), np.flatnonzero(~truth)
    values = []
    for _ in range(draws if len(yes) and len(no) else 0):
        pick = np.concatenate((rng.choice(yes, len(yes)), rng.choice(no, len(no))))
        values.append(roc_auc(value[pick], truth[pick]))
    low, high = np.percentile(values, [2.5, 97.5]) if values else (float("nan"), float("nan"))
    return Interval(roc_auc(value, truth), float(low), float(high), len(value))


def sensitive_threshold(scores: ArrayLike, positive: ArrayLike, sensitivity: float) -> float:
    """The largest threshold, in hundredths, at which at least this share of the positives is at or over it."""
    value, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    found = np.sort(value[truth])[::-1]
    needed = int(np.ceil(sensitivity * len(found)))
    return float(np.clip(np.floor(found[needed - 1] * 100) / 100, 0.01, 0.99))


def mean_interval(values: ArrayLike, seed: int = 0, draws: int = 2000) -> Interval:
    """Mean over frames with a 95 % percentile bootstrap."""
    value: NDArray[np.float64] = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = value[rng.integers(0, len(value), (draws, len(value)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(value.mean()), float(low), float(high), len(value))
