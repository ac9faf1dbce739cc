"""The calibrated light: nothing is given that the account has not let through."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from device.errors import BoardRefused, BoardSilent, CalibrationInvalid, DoseExceeded
from device.light import BoardLink, CalibratedLight, DoseAccount, Eye, LineFaults, SimulatedBoard
from device.light.messages import NakCode
from tests.busy import at_a_calm_moment
from tests.device.light.conftest import FAST
from tests.device.light.lab import calibration, hazard
from tests.device.light.waiting import wait_until, when_charged

pytestmark = pytest.mark.usefixtures("patient")

NAME = "made-up exposure"


def light_with(link: BoardLink, limit: float) -> CalibratedLight:
    return CalibratedLight(link, DoseAccount(calibration(hazard(limit=limit))))


def test_a_flash_over_the_limit_is_never_sent(board: SimulatedBoard, link: BoardLink) -> None:
    light = light_with(link, 2.0)
    for _ in range(2):
        when_charged(lambda: light.flash(Eye.OD, 10_000, 50))
    with pytest.raises(DoseExceeded):
        light.flash(Eye.OD, 10_000, 50)
    assert len(board.flashes) == 2
    when_charged(lambda: light.flash(Eye.OS, 10_000, 50))
    assert len(board.flashes) == 3


def test_a_flash_whose_reply_is_lost_counts_as_given(board: SimulatedBoard, link: BoardLink) -> None:
    light = light_with(link, 1.0)
    board.faults = LineFaults(silent=True)
    with pytest.raises(BoardSilent):
        light.flash(Eye.OD, 10_000, 50)
    board.faults = LineFaults()
    with pytest.raises(DoseExceeded):
        light.flash(Eye.OD, 10_000, 50)


def test_continuous_light_goes_off_when_the_dose_is_used_up() -> None:
    lit_s: list[float] = []

    def goes_off_for_the_dose() -> None:
        with SimulatedBoard(ceilings=FAST) as board, BoardLink(board.port) as link:
            light = light_with(link, 1.0)
            light.illuminate(Eye.OD, 100)
            assert board.wait_for_light(True, timeout_s=60)
            assert board.wait_for_light(False, timeout_s=60)
            on, off = board.light_changes[-2:]
            lit_s.append((off.at_ns - on.at_ns) / 1e9)
            assert wait_until(lambda: light.refused is not None)
            assert link.failure is None
            assert not may_shine(light, Eye.OD), "the board's watchdog was before the dose, on a busy machine"
            assert may_shine(light, Eye.OS)
            assert light.refused is None
            light.off()
            assert board.led_level == 0

    at_a_calm_moment(goes_off_for_the_dose)
    assert max(lit_s) <= 1.0, "busy or not"


def may_shine(light: CalibratedLight, eye: Eye) -> bool:
    try:
        light.illuminate(eye, 100)
    except DoseExceeded:
        return False
    return True


def beats_since(link: BoardLink, beat: int) -> bool:
    return (link.status().last_seq - beat) % 256 >= 2


def test_the_account_is_never_below_the_light_that_was_on() -> None:
    """A machine that stands still for seconds keeps the simulated board's watchdog from ending the light in time."""

    def is_never_below() -> None:
        with SimulatedBoard(ceilings=FAST) as board, BoardLink(board.port) as link:
            light = light_with(link, 100.0)
            for level in (100, 50, 100):
                light.illuminate(Eye.OD, level)
                beat = link.status().last_seq
                assert wait_until(partial(beats_since, link, beat))
            light.off()
            on_s = (board.light_changes[-1].at_ns - board.light_changes[0].at_ns) / 1e9
            assert on_s <= light.account.used(Eye.OD)[NAME] <= on_s + 3 * 0.5 + 0.5

    at_a_calm_moment(is_never_below, failures=(AssertionError, BoardSilent, BoardRefused))


def test_light_that_the_board_refuses_is_not_counted_on(board: SimulatedBoard, link: BoardLink) -> None:
    light = light_with(link, 100.0)
    board.set_interlock(False)
    with pytest.raises(BoardRefused, match="interlock"):
        light.illuminate(Eye.OD, 100)
    used = light.account.used(Eye.OD)[NAME]
    beat = link.status().last_seq
    assert wait_until(lambda: (link.status().last_seq - beat) % 256 >= 3)
    assert light.account.used(Eye.OD)[NAME] == used == 0.5


def test_a_calibration_for_another_board_is_refused(link: BoardLink) -> None:
    other = calibration().model_copy(update={"board_id": 7})
    with pytest.raises(CalibrationInvalid, match="is for board 0000000000000007"):
        CalibratedLight(link, DoseAccount(other))


def test_a_guard_that_was_there_is_still_asked(board: SimulatedBoard, link: BoardLink) -> None:
    link.guard = lambda: False
    light_with(link, 100.0)
    assert wait_until(lambda: "guard said no" in str(link.failure))


def test_a_flash_that_the_board_refused_does_not_count() -> None:
    with SimulatedBoard(ceilings=replace(FAST, recharge_ms=3_600_000)) as board, BoardLink(board.port) as link:
        light = light_with(link, 100.0)
        light.flash(Eye.OD, 10_000, 50)
        for _ in range(2):
            with pytest.raises(BoardRefused):
                light.flash(Eye.OD, 10_000, 50)
        assert len(board.flashes) == link.totals().flashes == 1
        assert light.account.used(Eye.OD) == pytest.approx({NAME: 1.0})


def flash_on(light: CalibratedLight, times: int) -> None:
    for _ in range(times):
        light.flash(Eye.OD, 10_000, 50)


def test_a_board_that_refuses_by_itself_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CalibratedLight, "_check_charged", lambda _: None)

    def is_believed() -> None:
        with SimulatedBoard() as board, BoardLink(board.port) as link:
            light = light_with(link, 100.0)
            with pytest.raises(BoardRefused, match="recharging"):
                flash_on(light, 50)  # a busy machine may let a gap pass before it asks again
            assert light.account.used(Eye.OD) == pytest.approx({NAME: float(len(board.flashes))})
            assert light.account.used(Eye.OD) == pytest.approx({NAME: 1.0})

    at_a_calm_moment(is_believed, failures=(AssertionError, BoardSilent, BoardRefused))


@pytest.mark.parametrize("trouble", ["interlock", "hot"])
def test_a_flash_refused_for_the_boards_state_does_not_count(
    board: SimulatedBoard, link: BoardLink, trouble: str
) -> None:
    light = light_with(link, 100.0)
    if trouble == "hot":
        board.set_overheated(True)
    else:
        board.set_interlock(False)
    for _ in range(3):
        with pytest.raises(BoardRefused):
            light.flash(Eye.OD, 10_000, 50)
    assert light.account.used(Eye.OD) == {NAME: 0}
    assert light.account.exposures == ()


def test_a_board_that_knows_nothing_of_the_arming_may_have_flashed(
    board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = light_with(link, 100.0)
    refusal = BoardRefused("not armed", code=NakCode.NOT_ARMED, detail=0)
    monkeypatch.setattr(link, "fire", lambda: (_ for _ in ()).throw(refusal))
    with pytest.raises(BoardRefused):
        light.flash(Eye.OD, 10_000, 50)
    assert light.account.used(Eye.OD) == pytest.approx({NAME: 1.0})


def test_another_infants_account_puts_the_light_out(board: SimulatedBoard, link: BoardLink) -> None:
    light = light_with(link, 100.0)
    light.illuminate(Eye.OD, 100)
    assert board.wait_for_light(True, timeout_s=60)
    other = light_with(link, 100.0).account
    light.turn_to(other)
    assert board.wait_for_light(False, timeout_s=60)
    light.flash(Eye.OS, 10_000, 50)
    assert other.used(Eye.OS) == pytest.approx({NAME: 1.0})
