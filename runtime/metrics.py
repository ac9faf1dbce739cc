"""How well a reader does against the truth: Dice of vessel maps, area under the ROC curve of refer probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Overlap of two vessel maps of one shape, each cut at half of its full scale; 1 where both are empty.

    Full scale is 1 for floats and 255 for uint8.
    """
    a, b = cut(first), cut(second)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 if total == 0 else 2 * int(np.count_nonzero(a & b)) / total


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted half; None with one class only."""
    value, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    if truth.all() or not truth.any():
        return None
    _, group = np.unique(value, return_inverse=True)
    yes, no = np.bincount(group, truth), np.bincount(group, ~truth)
    below = np.cumsum(no) - no
    return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))


def cut(values: NDArray[Any]) -> NDArray[np.bool_]:
    """A map cut at half of its full scale: 1 for floats, 255 for uint8."""
    half = 128 if values.dtype == np.uint8 else 0.5
    cut: NDArray[np.bool_] = values >= half
    return cut
