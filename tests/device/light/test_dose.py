"""The dose account: what counts, for how long, and what is refused."""

from __future__ import annotations

import math
import time
from datetime import date, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import CalibrationInvalid, DoseExceeded
from device.light import DoseAccount, Exposure, Eye, LightKind
from device.light.dose import SteadyClock
from tests.device.light.lab import calibration, hazard

NAME = "made-up exposure"
START = datetime(2026, 6, 1, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_light_adds_up_for_its_own_eye(clock: Clock) -> None:
    account = DoseAccount(calibration(), clock=clock)
    account.add(Eye.OD, LightKind.LED, 100, 2.0)
    account.add(Eye.OD, LightKind.FLASH, 50, 0.01)
    assert account.used(Eye.OD) == {NAME: pytest.approx(3.0)}
    assert account.used(Eye.OS) == {NAME: 0.0}


def test_what_would_pass_the_limit_is_refused_and_not_counted(clock: Clock) -> None:
    account = DoseAccount(calibration(), clock=clock)
    account.add(Eye.OD, LightKind.LED, 100, 9.5)
    expected = r"OD, made-up exposure: 9.5 given and 1 asked, limit 10 units in 60 s .*wait, or use less light"
    with pytest.raises(DoseExceeded, match=expected):
        account.add(Eye.OD, LightKind.FLASH, 50, 0.01)
    assert account.used(Eye.OD)[NAME] == 9.5
    account.add(Eye.OD, LightKind.LED, 100, 0.5)
    account.add(Eye.OS, LightKind.FLASH, 50, 0.1)


def test_between_two_calibrated_levels_the_higher_rate_counts(clock: Clock) -> None:
    account = DoseAccount(calibration(), clock=clock)
    account.add(Eye.OD, LightKind.LED, 101, 1.0)
    assert account.used(Eye.OD)[NAME] == 4.0


@pytest.mark.parametrize(
    ("kind", "level", "text"),
    [(LightKind.LED, 1001, "expected at most 1000"), (LightKind.FLASH, 51, "expected at most 50")],
)
def test_a_level_over_the_calibrated_ones_is_refused(clock: Clock, kind: LightKind, level: int, text: str) -> None:
    with pytest.raises(DoseExceeded, match=f"is not calibrated, {text}"):
        DoseAccount(calibration(), clock=clock).add(Eye.OD, kind, level, 0.001)


def test_a_light_that_was_not_calibrated_is_refused(clock: Clock) -> None:
    account = DoseAccount(calibration(hazard(flash=())), clock=clock)
    with pytest.raises(DoseExceeded, match="a file that calibrates this light"):
        account.add(Eye.OD, LightKind.FLASH, 1, 0.001)


def test_the_strictest_hazard_decides(clock: Clock) -> None:
    account = DoseAccount(calibration(hazard(), hazard(name="thermal", limit=1.0)), clock=clock)
    with pytest.raises(DoseExceeded, match="thermal"):
        account.add(Eye.OD, LightKind.LED, 100, 2.0)
    assert account.exposures == ()


def test_light_counts_until_its_end_is_older_than_the_window(clock: Clock) -> None:
    account = DoseAccount(calibration(), clock=clock)
    account.add(Eye.OD, LightKind.LED, 100, 10.0)
    clock.now += timedelta(seconds=70)
    assert account.used(Eye.OD)[NAME] == 10.0
    clock.now += timedelta(milliseconds=1)
    assert account.used(Eye.OD)[NAME] == 0.0


def test_a_clock_set_back_forgets_nothing(clock: Clock) -> None:
    account = DoseAccount(calibration(), clock=clock)
    account.add(Eye.OD, LightKind.LED, 100, 10.0)
    clock.now -= timedelta(days=365)
    with pytest.raises(DoseExceeded):
        account.add(Eye.OD, LightKind.LED, 100, 0.1)


def test_a_clock_set_forward_makes_no_dose_old(monkeypatch: pytest.MonkeyPatch) -> None:
    class Jumped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Jumped:
            return cls.fromtimestamp(time.time() + 86_400, tz)

    clock = SteadyClock()
    before = clock()
    monkeypatch.setattr("device.light.dose.datetime", Jumped)
    assert SteadyClock()() - before >= timedelta(days=1)
    assert timedelta(0) <= clock() - before < timedelta(hours=1)
    now_s = time.monotonic()
    monkeypatch.setattr("device.light.dose.time.monotonic", lambda: now_s + 100)
    assert clock() - before >= timedelta(seconds=100)


def test_at_the_end_of_the_calibrations_last_day_there_is_no_more_light(clock: Clock) -> None:
    account = DoseAccount(calibration(expires=date(2026, 6, 1)), clock=clock)
    clock.now = datetime(2026, 6, 1, 23, 59, 59, tzinfo=timezone.utc)
    account.add(Eye.OD, LightKind.FLASH, 50, 0.01)
    clock.now += timedelta(seconds=1)
    with pytest.raises(CalibrationInvalid, match=r"expired on 2026-06-01, today is 2026-06-02 \(UTC\); have the board"):
        account.add(Eye.OD, LightKind.FLASH, 50, 0.01)
    assert len(account.exposures) == 1


def test_an_account_goes_on_after_a_restart(clock: Clock) -> None:
    first = DoseAccount(calibration(), clock=clock)
    first.add(Eye.OS, LightKind.LED, 100, 9.0)
    second = DoseAccount(calibration(), exposures=first.exposures, clock=clock)
    with pytest.raises(DoseExceeded):
        second.add(Eye.OS, LightKind.LED, 100, 1.5)


def test_hours_of_light_stay_a_short_list(clock: Clock) -> None:
    account = DoseAccount(calibration(hazard(limit=1e9, window_s=1e6)), clock=clock)
    for _ in range(3000):
        account.add(Eye.OD, LightKind.LED, 100, 0.1)
        clock.now += timedelta(seconds=0.1)
    assert len(account.exposures) <= 6
    assert account.used(Eye.OD)[NAME] == pytest.approx(300.0)


@pytest.mark.parametrize(("level", "duration_s"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, math.nan), (1, math.inf)])
def test_no_light_is_no_exposure(clock: Clock, level: int, duration_s: float) -> None:
    with pytest.raises(ValueError, match="expected both above zero"):
        DoseAccount(calibration(), clock=clock).add(Eye.OD, LightKind.LED, level, duration_s)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Eye),
            st.sampled_from(LightKind),
            st.integers(1, 1100),
            st.floats(0.001, 8.0),
            st.floats(0, 30.0),
        ),
        max_size=40,
    )
)
def test_no_window_ever_holds_more_than_the_limit(asked: list[tuple[Eye, LightKind, int, float, float]]) -> None:
    """Against a plain sum over every exposure that was let through, in every window that ends with one."""
    clock, given_ = Clock(), list[tuple[Exposure, float]]()
    account = DoseAccount(calibration(), clock=clock)
    for eye, kind, level, duration_s, pause_s in asked:
        clock.now += timedelta(seconds=pause_s)
        rate = {LightKind.LED: 1.0 if level <= 100 else 4.0, LightKind.FLASH: 100.0}[kind]
        try:
            account.add(eye, kind, level, duration_s)
        except DoseExceeded:
            continue
        assert level <= (1000 if kind is LightKind.LED else 50)
        ended = clock.now + timedelta(seconds=duration_s)
        given_.append((Exposure(eye, kind, level, duration_s, ended), rate * duration_s))
        oldest = clock.now - timedelta(seconds=60)
        total = sum(dose for e, dose in given_ if e.eye == eye and e.ended >= oldest)
        assert total <= 10.0 + 1e-9
