from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.trust.drift import (
    CHECKS,
    FALSE_ALARMS,
    FEATURES,
    WINDOW,
    DriftState,
    Observation,
    Reference,
    drifted,
    ks_distance,
    ks_limit,
    observe,
    too_few,
)
from tests.bench.drift_false_alarms import false_alarm_share, reference_of

REFERENCE = reference_of(np.random.default_rng(1).normal(size=(249, len(FEATURES))))
VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)
OBSERVATIONS = st.builds(
    Observation,
    st.booleans(),
    st.none() | st.fixed_dictionaries(dict.fromkeys(FEATURES, VALUES)),
)


def seen(value: float, gradable: bool = True) -> Observation:
    return Observation(gradable, dict.fromkeys(FEATURES, value) if gradable else None)


@given(st.lists(OBSERVATIONS, max_size=2 * WINDOW + 5))
@settings(max_examples=60, deadline=None)
def test_the_state_adds_up_whatever_comes_and_survives_a_file(observations: list[Observation]) -> None:
    state = DriftState()
    for number, observation in enumerate(observations, 1):
        state = observe(state, observation, REFERENCE)
        assert state.frames == number % WINDOW
        assert state.windows == number // WINDOW
        assert 0 <= state.gradable <= state.frames
    totals = {sum(row) for row in state.counts}
    assert len(totals) <= 1
    assert state.facts.state == ("alarm" if state.reasons else "steady" if state.windows else "gathering")
    assert DriftState.from_dict(json.loads(json.dumps(state.to_dict())), REFERENCE) == state


@given(
    st.one_of(
        st.none(), st.integers(), st.text(), st.lists(st.integers()), st.lists(st.lists(st.integers() | st.booleans()))
    )
)
@settings(deadline=None)
def test_what_is_no_state_is_refused(content: object) -> None:
    spoilt = {"frames": 1, "gradable": 0, "counts": content, "windows": 0, "reasons": []}
    try:
        state = DriftState.from_dict(spoilt, REFERENCE)
    except ValueError:
        return
    assert state.counts == ()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.permutations(range(60)))
@settings(deadline=None)
def test_the_order_within_a_window_does_not_matter(values: list[float], order: list[int]) -> None:
    def after(some: list[float]) -> DriftState:
        state = DriftState()
        for value in some:
            state = observe(state, seen(value), REFERENCE)
        return state

    if len(values) in CHECKS:
        return
    shuffled = [values[i] for i in order if i < len(values)]
    assert after(values).counts == after(shuffled).counts


@given(st.lists(st.integers(0, 50), min_size=20, max_size=20))
@settings(deadline=None)
def test_the_distance_is_that_of_kolmogorov_and_smirnov(counts: list[int]) -> None:
    spread = REFERENCE.features["score"]
    counts = [*counts[: len(spread.edges)], 1]
    cumulative = np.cumsum(counts)[:-1] / sum(counts)
    assert ks_distance(counts, spread.below) == pytest.approx(np.abs(cumulative - np.array(spread.below)).max())


def test_the_limit_is_smirnovs() -> None:
    # Tabulated: 1.36 at 5 % for large samples; the design effect takes its share of both.
    assert ks_limit(1000, 1000, 0.05) == pytest.approx(1.358 * math.sqrt(5.5 * 2 / 1000), rel=1e-3)


def test_a_shift_raises_an_alarm_that_goes_when_it_is_over() -> None:
    rng = np.random.default_rng(2)
    state = DriftState()
    for _ in range(WINDOW):
        state = observe(state, seen(rng.normal(3.0)), REFERENCE)
    assert state.facts.state == "alarm"
    assert any(reason.startswith("score: distance") for reason in state.reasons)
    for _ in range(WINDOW - 1):
        state = observe(state, seen(rng.normal()), REFERENCE)
        assert state.facts.state == "alarm"
    state = observe(state, seen(rng.normal()), REFERENCE)
    assert state.facts.state == "steady"


def test_a_gross_shift_is_told_a_quarter_into_the_window() -> None:
    state = DriftState()
    for _ in range(CHECKS[0]):
        state = observe(state, seen(9.0), REFERENCE)
    assert state.facts.state == "alarm"


def test_too_few_gradable_frames_raise_an_alarm_also_when_none_has_a_score() -> None:
    state = DriftState()
    for _ in range(CHECKS[0]):
        state = observe(state, seen(0.0, gradable=False), REFERENCE)
    assert state.reasons == (f"gradable: 0 of {CHECKS[0]} frames, expected 70%",)


def test_as_many_gradable_frames_as_expected_are_no_alarm() -> None:
    assert not too_few(140, 200, 0.7, FALSE_ALARMS / 21)
    assert not too_few(200, 200, 0.7, FALSE_ALARMS / 21)
    assert too_few(60, 200, 0.7, FALSE_ALARMS / 21)


def test_nothing_is_said_of_a_spread_with_too_few_scores() -> None:
    state = DriftState()
    for _ in range(10):
        state = observe(state, seen(9.0), REFERENCE)
    assert drifted(state, REFERENCE) == ()


def test_false_alarms_are_as_rare_as_stated() -> None:
    # Twenty infants of ten frames, half of the spread between infants; the whole figure: tests/bench.
    assert false_alarm_share(windows=300, shared=0.5, seed=5) <= 0.02


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"features": {}}, "features are"),
        ({"gradable_share": 1.0}, "gradable_share"),
        ({"frames": 0}, "frames"),
        ({"features": {name: {"edges": [1.0, 1.0], "below": [0.1, 0.2]} for name in FEATURES}}, "must rise"),
        ({"features": {name: {"edges": [1.0], "below": [0.1, 0.2]} for name in FEATURES}}, "as many shares"),
    ],
)
def test_a_reference_that_cannot_be_one_is_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Reference.model_validate(REFERENCE.model_dump() | change)
