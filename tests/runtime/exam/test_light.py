"""The light of an exam: on the infant's account in the journal, over exams, restarts and clocks, before it is given."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from device.errors import BoardRefused, DoseExceeded, DoseUnrecorded
from device.light import SIMULATED_CEILINGS, BoardLink, LightCalibration, SimulatedBoard
from runtime.exam import light as light_module
from runtime.exam.errors import JournalError
from runtime.exam.infant import now_utc
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.verify import verify
from runtime.exam.light import ExamLight, LightJournal, age_s, boot_id
from runtime.uptime import uptime_s
from runtime.views import Eye
from tests.device.light.lab import calibration, hazard
from tests.device.light.waiting import wait_until, when_charged
from tests.runtime.exam.making import RULES, infant

pytestmark = pytest.mark.usefixtures("patient")

NAME = "made-up exposure"
FLASH = (Eye.OD, 5_000, 50)
"""0.5 of the hazard's unit."""


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard() as made:
        yield made


@pytest.fixture
def link(board: SimulatedBoard) -> Iterator[BoardLink]:
    with BoardLink(board.port) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, key: JournalKey) -> Path:
    Journal.open(tmp_path / "j", key, create=True).close()
    return tmp_path / "j"


@pytest.fixture
def key() -> JournalKey:
    return JournalKey(bytes(range(32)))


def opened(folder: Path, key: JournalKey, infant_id: str = "H-1") -> str:
    with Journal.open(folder, key, floor_bytes=0) as journal:
        already = journal.open_exam()
        if already is not None:
            journal.close_exam(already.exam_id, operator="anna")
        return journal.begin_exam(infant(infant_id=infant_id), RULES, operator="anna")


@contextmanager
def lit(
    folder: Path,
    key: JournalKey,
    link: BoardLink,
    limits: LightCalibration,
    clock: Callable[[], datetime] = now_utc,
) -> Iterator[ExamLight]:
    with LightJournal(folder, key, clock=clock) as kept, ExamLight(kept, link, limits) as light:
        yield light


def test_light_is_in_the_journal_with_its_dose_and_what_is_left(folder: Path, key: JournalKey, link: BoardLink) -> None:
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        light.light.flash(*FLASH)
        assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5)
        assert light.last_flash is not None
        assert light.last_flash["duration_s"] == 0.005
    with Journal.open(folder, key) as journal:
        (given,) = journal.exam(exam_id).exposures
        assert (given["eye"], given["kind"], given["level"], given["state"]) == ("OD", "flash", 50, "counted")
        told = given["hazards"][NAME]
        assert (told["dose"], told["used"], told["limit"]) == (pytest.approx(0.5), pytest.approx(0.5), 2.0)
        assert "H-1" not in str(given)
        assert verify(journal).findings == ()


def test_the_account_is_the_infants_over_exams_and_restarts(folder: Path, key: JournalKey, link: BoardLink) -> None:
    for number in range(4):
        exam_id = opened(folder, key, "h-1 " if number == 2 else "H-1")  # as another hand types it
        with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
            light.for_exam(exam_id, "anna")
            assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5 * number)
            when_charged(lambda: light.light.flash(*FLASH))
    exam_id, other = opened(folder, key), ""
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        with pytest.raises(DoseExceeded):
            light.light.flash(*FLASH)
        other = opened(folder, key, "H-2")
        light.for_exam(other, "anna")
        when_charged(lambda: light.light.flash(*FLASH))


def test_a_refused_flash_is_not_on_the_account(folder: Path, key: JournalKey) -> None:
    exam_id, limits = opened(folder, key), calibration(hazard(limit=100.0))
    slow = replace(SIMULATED_CEILINGS, recharge_ms=3_600_000)
    with SimulatedBoard(ceilings=slow) as board, BoardLink(board.port) as link:
        with lit(folder, key, link, limits) as light:
            light.for_exam(exam_id, "anna")
            light.light.flash(*FLASH)
            for _ in range(2):
                with pytest.raises(BoardRefused):
                    light.light.flash(*FLASH)
        with Journal.open(folder, key) as journal:
            states = [body["state"] for body in journal.exam(exam_id).exposures]
            assert states.count("counted") == len(board.flashes) == 1
            assert states.count("refused") == 2
            assert verify(journal).findings == ()
        with lit(folder, key, link, limits) as light:
            light.for_exam(exam_id, "anna")
            assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5)


def test_continuous_light_is_counted_ahead_and_settled_when_it_goes_out(
    folder: Path, key: JournalKey, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light_module, "AHEAD_S", 120.0)  # more than a busy machine takes for what follows
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=1e6))) as light:
        light.for_exam(exam_id, "anna")
        light.light.illuminate(Eye.OS, 100)
        with Journal.open(folder, key) as journal:
            (ahead,) = journal.exam(exam_id).exposures
            assert ahead["state"] == "counted"
            assert ahead["duration_s"] >= light_module.AHEAD_S
        time.sleep(0.3)
        light.light.off()
        used = light.left(Eye.OS)[NAME].used
    with Journal.open(folder, key) as journal:
        (given,) = journal.exam(exam_id).exposures
        assert given["state"] == "given"
        assert given["duration_s"] < light_module.AHEAD_S
        assert given["hazards"][NAME]["dose"] == pytest.approx(used)
        assert verify(journal).findings == ()


def test_without_an_exam_no_light_is_given(
    folder: Path, key: JournalKey, board: SimulatedBoard, link: BoardLink
) -> None:
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        with pytest.raises(DoseUnrecorded, match="no exam is open"):
            light.light.flash(*FLASH)
        light.for_exam(exam_id, "anna")
        light.no_exam()
        with pytest.raises(DoseUnrecorded, match="no exam is open"):
            light.light.illuminate(Eye.OD, 100)
    assert board.flashes == ()
    assert board.light_changes == ()


def test_light_that_cannot_be_written_is_not_given(
    folder: Path, key: JournalKey, board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        monkeypatch.setattr(Journal, "expose", lambda *_, **__: (_ for _ in ()).throw(JournalError("disk")))
        with pytest.raises(DoseUnrecorded, match="cannot be written"):
            light.light.flash(*FLASH)
        assert light.left(Eye.OD)[NAME].used == 0
    assert board.flashes == ()


def test_a_corrected_infant_takes_the_light_of_the_exam_along(folder: Path, key: JournalKey, link: BoardLink) -> None:
    exam_id = opened(folder, key, "H-1")
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        light.light.flash(*FLASH)
        with Journal.open(folder, key) as journal:
            journal.amend(exam_id, infant=infant(infant_id="H-2"), reason="of the twin", operator="anna")
            assert verify(journal).findings == ()
        light.for_exam(exam_id, "anna")
        assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5)


def test_the_account_outlives_the_exam_and_no_file_beside_the_journal_is_needed(
    folder: Path, key: JournalKey, link: BoardLink, tmp_path: Path
) -> None:
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        light.light.flash(*FLASH)
    with Journal.open(folder, key, floor_bytes=0) as journal:
        journal.close_exam(exam_id, operator="anna")
        journal.retire_exam(exam_id, operator="anna")
        assert verify(journal).findings == ()
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("journal.sqlite3", "journal.head"):
        shutil.copy(folder / name, copied / name)
    exam_id = opened(copied, key)
    with lit(copied, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [timedelta(days=300), timedelta(days=-300)])
def test_a_clock_that_is_set_makes_no_dose_old(
    folder: Path, key: JournalKey, link: BoardLink, shift: timedelta
) -> None:
    exam_id = opened(folder, key)
    with lit(folder, key, link, calibration(hazard(limit=2.0))) as light:
        light.for_exam(exam_id, "anna")
        light.light.flash(*FLASH)
    with lit(folder, key, link, calibration(hazard(limit=2.0)), clock=lambda: now_utc() + shift) as light:
        light.for_exam(exam_id, "anna")
        assert light.left(Eye.OD)[NAME].used == pytest.approx(0.5)


def test_how_long_ago_light_was() -> None:
    now = now_utc()
    hour = {"boot": boot_id(), "uptime_s": uptime_s() - 3600, "ended": (now - timedelta(days=9)).isoformat()}
    assert age_s(hour, now) == pytest.approx(3600, abs=5), "within one start of the machine its uptime tells"
    before = hour | {"boot": "another start"}
    assert age_s(before, now) == pytest.approx(9 * 86400)
    jumped = ((now - timedelta(days=1), 7 * 86400.0), (now - timedelta(days=2), -50.0))
    assert age_s(before, now, jumped) == pytest.approx(2 * 86400), "a jump forward that the trail saw makes nothing old"
    assert age_s(before, now - timedelta(days=30)) == 0, "a clock that was set back"
    assert isinstance(datetime.fromisoformat(str(hour["ended"])), datetime)


def bench_flash(link: BoardLink) -> None:
    """As `python -m device light fire` gives it: on no account."""

    def given() -> bool:
        with suppress(BoardRefused):  # as while a busy machine's heartbeats come late
            link.arm(5_000, 50)
            link.fire()
            return True
        return False

    assert wait_until(given)


def test_light_that_no_account_has_is_found_at_the_next_start(folder: Path, key: JournalKey) -> None:
    limits = calibration(hazard())
    with SimulatedBoard() as board, BoardLink(board.port) as link:
        for infant_id in ("H-1", "H-2"):  # what the journal counted goes with the board, over exams and restarts
            with lit(folder, key, link, limits) as light:
                light.for_exam(opened(folder, key, infant_id), "anna")
                when_charged(lambda: light.light.flash(*FLASH))
                light.light.illuminate(Eye.OS, 50)
                light.light.off()
        time.sleep(0.3)
        bench_flash(link)
        with lit(folder, key, link, limits) as light:
            with pytest.raises(DoseUnrecorded, match=r"it gave 2 flashes .* knows of 1 flashes .*power off and on"):
                light.for_exam(opened(folder, key, "H-3"), "anna")
            given = len(board.flashes)
            with pytest.raises(DoseUnrecorded, match="no exam is open"):
                light.light.flash(*FLASH)
            assert len(board.flashes) == given
    with SimulatedBoard() as board, BoardLink(board.port) as link, lit(folder, key, link, limits) as light:
        light.for_exam(opened(folder, key, "H-3"), "anna")  # a person switched it off and on
        when_charged(lambda: light.light.flash(*FLASH))
    with Journal.open(folder, key, read_only=True) as journal:
        assert verify(journal).findings == ()


def test_another_journal_gives_no_light_by_a_board_that_shone_before(
    folder: Path, key: JournalKey, link: BoardLink, tmp_path: Path
) -> None:
    limits = calibration(hazard())
    with lit(folder, key, link, limits) as light:
        light.for_exam(opened(folder, key), "anna")
        when_charged(lambda: light.light.flash(*FLASH))
    shutil.rmtree(folder)
    Journal.open(folder, key, create=True).close()
    with lit(folder, key, link, limits) as light, pytest.raises(DoseUnrecorded, match="since its power came"):
        light.for_exam(opened(folder, key), "anna")


def test_light_of_a_retired_exam_is_still_counted(folder: Path, key: JournalKey, link: BoardLink) -> None:
    limits = calibration(hazard())
    with lit(folder, key, link, limits) as light:
        exam_id = opened(folder, key)
        light.for_exam(exam_id, "anna")
        when_charged(lambda: light.light.flash(*FLASH))
    with Journal.open(folder, key) as journal:
        journal.close_exam(exam_id, operator="anna")
        journal.retire_exam(exam_id, operator="anna")
    with lit(folder, key, link, limits) as light:
        light.for_exam(opened(folder, key, "H-2"), "anna")
