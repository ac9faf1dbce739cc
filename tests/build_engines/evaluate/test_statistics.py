"""Every statistic against scipy, scikit-learn or statsmodels, and the coverage of intervals over clustered infants."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_engines.evaluate.compare import verdict
from build_engines.evaluate.statistics.agreement import fewest_deciding, mcnemar, mcnemar_by_infant
from build_engines.evaluate.statistics.area import area_interval, clustered_variance, model_variance
from build_engines.evaluate.statistics.predictive import net_benefit, predictive_values
from build_engines.evaluate.statistics.probabilities import brier, expected_error, reliability
from build_engines.evaluate.statistics.roc import GRID, drawn_curves, roc_band, roc_curve
from runtime.metrics import roc_auc
from runtime.shares import (
    ALL_ALIKE,
    CLUSTERED,
    WILSON,
    Share,
    alike_variance,
    cluster_variance,
    least_variance,
    share,
    wilson,
)
from runtime.student import Z, t_cdf, t_quantile
from tests.build_engines.evaluate.coverage import ALL, KINDS, Coverage, covered

EXACT = 1e-12


def case(seed: int, count: int, levels: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, truth and infants of several frames."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.3
    truth[:2] = True, False
    scores = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1) * levels) / levels
    return scores, truth, rng.integers(0, max(2, count // 3), count)


@pytest.mark.parametrize(("seed", "count"), [(1, 5), (2, 60), (3, 700), (4, 2), (5, 3000)])
def test_roc_is_scikit_learns(seed: int, count: int) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    scores, truth, _ = case(seed, count)
    assert roc_auc(scores, truth) == pytest.approx(oracle.roc_auc_score(truth, scores), abs=EXACT)
    curve = roc_curve(scores, truth)
    rates, hits, thresholds = oracle.roc_curve(truth, scores)
    assert np.abs(curve.false_positive_rate - rates).max() <= EXACT
    assert np.abs(curve.sensitivity - hits).max() <= EXACT
    assert (curve.thresholds == thresholds).all()


@pytest.mark.parametrize(("seed", "count"), [(1, 5), (2, 60), (3, 700)])
def test_probabilities_are_scikit_learns(seed: int, count: int) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    calibration = pytest.importorskip("sklearn.calibration")
    scores, truth, _ = case(seed, count, levels=37)
    bins = reliability(scores, truth)
    observed, stated = calibration.calibration_curve(truth, scores, n_bins=10)
    assert brier(scores, truth) == pytest.approx(oracle.brier_score_loss(truth, scores), abs=EXACT)
    assert [part.stated for part in bins] == pytest.approx(stated, abs=EXACT)
    assert [part.observed for part in bins] == pytest.approx(observed, abs=EXACT)
    weights = np.array([part.count for part in bins]) / count
    assert expected_error(bins) == pytest.approx(float((weights * np.abs(observed - stated)).sum()), abs=EXACT)


@settings(max_examples=40)
@given(count=st.integers(0, 4000), more=st.integers(0, 4000))
def test_wilson_is_statsmodels(count: int, more: int) -> None:
    oracle = pytest.importorskip("statsmodels.stats.proportion")
    of = count + more
    if of == 0:
        assert share(np.zeros(0, bool), np.zeros(0, np.int64)).value is None
        return
    right = np.arange(of) < count
    found = share(right, np.arange(of))
    assert (found.low, found.high) == pytest.approx(oracle.proportion_confint(count, of, method="wilson"), abs=EXACT)
    assert found.method == WILSON


@settings(max_examples=25)
@given(first=st.integers(0, 200), second=st.integers(0, 200))
def test_mcnemar_is_statsmodels(first: int, second: int) -> None:
    oracle = pytest.importorskip("statsmodels.stats.contingency_tables")
    expected = oracle.mcnemar([[5, first], [second, 7]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(min(1.0, expected if first + second else 1.0), abs=EXACT)


@pytest.mark.parametrize(
    ("first", "second"), [(0, 1075), (9, 2000), (5100, 4900), (20_000, 19_600), (500_000, 498_000)]
)
def test_mcnemar_of_many_pairs_is_scipys(first: int, second: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = min(1.0, 2 * stats.binom.cdf(min(first, second), first + second, 0.5))
    assert mcnemar(first, second) == pytest.approx(expected, abs=EXACT, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [(500, 501), (4900, 5000), (100, 130)])
def test_how_many_units_would_decide_is_known_at_once(first: int, second: int) -> None:
    """Exact sums of whole numbers took hours for shares as near as these."""
    differences = [1] * first + [-1] * second
    said = verdict(first, second, np.arange(len(differences)), differences, "frame")
    assert re.fullmatch(rf"undecided: {first} against {second}; (about [\d,]+|no number of) frames would .*", said)


@settings(max_examples=40)
@given(first=st.integers(0, 200), second=st.integers(0, 200))
def test_by_infant_of_one_unit_each_it_is_mcnemar(first: int, second: int) -> None:
    assert mcnemar_by_infant([1] * first + [-1] * second + [0] * 9) == pytest.approx(mcnemar(first, second), abs=EXACT)


@settings(max_examples=60)
@given(differences=st.lists(st.integers(-6, 6), max_size=9))
def test_by_infant_it_is_every_way_the_infants_could_fall(differences: list[int]) -> None:
    sums = [abs(sum(way)) for way in product(*({d, -d} if d else {0} for d in differences))]
    expected = sum(one >= abs(sum(differences)) for one in sums) / len(sums)
    assert mcnemar_by_infant(differences) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(("ones", "threes"), [((900, 1000), (40, 60)), ((100_000, 100_300), (60_000, 59_800))])
def test_by_infant_of_many_it_is_by_scipys_binomial(ones: tuple[int, int], threes: tuple[int, int]) -> None:
    """Infant after infant, 320,000 would take ten minutes."""
    stats = pytest.importorskip("scipy.stats")
    differences = [1] * ones[0] + [-1] * ones[1] + [3] * threes[0] + [-3] * threes[1]
    seen, single, triple = abs(sum(differences)), sum(ones), sum(threes)
    wins = np.arange(triple + 1)
    rest = 3 * (2 * wins - triple)
    tails = [stats.binom.sf(np.ceil((single + seen + way * rest) / 2) - 1, single, 0.5) for way in (1, -1)]
    expected = float((stats.binom.pmf(wins, triple, 0.5) * (tails[0] + tails[1])).sum())
    assert mcnemar_by_infant(differences) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(("infants", "decides"), [([7] * 7 + [*range(8, 60)], False), ([*range(59)], True)])
def test_seven_frames_of_one_infant_decide_nothing_and_of_seven_they_do(infants: list[int], decides: bool) -> None:
    number = np.unique(np.array(infants), return_inverse=True)[1]
    differences = np.bincount(number, np.arange(59) < 7).astype(int).tolist()
    said = verdict(7, 0, np.array(infants), differences)
    assert (said == "the first is right more often") is decides
    assert decides or said.startswith("undecided: 7 differing pairs of 1 infant that fall one way cannot decide")


def test_six_differing_pairs_are_the_fewest_that_decide() -> None:
    assert fewest_deciding() == 6
    assert mcnemar(0, 5) > 0.05 >= mcnemar(0, 6)


@pytest.mark.parametrize("freedom", [1.0, 1.7, 3.0, 12.5, 40.0, 333.0, 5000.0])
def test_students_t_is_scipys(freedom: float) -> None:
    oracle = pytest.importorskip("scipy.stats")
    assert t_quantile(freedom) == pytest.approx(oracle.t.ppf(0.975, freedom), rel=EXACT)
    for t in (-8.0, -1.0, 0.0, 0.3, 2.5):
        assert t_cdf(t, freedom) == pytest.approx(oracle.t.cdf(t, freedom), abs=EXACT)
    assert pytest.approx(oracle.norm.ppf(0.975), abs=EXACT) == Z


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_variance_between_infants_is_statsmodels_cluster_robust_one(seed: int) -> None:
    api = pytest.importorskip("statsmodels.api")
    _, right, infants = case(seed, 300)
    fit = api.OLS(right.astype(float), np.ones(len(right))).fit(
        cov_type="cluster", cov_kwds={"groups": infants, "use_correction": False, "df_correction": False}
    )
    count = len(np.unique(infants))
    assert cluster_variance(right, infants) == pytest.approx(fit.cov_params()[0, 0] * count / (count - 1), abs=EXACT)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_variance_of_units_alike_is_by_scipys_analysis_of_variance(seed: int) -> None:
    oracle = pytest.importorskip("scipy.stats")
    scores, right, infants = case(seed, 300)
    for values in (scores, right.astype(float)):
        groups = [values[infants == infant] for infant in np.unique(infants)]
        sizes = np.array([len(group) for group in groups])
        usual = (300 - (sizes**2).sum() / 300) / (len(groups) - 1)
        f = oracle.f_oneway(*groups).statistic
        alike = max(0.0, (f - 1) / (f - 1 + usual))
        expected = values.var() / 300 * (1 + ((sizes**2).sum() / 300 - 1) * alike)
        assert alike_variance(values, infants) == pytest.approx(expected, abs=EXACT)
    assert alike_variance(scores, np.arange(300)) == alike_variance(scores, np.zeros(300, int)) == 0
    assert alike_variance(np.ones(300), infants) == 0
    assert least_variance(scores, infants) == 0, "of infants who give about as many frames"
    unlike = np.repeat(np.arange(28), [1] * 20 + [35] * 8)
    assert least_variance(scores, unlike) == alike_variance(scores, unlike) > 0


def test_predictive_values_are_bayes_and_net_benefit_is_by_counts() -> None:
    hits, clear = np.arange(80) < 68, np.arange(200) < 170
    sensitivity, specificity = share(hits, np.arange(80)), share(clear, np.arange(200))
    positive, negative = predictive_values(sensitivity, specificity, 80 / 280)
    assert positive is not None
    assert negative is not None
    assert positive[0] == pytest.approx(68 / (68 + 30), abs=EXACT)
    assert negative[0] == pytest.approx(170 / (170 + 12), abs=EXACT)
    assert positive[1] < positive[0] < positive[2]
    assert negative[1] < negative[0] < negative[2]
    assert net_benefit(68 / 80, 170 / 200, 80 / 280, 0.2) == pytest.approx(68 / 280 - 30 / 280 * 0.25, abs=EXACT)


def test_predictive_values_keep_an_interval_where_every_unit_is_right() -> None:
    every, clear = share(np.ones(20, bool), np.arange(20)), share(np.ones(50, bool), np.arange(50))
    positive, negative = predictive_values(every, clear, 0.1)
    assert positive is not None
    assert negative is not None
    assert (positive[0], negative[0]) == (1, 1)
    assert positive[1] < 0.9
    assert negative[1] < 1


def test_where_nobody_was_called_so_there_is_no_predictive_value() -> None:
    every, none = share(np.ones(20, bool), np.arange(20)), share(np.zeros(20, bool), np.arange(20))
    never_refers, always_refers = predictive_values(none, every, 0.1), predictive_values(every, none, 0.1)
    assert never_refers[0] is None
    assert never_refers[1] is not None
    assert never_refers[1][0] == pytest.approx(0.9)
    assert always_refers[1] is None
    assert always_refers[0] is not None
    assert always_refers[0][0] == pytest.approx(0.1)


def test_drawn_curves_are_those_of_the_drawn_infants() -> None:
    """Held to the plain way of doing it: infants' frames put together anew, and the curve of that."""
    oracle = pytest.importorskip("sklearn.metrics")
    scores, truth, infants = case(7, 90)
    names, number = np.unique(infants, return_inverse=True)
    rng = np.random.default_rng(20)
    picked = rng.integers(0, len(names), (25, len(names)))
    expected = []
    for row in picked:
        taken = np.concatenate([np.flatnonzero(number == infant) for infant in row])
        rates, hits, _ = oracle.roc_curve(truth[taken], scores[taken], drop_intermediate=False)
        expected.append(np.interp(GRID, rates, hits))
    assert np.abs(drawn_curves(scores, truth, infants, 25, seed=20) - expected).max() <= EXACT
    low, high = roc_band(scores, truth, infants, 25)
    assert np.abs(low - np.quantile(expected, 0.025, axis=0)).max() <= EXACT
    assert np.abs(high - np.quantile(expected, 0.975, axis=0)).max() <= EXACT


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_areas_variance_is_delongs_where_infants_give_one_unit(seed: int) -> None:
    """By the definition: covariance matrices of who beats whom (DeLong and others 1988)."""
    scores, truth, _ = case(seed, 120)
    ill, others = scores[truth], scores[~truth]
    beats = (ill[:, None] > others).astype(float) + 0.5 * (ill[:, None] == others)
    expected = np.var(beats.mean(axis=1), ddof=1) / len(ill) + np.var(beats.mean(axis=0), ddof=1) / len(others)
    assert clustered_variance(scores, truth, np.arange(120))[0] == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_areas_variance_by_infants_is_obuchowskis(seed: int) -> None:
    """Term by term as the paper has it, infants with ill and other frames among them."""
    scores, truth, infants = case(seed, 90)
    names = np.unique(infants)
    ill, others = scores[truth], scores[~truth]
    beats = (ill[:, None] > others).astype(float) + 0.5 * (ill[:, None] == others)
    area, m, n = beats.mean(), len(ill), len(others)
    first = np.array([(beats[infants[truth] == name].mean(axis=1) - area).sum() for name in names])
    second = np.array([(beats[:, infants[~truth] == name].mean(axis=0) - area).sum() for name in names])
    with_ill, with_others = len(np.unique(infants[truth])), len(np.unique(infants[~truth]))
    s10 = with_ill / ((with_ill - 1) * m) * (first**2).sum()
    s01 = with_others / ((with_others - 1) * n) * (second**2).sum()
    s11 = len(names) / (len(names) - 1) * (first * second).sum()
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    assert clustered_variance(scores, truth, infants)[0] == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("area", [0.03, 0.5, 0.75, 0.93, 0.98, 0.9999])
def test_the_models_variance_is_by_owens_function(area: float) -> None:
    special, stats = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.stats")
    z = stats.norm.ppf(area)
    both = area - 2 * special.owens_t(z, 1 / np.sqrt(3))
    for m, n in ((1, 1), (21, 39), (4.5, 100.25)):
        expected = (area * (1 - area) + (m + n - 2) * (both - area**2)) / (m * n)
        assert model_variance(area, m, n) == pytest.approx(expected, abs=EXACT)
    assert model_variance(0.0, 5, 5) == model_variance(1.0, 5, 5) == 0


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_ends_of_an_areas_interval_are_the_areas_that_are_t_deviations_away(seed: int) -> None:
    """Independent units of a model: then the deviation is the model's, unless the spread found is larger."""
    optimize = pytest.importorskip("scipy.optimize")
    scores, truth, _ = case(seed, 80, levels=10**6)
    value, low, high = area_interval(scores, truth, np.arange(80))
    spread, freedom = clustered_variance(scores, truth, np.arange(80))
    m, n = int(truth.sum()), int((~truth).sum())
    t = t_quantile(max(freedom, 2.0 * min(m, n) - 1))

    def away(true: float) -> float:
        return float((value - true) ** 2 - t**2 * model_variance(true, m, n))

    assert low == pytest.approx(optimize.brentq(away, 1e-6, value, xtol=1e-15), abs=EXACT)
    assert high == pytest.approx(optimize.brentq(away, value, 1 - 1e-12, xtol=1e-15), abs=EXACT)
    assert spread > 0


def test_turned_scores_turn_the_interval() -> None:
    scores, truth, infants = case(4, 300)
    value, low, high = area_interval(scores, truth, infants)
    assert area_interval(-scores, truth, infants) == pytest.approx((1 - value, 1 - high, 1 - low), abs=EXACT)


def width(of: Share) -> float:
    assert of.low is not None
    assert of.high is not None
    return of.high - of.low


def test_a_share_of_clustered_frames_is_less_certain_than_of_independent_ones() -> None:
    infants = np.repeat(np.arange(40), 10)
    right = np.random.default_rng(3).random(40).repeat(10) < 0.8
    clustered, independent = share(right, infants), share(right, np.arange(400))
    assert clustered.method == CLUSTERED
    assert width(clustered) > 2.5 * width(independent)


def test_where_every_frame_is_right_infants_are_counted_and_the_interval_is_not_a_point() -> None:
    found = share(np.ones(400, bool), np.repeat(np.arange(40), 10))
    assert (found.method, found.infants) == (ALL_ALIKE, 40)
    assert (found.low, found.high) == wilson(1.0, 40)


@pytest.mark.parametrize("wrong", [1, 2, 5])
def test_a_few_wrong_units_say_no_less_than_the_infants_alone(wrong: int) -> None:
    """19 of 20 eyes of ten infants once had an interval down to 0.095, 20 of 20 one down to 0.72."""
    infants = np.repeat(np.arange(10), 2)
    right = np.ones(20, bool)
    right[: 2 * wrong : 2] = False
    found, every = share(right, infants), share(np.ones(20, bool), infants)
    assert found.low is not None
    assert every.low is not None
    assert found.low >= wilson(1 - wrong / 20, 10)[0]
    assert found.low < every.low


def test_an_area_is_at_most_as_uncertain_as_a_share_of_the_smaller_class() -> None:
    truth = np.arange(12) < 6
    ties = area_interval(np.full(12, 0.5), truth, np.arange(12))
    assert ties == (0.5, *wilson(0.5, 6))
    value, low, _ = area_interval(np.where(truth, 0.8, np.linspace(0.1, 0.82, 12)), truth, np.arange(12))
    assert value == pytest.approx(5 / 6)
    assert low >= wilson(5 / 6, 6)[0] > 0.4


@pytest.mark.parametrize("infants", [np.zeros(12, np.int64), (np.arange(12) >= 6) * np.arange(12)])
def test_one_ill_infant_says_no_more_than_one(infants: np.ndarray) -> None:
    truth = np.arange(12) < 6
    value, low, high = area_interval(np.where(truth, 0.6, np.linspace(0, 1, 12)), truth, infants)
    assert (low, high) == wilson(value, 1)


def test_classes_that_do_not_overlap_have_an_interval_too() -> None:
    scores, truth = np.array([0.1, 0.2, 0.8, 0.9] * 3), np.array([False, False, True, True] * 3)
    assert area_interval(scores, truth, np.arange(12)) == (1, *wilson(1.0, 6))


SHORT = [
    *(Coverage(kind=kind) for kind in KINDS),
    *(Coverage("area", 60, 0.98), Coverage("area", 60, 0.93, ill=0.1)),
    *(Coverage(kind, 40, 0.9, sizes=(*[1] * 9, 60)) for kind in KINDS[:2]),
]


@pytest.mark.parametrize("of", SHORT, ids=lambda of: f"{of.kind}-{of.infants}-{of.level}-{of.sizes[-1]}")
def test_intervals_cover_in_a_short_run(of: Coverage) -> None:
    """100 studies: 95 % of them within what that many studies can show (three standard errors)."""
    assert covered(replace(of, studies=100)) >= 0.885


@pytest.mark.soak
@pytest.mark.parametrize("of", ALL, ids=str)
def test_intervals_cover_in_a_thousand_clustered_studies(of: Coverage) -> None:
    assert 0.93 <= covered(of) <= 0.97
