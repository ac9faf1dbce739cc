"""Queues replayed: against textbook answers, the recursion by hand, and servers that are simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bench.judge.queue import highest_rate, queue_ms

EXPONENTIAL = -40 * np.log1p(-(np.arange(4000) + 0.5) / 4000)
"""Reading times of 40 ms on average, as evenly as quantiles lie."""


@pytest.mark.parametrize(("p", "budget_ms"), [(99, 400), (99, 1000), (90, 300), (50, 60)])
def test_the_rate_of_exponential_reading_times_is_the_textbooks(p: float, budget_ms: float) -> None:
    """M/M/1: the time from arrival to result is exponential with the rate mu - lambda."""
    served = np.random.default_rng(3).permutation(EXPONENTIAL)
    found = highest_rate(served, np.ones(4000, bool), p=p, budget_ms=budget_ms)
    assert found == pytest.approx(1000 / 40 - 1000 * math.log(100 / (100 - p)) / budget_ms, rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_rate_of_equal_reading_times_is_the_textbooks(load: float) -> None:
    """M/D/1: Erlang's distribution of the waiting time, of which the budget is made."""

    def waits_at_most(periods: float) -> float:
        terms = [
            (-load * (periods - k)) ** k / math.factorial(k) * math.exp(load * (periods - k))
            for k in range(int(periods) + 1)
        ]
        return (1 - load) * math.fsum(terms)

    low, high = 0.0, 20.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(middle) < 0.95 else (low, middle)
    found = highest_rate([10.0] * 50, [True] * 50, p=95, budget_ms=10 * (1 + high))
    assert found == pytest.approx(100 * load, rel=0.02)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 100)), min_size=1, max_size=50))
def test_the_recursion_is_the_one_done_by_hand(frames: list[tuple[float, float]]) -> None:
    due = np.cumsum([gap for gap, _ in frames])
    expected, free = [], 0.0
    for at, (_, served) in zip(due, frames, strict=True):
        free = max(at, free) + served
        expected.append(free - at)
    assert queue_ms(due, np.array([served for _, served in frames])) == pytest.approx(expected)


def test_what_never_keeps_to_the_budget_has_no_rate() -> None:
    assert highest_rate([10.0] * 20, [True] * 20, p=99, budget_ms=9.9) is None
    assert highest_rate([10.0] * 20, [False] * 20, p=99, budget_ms=100) is None
    assert highest_rate([10.0] * 19 + [500], [True] * 20, p=99, budget_ms=100) is None
    assert highest_rate([10.0] * 20, [True] * 20, p=99, budget_ms=10.01) is not None
