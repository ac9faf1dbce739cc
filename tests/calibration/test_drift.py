from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle
from statsmodels.stats.multitest import multipletests

from calibration.commands import compare as command
from calibration.drift import SIGNIFICANCE, SMALLEST_KS, compare_features, holm, ks_distance, mean_difference
from calibration.facts import FEATURES

EXACT = 1e-12
values = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


def columns(rng: np.random.Generator, number: int, **shifts: float) -> dict[str, list[float]]:
    return {name: list(rng.normal(shifts.get(name, 0.0), 1.0, number)) for name in FEATURES}


@given(values, values)
def test_ks_is_scipys(a: list[float], b: list[float]) -> None:
    expected = oracle.ks_2samp(a, b, method="asymp").statistic
    assert ks_distance(np.array(a), np.array(b)) == pytest.approx(expected, abs=EXACT)
    assert ks_distance(np.array(b), np.array(a)) == pytest.approx(expected, abs=EXACT)


def test_ties_do_not_count_as_a_gap() -> None:
    same = {name: [1.0, 1.0, 2.0, 2.0, 3.0] * 10 for name in FEATURES}
    assert all(feature.ks == 0 and feature.p_value == 1 for feature in compare_features(same, same))


def test_mean_difference_is_cohens_d() -> None:
    """Student's t of two groups is d over the root of 1 / n + 1 / m."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 30), rng.normal(0.4, 2, 17)
    expected = oracle.ttest_ind(b, a).statistic * (1 / 30 + 1 / 17) ** 0.5
    assert mean_difference(a, b) == pytest.approx(expected, abs=EXACT)
    assert mean_difference(a, a) == 0
    assert mean_difference(np.ones(3), np.ones(4)) == 0


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.9, 0.0005, 0.4]])
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=EXACT)


def test_only_what_moved_has_drifted() -> None:
    rng = np.random.default_rng(1)
    result = compare_features(columns(rng, 150), columns(rng, 80, detail=1.0))
    assert [feature.name for feature in result if feature.drifted] == ["detail"]
    detail = next(feature for feature in result if feature.name == "detail")
    assert detail.smd == pytest.approx(1.0, abs=0.25)
    assert detail.ks > detail.ks_limit


def test_a_wider_spread_with_the_same_mean_is_a_drift() -> None:
    rng = np.random.default_rng(2)
    a, b = columns(rng, 300), columns(rng, 300)
    b["redness"] = list(rng.normal(0, 4, 300))
    assert [feature.name for feature in compare_features(a, b) if feature.drifted] == ["redness"]


def test_a_difference_too_small_to_matter_is_alike_however_certain() -> None:
    rng = np.random.default_rng(3)
    result = compare_features(columns(rng, 1500), columns(rng, 1500, detail=0.3))
    detail = next(feature for feature in result if feature.name == "detail")
    assert detail.p_value <= SIGNIFICANCE
    assert not detail.drifted


def test_false_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(4)
    alarms = sum(
        any(feature.drifted for feature in compare_features(columns(rng, 30), columns(rng, 25), seed))
        for seed in range(60)
    )
    assert alarms <= 3  # expected 0.6; four or more has a chance of 0.3 %


def test_the_limit_is_where_p_becomes_significant() -> None:
    rng = np.random.default_rng(5)
    a = columns(rng, 40)
    for shift in np.linspace(0, 1.5, 9):
        b = {name: [value + shift for value in a[name][:30]] for name in FEATURES}
        for feature in compare_features(a, b):
            assert feature.drifted == (feature.p_value <= SIGNIFICANCE and feature.ks >= 0.2)
            if feature.ks > feature.ks_limit:
                assert feature.drifted


def test_the_seed_repeats() -> None:
    rng = np.random.default_rng(6)
    a, b = columns(rng, 40), columns(rng, 40, brightness=0.5)
    assert compare_features(a, b, seed=9) == compare_features(a, b, seed=9)


def test_the_command_says_the_limits_that_are_held() -> None:
    assert (command.SMALLEST_KS, command.SIGNIFICANCE) == (SMALLEST_KS, SIGNIFICANCE)
