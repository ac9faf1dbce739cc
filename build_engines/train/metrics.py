"""Figures on held-out frames with their 95 % intervals: Wilson's of shares, by bootstrap of all else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import metrics
from runtime.metrics import cut
from runtime.shares import wilson


@dataclass(frozen=True)
class ConfidenceInterval:
    """A figure with its 95 % interval and the number of frames behind it."""

    value: float
    low: float
    high: float
    frames: int


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve; NaN with one class only."""
    area = metrics.roc_auc(scores, positive)
    return float("nan") if area is None else area


def auc_interval(scores: ArrayLike, positive: ArrayLike, seed: int = 0, draws: int = 2000) -> ConfidenceInterval:
    """ROC AUC with a 95 % percentile bootstrap, stratified by class (each draw keeps the class counts).

    Where all are ranked rightly, or none, no draw differs and the interval would be a point: it is then Wilson's of the
    smaller class.
    """
    value, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    rng = np.random.default_rng(seed)
    yes, no = np.flatnonzero(truth), np.flatnonzero(~truth)
    values = []
    for _ in range(draws if len(yes) and len(no) else 0):
        pick = np.concatenate((rng.choice(yes, len(yes)), rng.choice(no, len(no))))
        values.append(roc_auc(value[pick], truth[pick]))
    low, high = np.percentile(values, [2.5, 97.5]) if values else (float("nan"), float("nan"))
    area = roc_auc(value, truth)
    if area in (0.0, 1.0):
        low, high = wilson(area, min(len(yes), len(no)))
    return ConfidenceInterval(area, float(low), float(high), len(value))


def share_interval(right: ArrayLike) -> ConfidenceInterval:
    """Share of frames that are right, with Wilson's interval: a bootstrap of 13 of 13 would be a point. right: [N]."""
    value: NDArray[np.bool_] = np.asarray(right, np.bool_)
    return ConfidenceInterval(float(value.mean()), *wilson(float(value.mean()), len(value)), len(value))


def sensitive_threshold(scores: ArrayLike, positive: ArrayLike, sensitivity: float) -> float:
    """The largest threshold, in hundredths, at which at least this share of the positives is at or over it."""
    value, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    found = np.sort(value[truth])[::-1]
    needed = int(np.ceil(sensitivity * len(found)))
    return float(np.clip(np.floor(found[needed - 1] * 100) / 100, 0.01, 0.99))


def mean_interval(values: ArrayLike, seed: int = 0, draws: int = 2000) -> ConfidenceInterval:
    """Mean over frames with a 95 % percentile bootstrap."""
    value: NDArray[np.float64] = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = value[rng.integers(0, len(value), (draws, len(value)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return ConfidenceInterval(float(value.mean()), float(low), float(high), len(value))


def tolerant_f1(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """F1 of vessel pixels of which each counts when the other map has one within a pixel (of its eight neighbours).

    Masks are hand-drawn lines whose width and course are a pixel's matter: Dice mostly measures stroke width. Both
    maps have one shape and are cut at half of their full scale; 1 where both are empty, 0 where one is.
    """
    a, b = cut(found), cut(truth)
    if not (a.any() and b.any()):
        return float(not (a.any() or b.any()))
    return _harmonic(float(_near(b)[a].mean()), float(_near(a)[b].mean()))


def centreline_dice(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """clDice (Shit et al., CVPR 2021): each map's centreline against the other map; maps as for `tolerant_f1`."""
    a, b = cut(found), cut(truth)
    if not (a.any() and b.any()):
        return float(not (a.any() or b.any()))
    return _harmonic(float(b[centreline(a)].mean()), float(a[centreline(b)].mean()))


def centreline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is left of a mask thinned to lines of one pixel, bool [H, W] (Zhang and Suen, CACM 1984)."""
    thin = np.pad(mask, 1)
    while True:
        before = int(np.count_nonzero(thin))
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            ring = [
                np.roll(thin, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]  # the neighbours, clockwise from the one above
            count = np.sum(ring, axis=0)
            turns = np.sum([~ring[i] & ring[(i + 1) % 8] for i in range(8)], axis=0)
            kept = np.logical_and.reduce([ring[i] for i in first]) | np.logical_and.reduce([ring[i] for i in second])
            thin = thin & ~((count >= 2) & (count <= 6) & (turns == 1) & ~kept)
        if int(np.count_nonzero(thin)) == before:
            return thin[1:-1, 1:-1]


def _near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return near


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def threshold_interval(
    scores: ArrayLike, positive: ArrayLike, sensitivity: float, seed: int = 0, draws: int = 2000
) -> ConfidenceInterval:
    """`sensitive_threshold` with its 95 % percentile bootstrap over the positives."""
    found = np.asarray(scores, np.float64)[np.asarray(positive, np.bool_)]
    rng = np.random.default_rng(seed)
    drawn = [
        sensitive_threshold(rng.choice(found, len(found)), np.ones(len(found), np.bool_), sensitivity)
        for _ in range(draws)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = sensitive_threshold(found, np.ones(len(found), np.bool_), sensitivity)
    return ConfidenceInterval(value, float(low), float(high), len(found))
