from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_engines.train.metrics import auc_interval, mean_interval, roc_auc, sensitive_threshold


def test_auc_of_known_orders() -> None:
    assert roc_auc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == 1.0
    assert roc_auc([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]) == 0.0
    assert roc_auc([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1]) == 0.5
    assert roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert math.isnan(roc_auc([0.1, 0.2], [1, 1]))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_turning_the_scores_round_turns_the_auc_round(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    if positive.all() or not positive.any():
        return
    assert roc_auc(scores, positive) == pytest.approx(1 - roc_auc(-scores, positive))


def test_the_interval_holds_the_value_and_repeats() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(40) % 2
    scores = positive + rng.normal(0, 1, 40)
    first, second = auc_interval(scores, positive), auc_interval(scores, positive)
    assert first == second
    assert first.low < first.value < first.high
    assert first.frames == 40


@pytest.mark.parametrize(("sensitivity", "threshold"), [(1.0, 0.31), (0.75, 0.5), (0.5, 0.65)])
def test_the_threshold_keeps_the_sensitivity_asked_for(sensitivity: float, threshold: float) -> None:
    scores, positive = np.array([0.319, 0.5, 0.659, 0.9, 0.1, 0.95]), np.array([1, 1, 1, 1, 0, 0])
    chosen = sensitive_threshold(scores, positive, sensitivity)
    assert chosen == pytest.approx(threshold)
    assert (scores[positive == 1] >= chosen).mean() >= sensitivity


def test_mean_interval_of_equal_values_is_a_point() -> None:
    interval = mean_interval([0.5] * 7)
    assert (interval.low, interval.value, interval.high, interval.frames) == (0.5, 0.5, 0.5, 7)
