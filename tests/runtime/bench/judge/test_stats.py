from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from runtime.bench.judge.stats import block_length, drift, ratio_interval, runs_interval, trend, wander
from runtime.percentiles import _at_most, percentile, samples_needed, upper_bound

EXACT = 1e-12
STUDENTS = 1e-10
"""SciPy 1.15, the last for Python 3.10, gives Student's quantiles to eleven digits."""


@pytest.mark.parametrize(("p", "needed"), [(50, 11), (90, 64), (95, 130), (99, 662), (99.9, 6636)])
def test_samples_needed_are_loadgens(p: float, needed: int) -> None:
    assert samples_needed(p) == needed


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=400),
    p=st.sampled_from([50, 90, 95, 99, 99.9, 100]),
)
def test_a_percentile_is_a_sample_that_enough_do_not_exceed(values: list[float], p: float) -> None:
    result = percentile(values, p)
    assert result in values
    share = sum(value <= result for value in values) / len(values)
    assert share >= p / 100 - 1e-9
    below = sum(value < result for value in values) / len(values)
    assert below < p / 100 + 1e-9


def test_percentile_by_hand() -> None:
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile(range(1, 1001), 99) == 990
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([7], 99) == 7


def test_the_upper_bound_holds_in_99_of_100_runs() -> None:
    rng = np.random.default_rng(0)
    true_p90 = -math.log(0.1)
    bounds = [upper_bound(rng.exponential(size=300), 90) for _ in range(1000)]
    held = np.mean([bound is not None and bound >= true_p90 for bound in bounds])
    assert 0.98 <= held <= 1
    assert upper_bound(range(661), 99) is None
    assert upper_bound(range(662), 99) == 660


def test_drift_is_the_ratio_of_the_outer_thirds() -> None:
    assert drift([10] * 30 + [11] * 30 + [12] * 30) == pytest.approx(0.2)
    assert drift([10, 10, 1000, 10, 10, 10]) == 0


def test_the_same_distribution_twice_gives_an_interval_around_one() -> None:
    rng = np.random.default_rng(1)
    around = 0
    for seed in range(20):
        # Neighbours are alike: a slow wave on top of the noise, of another phase in each run.
        a, b = (_wavy(rng, 600) for _ in range(2))
        interval = ratio_interval(a, b, 50, 0.95, seed)
        around += interval.low <= 1 <= interval.high
    assert around >= 17


def test_a_real_difference_is_found_with_its_size() -> None:
    rng = np.random.default_rng(2)
    interval = ratio_interval(_wavy(rng, 600), 1.2 * _wavy(rng, 600), 50, 0.995, 0)
    assert interval.low > 1.1
    assert interval.value == pytest.approx(1.2, abs=0.03)
    assert interval.low < interval.value < interval.high


def test_blocks_grow_with_the_memory_of_the_run() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=1000)
    assert block_length(noise) < 15
    assert block_length(np.convolve(noise, np.ones(50) / 50, "same")) > 30
    assert block_length(np.ones(5)) == 1


def test_trend_tells_growth_from_noise() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(100, 1, 3000)
    flat, rising = trend(noise), trend(noise + np.linspace(0, 5, 3000))
    assert flat is not None
    assert rising is not None
    assert flat.p_value > 0.01
    assert rising.p_value < 1e-6
    assert rising.change == pytest.approx(5, abs=0.5)
    constant = trend([5.0] * 50)
    assert constant is not None
    assert (constant.change, constant.p_value) == (0, 1)
    assert trend([1, 2, 3]) is None


def _wavy(rng: np.random.Generator, n: int) -> np.ndarray:
    wave = np.sin(np.arange(n) / 20 + rng.uniform(0, 2 * np.pi))
    return 10 + 0.3 * wave + rng.gamma(2, 0.3, n)


def test_wandering_is_seen_and_neither_chance_nor_a_stall_is_taken_for_it() -> None:
    rng = np.random.default_rng(3)
    steady = 10 + rng.normal(0, 0.3, 600)
    assert wander(steady)[0] < 0.006
    slow = steady * np.repeat(np.exp(rng.normal(0, 0.03, 20)), 30)
    spread, pieces = wander(slow)
    assert 0.015 < spread < 0.06
    assert pieces == 20
    stalled = steady.copy()
    stalled[100:130] *= 8
    assert wander(stalled)[0] < 0.01
    assert wander(steady[:30])[1] == 4


def test_runs_by_turns_are_held_against_their_neighbours() -> None:
    """The ten runs of each side wander together: only their pairs show the twentieth that they differ by."""
    rng = np.random.default_rng(4)
    a = 10 * np.exp(np.cumsum(rng.normal(0, 0.05, 10)))
    b = a * 1.05 * np.exp(rng.normal(0, 0.01, 10))
    paired = runs_interval(a, b, 0.99, in_turns=True)
    assert 1 < paired.low < 1.05 < paired.high < 1.1
    assert paired.value == pytest.approx(1.05, abs=0.01)
    alone = runs_interval(a, b, 0.99, in_turns=False)
    assert alone.low < 1 < alone.high


def test_an_interval_of_runs_is_students() -> None:
    rng = np.random.default_rng(5)
    for runs, confidence in ((3, 0.95), (7, 0.995), (20, 0.9)):
        a, b = np.exp(rng.normal(2, 0.1, runs)), np.exp(rng.normal(2.1, 0.2, runs))
        paired = oracle.ttest_rel(np.log(b), np.log(a)).confidence_interval(confidence)
        welch = oracle.ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval(confidence)
        for expected, in_turns in ((paired, True), (welch, False)):
            found = runs_interval(a, b, confidence, in_turns=in_turns)
            assert np.log([found.low, found.high]) == pytest.approx(tuple(expected), abs=STUDENTS)
    same = runs_interval(a, a, 0.95, in_turns=True)
    assert (same.low, same.value, same.high) == (1, 1, 1)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_numpys_inverted_cdf(values: list[float], p: float) -> None:
    assert percentile(values, p) == np.percentile(values, p, method="inverted_cdf")


def test_what_samples_are_needed_rests_on_scipys_binomial() -> None:
    for n, p in ((11, 0.5), (64, 0.1), (662, 0.01), (6636, 0.001)):
        assert _at_most(1, n, p) == pytest.approx(oracle.binom.cdf(1, n, p), abs=EXACT)
        assert _at_most(1, n, p) <= 0.01 < _at_most(1, n - 1, p)


@pytest.mark.parametrize("levels", [1000, 8])
def test_a_trend_is_theil_and_sens_with_mann_and_kendalls_p(levels: int) -> None:
    """SciPy's Kendall test is the same sum with the same variance for ties; Mann's takes 1 off for continuity."""
    rng = np.random.default_rng(6)
    values = np.round(rng.random(50) * levels + np.linspace(0, 0.3 * levels, 50))
    found = trend(values, bins=50)
    assert found is not None
    assert found.change == pytest.approx(49 * oracle.theilslopes(values)[0], abs=EXACT)
    i, j = np.triu_indices(50, 1)
    s = np.sign(values[j] - values[i]).sum()
    plain = oracle.norm.isf(oracle.kendalltau(np.arange(50), values, method="asymptotic").pvalue / 2)
    assert found.p_value == pytest.approx(2 * oracle.norm.sf(plain * (abs(s) - 1) / abs(s)), abs=EXACT)
