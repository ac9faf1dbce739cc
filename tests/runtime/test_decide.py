from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.decide import against, apart, decide, stated_refer_probability
from runtime.outcome import Outcome


@given(p=st.floats(0, 1), threshold=st.floats(0.01, 0.99))
def test_refer_exactly_at_or_over_the_threshold(p: float, threshold: float) -> None:
    outcome, _ = decide({"no": 1 - p, "yes": p}, ["yes"], threshold)
    assert outcome is (Outcome.REFER if p >= threshold else Outcome.NO_REFERRAL_FINDINGS)


def test_refer_classes_add_up() -> None:
    outcome, reason = decide({"no": 0.4, "a": 0.3, "b": 0.3}, ["a", "b"], 0.5)
    assert outcome is Outcome.REFER
    assert reason == "a + b 0.60, threshold 0.50"


def test_a_value_that_is_no_number_is_no_result() -> None:
    assert decide({"no": math.nan, "yes": math.nan}, ["yes"], 0.5)[0] is Outcome.NO_RESULT


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.62, "0.62, threshold 0.50"),
        (0.5, "0.50, threshold 0.50"),
        (0.497, "0.497, threshold 0.500"),
        (0.4999996, "0.50, threshold 0.50"),
        (0.499999, "0.499999, threshold 0.500000"),
        (0.49999949, "0.499999, threshold 0.500000"),
    ],
)
def test_two_numbers_that_differ_do_not_look_equal(value: float, words: str) -> None:
    assert against(value, 0.5) == words


@pytest.mark.parametrize(
    ("value", "threshold", "words"),
    [
        (0.43, 0.999, "0.430, threshold 0.999"),
        (0.999, 0.999, "0.999, threshold 0.999"),
        (0.9989, 0.999, "0.9989, threshold 0.9990"),
        (0.2, 0.0004, "0.2000, threshold 0.0004"),
        (1.0, 0.99999999, "1.00000000, threshold 0.99999999"),
        (1.0, math.nextafter(1, 0), "1.0000000000000000, threshold 0.9999999999999999"),
    ],
)
def test_a_threshold_never_looks_like_0_or_1(value: float, threshold: float, words: str) -> None:
    assert against(value, threshold) == words


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.18, 0.76, 0.18), ("0.18", "0.76", "0.18")),
        ((0.183, 0.76, 0.18), ("0.183", "0.760", "0.180")),
        ((0.002,), ("0.002",)),
        ((0.999, 0.5), ("0.999", "0.500")),
        ((0.0, 1.0), ("0.00", "1.00")),
        ((0.5, 0.5), ("0.50", "0.50")),
        ((5e-324, 0.5), ("5e-324", "0.5")),
    ],
)
def test_numbers_that_differ_are_shown_apart(values: tuple[float, ...], shown: tuple[str, ...]) -> None:
    assert apart(*values) == shown


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_any_numbers_are_shown_apart(values: list[float]) -> None:
    assert len(set(apart(*values))) == len(set(values))


@pytest.mark.parametrize(
    ("stated", "refer", "expected"),
    [
        ({"no": 0.7, "yes": 0.3}, ["yes"], 0.3),
        ({"no": 0.7, "mild": 0.125, "yes": 0.175}, ["mild", "yes"], 0.3),
        ({"no": 0.7, "yes": 0.3199}, ["yes"], 0.3199),
        ({"no": 0.7, "yes": 0.3201}, ["yes"], None),
        ({"no": 0.6801, "yes": 0.3}, ["yes"], 0.3),
        ({"no": 0.6799, "yes": 0.3}, ["yes"], None),
        ({"no": 0, "yes": 1}, ["yes"], 1.0),
        ({"mild": 0, "severe": 1}, ["mild", "severe"], 1.0),
        ({"no": 1, "yes": 0}, ["yes"], 0.0),
        ({"no": 0.0, "yes": 1.01}, ["yes"], 1.01),
        ({"no": 0.0, "yes": 1.0101}, ["yes"], None),
        ({"no": 1.0101, "yes": 0.0}, ["yes"], None),
        ({"no": 1.005, "yes": -0.005}, ["yes"], None),
        ({"no": -0.005, "yes": 1.005}, ["yes"], None),
        ({"no": True, "yes": 0.0}, ["yes"], None),
        ({"no": 1.0, "yes": False}, ["yes"], None),
        ({"no": "0.7", "yes": 0.3}, ["yes"], None),
        ({"no": None, "yes": 1.0}, ["yes"], None),
        ({"no": 1.0, "yes": math.nan}, ["yes"], None),
        ({"no": 0.0, "yes": math.inf}, ["yes"], None),
        ({"no": 0.7, "other": 0.3}, ["yes"], None),
        ({"no": 0.7, "yes": 0.3}, ["yes", "other"], None),
        ({}, ["yes"], None),
        ([0.7, 0.3], ["yes"], None),
        ("0.3", ["yes"], None),
        (0.3, ["yes"], None),
        (None, ["yes"], None),
    ],
)
def test_what_a_stored_reading_states_is_a_probability_only_where_all_of_it_may_be(
    stated: object, refer: list[str], expected: float | None
) -> None:
    found = stated_refer_probability(stated, refer)
    assert found == (None if expected is None else pytest.approx(expected))
    assert isinstance(found, (float, type(None)))
