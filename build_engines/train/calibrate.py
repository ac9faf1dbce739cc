"""Probabilities that mean what they say: one temperature, fitted on scores of frames that the network never saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from build_engines.segimgnet import SegImgNet

COLDEST, HOTTEST = 0.1, 10.0
CERTAIN = 1e-6
"""Probabilities are kept so far from 0 and 1, where a logit has no end."""


@dataclass(frozen=True)
class ProbabilityBin:
    """Frames of which like probabilities were stated."""

    stated: float
    """Their mean."""
    observed: float
    """Share of them that is positive."""
    frames: int


def margins(probability: ArrayLike) -> NDArray[np.float64]:
    """Difference of the two classes' logits that gives these probabilities."""
    p = np.clip(np.asarray(probability, np.float64), CERTAIN, 1 - CERTAIN)
    return np.log(p / (1 - p))


def tempered(probability: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """The probabilities with every logit divided by a temperature."""
    return 1 / (1 + np.exp(-margins(probability) / temperature))


def fit_temperature(probability: ArrayLike, positive: ArrayLike) -> float:
    """The temperature at which the truth is likeliest (Guo et al., ICML 2017), between 0.1 and 10.

    Raises `ValueError` with one class only: nothing can be fitted then.
    """
    margin, truth = margins(probability), np.asarray(positive, np.bool_)
    if truth.all() or not truth.any():
        raise ValueError("temperature: the frames are all of one class")
    signed = np.where(truth, margin, -margin)
    # The loss is convex in 1 / temperature.
    inverse = _lowest(lambda value: float(np.logaddexp(0, -signed * value).mean()), 1 / HOTTEST, 1 / COLDEST)
    return round(1 / inverse, 3)


def apply_temperature(network: SegImgNet, temperature: float) -> None:
    """Divide the classifier's logits by a temperature, in the weights of its last layer."""
    with torch.no_grad():
        for part in network.classifier.output.parameters():
            part.div_(temperature)


def reliability(probability: ArrayLike, positive: ArrayLike, bins: int = 8) -> tuple[ProbabilityBin, ...]:
    """What was stated against what was so, in bins of as many frames each."""
    value, truth = np.asarray(probability, np.float64), np.asarray(positive, np.float64)
    parts = np.array_split(np.argsort(value, kind="stable"), min(bins, len(value)))
    return tuple(
        ProbabilityBin(float(value[part].mean()), float(truth[part].mean()), len(part)) for part in parts if len(part)
    )


def calibration_error(bins: tuple[ProbabilityBin, ...]) -> float:
    """Mean distance of stated and observed over all frames (expected calibration error)."""
    off = sum(found.frames * abs(found.stated - found.observed) for found in bins)
    return off / sum(found.frames for found in bins)


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is lowest, by the golden section."""
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return (low + high) / 2
