from __future__ import annotations

import time

import pytest

from runtime.budget import Budget, Deadline
from runtime.errors import DeadlineMissed


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_a_number_above_zero(value: float) -> None:
    with pytest.raises(ValueError, match=r"budget for segment: got .* expected a number above zero"):
        Budget(segment=value)


def test_no_limit_is_never_missed() -> None:
    deadline = Deadline.after_ms(None)
    assert deadline.remaining_ms() is None
    deadline.check("decide")


def test_a_passed_deadline_names_the_stage() -> None:
    with pytest.raises(DeadlineMissed, match="used up at segment"):
        Deadline(time.monotonic() - 1).check("segment")
    assert Deadline(time.monotonic() - 1).remaining_ms() == 0


def test_the_sooner_deadline_counts() -> None:
    near, far, never = Deadline(1.0), Deadline(2.0), Deadline()
    assert near.sooner(far) is near
    assert far.sooner(near) is near
    assert never.sooner(far) is far
    assert far.sooner(never) is far
    assert never.sooner(never).at is None
