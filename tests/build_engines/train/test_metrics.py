from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_engines.train.metrics import (
    auc_interval,
    centreline,
    centreline_dice,
    mean_interval,
    roc_auc,
    sensitive_threshold,
    share_interval,
    threshold_interval,
    tolerant_f1,
)
from runtime.metrics import dice


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


@pytest.mark.parametrize(("right", "of"), [(13, 13), (0, 8), (9, 13), (1, 1)])
def test_a_share_has_wilsons_interval_also_where_all_are_right(right: int, of: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = share_interval([n < right for n in range(of)])
    assert (found.value, found.frames) == (right / of, of)
    assert (found.low, found.high) == pytest.approx(proportion_confint(right, of, method="wilson"), abs=1e-12)
    assert found.low < found.high


@pytest.mark.parametrize(("scores", "area"), [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0)])
def test_an_area_of_all_or_nothing_is_no_point(scores: list[float], area: float) -> None:
    found = auc_interval(scores, [0, 0, 1, 1])
    assert found.value == area
    assert found.high - found.low > 0.5


def test_mean_interval_of_equal_values_is_a_point() -> None:
    interval = mean_interval([0.5] * 7)
    assert (interval.low, interval.value, interval.high, interval.frames) == (0.5, 0.5, 0.5, 7)


def drawn(*strokes: tuple[tuple[int, int], tuple[int, int]], width: int = 1) -> np.ndarray:
    canvas = np.zeros((64, 64), np.uint8)
    for start, end in strokes:
        cv2.line(canvas, start, end, (255,), width)
    return canvas


CROSS = (((10, 20), (50, 20)), ((30, 5), (30, 60)))


def test_a_line_a_pixel_off_is_found_and_two_pixels_off_is_not() -> None:
    truth = drawn(((10, 20), (50, 20)))
    assert tolerant_f1(np.roll(truth, 1, 0), truth) == 1.0
    assert tolerant_f1(np.roll(truth, 2, 0), truth) == 0.0
    # Half of the line: 21 pixels found, all right; of 41 true ones 22 have one within a pixel.
    assert tolerant_f1(drawn(((10, 20), (30, 20))), truth) == pytest.approx(2 * (22 / 41) / (1 + 22 / 41))


def test_stroke_width_matters_to_dice_and_not_to_centrelines() -> None:
    thin = drawn(*CROSS)
    thick = cv2.dilate(thin, np.ones((3, 3), np.uint8))
    assert dice(thin, thick) < 0.6
    assert centreline_dice(thin, thick) > 0.95
    assert tolerant_f1(thin, thick) > 0.95


@pytest.mark.parametrize("figure", [tolerant_f1, centreline_dice])
def test_empty_maps(figure: Callable[[np.ndarray, np.ndarray], float]) -> None:
    nothing, line = drawn(), drawn(((10, 20), (50, 20)))
    assert figure(nothing, nothing) == 1.0
    assert figure(nothing, line) == figure(line, nothing) == 0.0
    assert figure(line, line) == figure(line / np.float32(255), line) == 1.0


@given(
    st.lists(st.tuples(*[st.tuples(st.integers(6, 57), st.integers(6, 57))] * 2), min_size=1, max_size=3),
    st.integers(1, 5),
)
@settings(max_examples=20, deadline=None)
def test_a_centreline_is_inside_the_mask_and_as_connected(
    strokes: list[tuple[tuple[int, int], tuple[int, int]]], width: int
) -> None:
    mask = drawn(*strokes, width=width) > 0
    line = centreline(mask)
    assert line.any()
    assert not (line & ~mask).any()
    parts = [cv2.connectedComponents(m.astype(np.uint8), connectivity=8)[0] for m in (mask, line)]
    assert parts[0] == parts[1]


def test_the_threshold_has_an_interval() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(100) % 2
    scores = np.clip(0.3 * positive + rng.uniform(0.1, 0.6, 100), 0, 1)
    found = threshold_interval(scores, positive, 0.9)
    assert found.low <= found.value <= found.high
    assert found.value == sensitive_threshold(scores, positive, 0.9)
    assert found.frames == 50
