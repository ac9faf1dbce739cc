"""The clock that goes on while the machine sleeps."""

from __future__ import annotations

import time

import pytest

from runtime.uptime import uptime_s


def test_it_is_the_clock_that_counts_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def told(clock: int) -> float:
        asked.append(clock)
        return 12.5

    monkeypatch.setattr(time, "clock_gettime", told)
    assert uptime_s() == 12.5
    assert asked == [time.CLOCK_BOOTTIME]


def test_where_there_is_no_such_clock_it_still_goes_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    before = uptime_s()
    assert uptime_s() >= before
