"""The account on disk: there before the light is, whole after a crash, and no light without it."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device.errors import DoseExceeded, DoseUnrecorded
from device.light import BoardLink, CalibratedLight, DoseAccount, DoseFile, Eye, LightKind, SimulatedBoard
from device.light.dose import Exposure
from tests.device.light.lab import calibration, hazard
from tests.device.light.waiting import wait_until

pytestmark = pytest.mark.usefixtures("patient")
NAME = "made-up exposure"


def account(file: DoseFile, limit: float = 10.0) -> DoseAccount:
    return DoseAccount(calibration(hazard(limit=limit)), exposures=file.exposures, keep=file.keep)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "infant.dose"


def test_an_account_goes_on_where_it_was(path: Path) -> None:
    with DoseFile(path) as file:
        first = account(file)
        first.add(Eye.OD, LightKind.FLASH, 50, 0.01)
        for _ in range(30):
            first.add(Eye.OS, LightKind.LED, 100, 0.1)
    with DoseFile(path) as file:
        second = account(file)
        assert second.used(Eye.OD) == pytest.approx(first.used(Eye.OD))
        assert second.used(Eye.OS) == pytest.approx({NAME: 3.0})
        assert len(second.exposures) == 2, "slices of one light are one exposure"
        second.add(Eye.OS, LightKind.LED, 100, 6.9)
        with pytest.raises(DoseExceeded):
            second.add(Eye.OS, LightKind.LED, 100, 0.2)
    assert path.stat().st_mode & 0o077 == 0


def test_what_was_refused_is_not_kept(path: Path) -> None:
    with DoseFile(path) as file, pytest.raises(DoseExceeded):
        account(file).add(Eye.OD, LightKind.LED, 100, 11.0)
    assert path.read_bytes() == b""


@pytest.mark.system
def test_a_flash_that_was_armed_when_the_program_was_killed_is_in_the_account(
    path: Path, board: SimulatedBoard
) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from device.light import BoardLink, CalibratedLight, DoseFile, Eye
from tests.device.light.test_dose_file import account
light = CalibratedLight(BoardLink(sys.argv[1]), account(DoseFile(Path(sys.argv[2]))))
light.flash(Eye.OD, 10_000, 50)
light.flash(Eye.OD, 10_000, 50, before_fire=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""
    root = Path(__file__).parents[3]
    died = subprocess.run([sys.executable, "-c", program, board.port, str(path)], cwd=root, timeout=300)
    assert died.returncode == -signal.SIGKILL
    assert len(board.flashes) == 1
    with DoseFile(path) as file:
        assert account(file).used(Eye.OD) == pytest.approx({NAME: 2.0})


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_last_line_that_was_not_finished_is_taken_off(path: Path, cut: int) -> None:
    with DoseFile(path) as file:
        for level in (10, 20):
            account(file).add(Eye.OD, LightKind.LED, level, 1.0)
    path.write_bytes(path.read_bytes()[:-cut])
    with DoseFile(path) as file:
        assert [exposure.level for exposure in file.exposures] == [10]
        account(file).add(Eye.OD, LightKind.LED, 30, 1.0)
    with DoseFile(path) as file:
        assert [exposure.level for exposure in file.exposures] == [10, 30]


WHEN = "2026-06-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "line",
    [
        *("", "{}", "text", "[]", "\xff"),
        f'["OD", "led", 0, 1.0, "{WHEN}"]',
        f'["OD", "led", 1.5, 1.0, "{WHEN}"]',
        f'["OD", "led", true, 1.0, "{WHEN}"]',
        f'["OD", "led", 1, true, "{WHEN}"]',
        f'["OD", "led", 1, "1_0", "{WHEN}"]',
        f'["XX", "led", 1, 1.0, "{WHEN}"]',
        f'["OD", "led", 1, Infinity, "{WHEN}"]',
        f'["OD", "led", 1, NaN, "{WHEN}"]',
        '["OD", "led", 1, 1.0, "2026-06-01T00:00:00"]',
        '["OD", "led", 1, 1.0, "yesterday"]',
    ],
)
def test_anything_else_in_it_is_refused(path: Path, line: str) -> None:
    path.write_bytes(line.encode("latin-1") + f'\n["OD", "led", 1, 1.0, "{WHEN}"]\n'.encode())
    with pytest.raises(DoseUnrecorded, match="line 1 is no exposure; expected the account of one infant"):
        DoseFile(path)


def test_two_programs_do_not_keep_one_account(path: Path) -> None:
    with DoseFile(path), pytest.raises(DoseUnrecorded, match="another program keeps this account; end it first"):
        DoseFile(path)
    DoseFile(path).close()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DoseUnrecorded, match=r"infant: the dose cannot be kept there \(No such file"):
        DoseFile(tmp_path / "none" / "infant")
    with pytest.raises(DoseUnrecorded, match="Is a directory"):
        DoseFile(tmp_path)


def test_light_that_cannot_be_recorded_is_not_given(
    path: Path, board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DoseFile(path) as file:
        light = CalibratedLight(link, account(file, limit=1e6))
        light.illuminate(Eye.OS, 100)

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(DoseUnrecorded, match="No space left on device"):
            light.flash(Eye.OD, 10_000, 50)
        assert board.wait_for_light(False, timeout_s=60)
        assert wait_until(lambda: "No space left" in str(link.failure))
        assert board.flashes == ()
        assert light.account.used(Eye.OD) == {NAME: 0}
        monkeypatch.undo()
        light.flash(Eye.OD, 10_000, 50)
    with DoseFile(path) as file:
        assert [exposure.eye for exposure in file.exposures][-1] is Eye.OD


def test_a_closed_file_keeps_nothing(path: Path) -> None:
    file = DoseFile(path)
    file.close()
    file.close()
    with pytest.raises(DoseUnrecorded):
        account(file).add(Eye.OD, LightKind.LED, 1, 1.0)


def test_what_was_taken_back_stays_so_over_a_restart(path: Path) -> None:
    with DoseFile(path) as file:
        kept = DoseAccount(calibration(hazard()), exposures=file.exposures, keep=file.keep, forget=file.forget)
        kept.add(Eye.OD, LightKind.FLASH, 50, 0.01)
        kept.take_back(kept.add(Eye.OD, LightKind.FLASH, 50, 0.02))
        used = kept.used(Eye.OD)
    with DoseFile(path) as file:
        assert len(file.exposures) == 1
        assert DoseAccount(calibration(hazard()), exposures=file.exposures).used(Eye.OD) == pytest.approx(used)


def exposures_of(path: Path, data: bytes) -> list[Exposure] | None:
    """What a file of these bytes tells; None where it is refused."""
    path.write_bytes(data)
    try:
        with DoseFile(path) as file:
            return list(file.exposures)
    except DoseUnrecorded:
        return None


@pytest.mark.parametrize("changes", [600, pytest.param(10_000, marks=pytest.mark.soak)])
def test_a_changed_byte_is_found(path: Path, changes: int) -> None:
    """Light that was given never vanishes: the last line, which can be unfinished, is no exception."""
    with DoseFile(path) as file:
        given = account(file)
        for level in (10, 20, 50):
            given.add(Eye.OD, LightKind.LED, level, 1.0)
            given.add(Eye.OS, LightKind.FLASH, level, 0.001)
        given.take_back(given.exposures[-1])
    data, draw = path.read_bytes(), random.Random(1)
    assert exposures_of(path, data) is not None
    for _ in range(changes):
        at, by = draw.randrange(len(data)), draw.randrange(1, 256)
        changed = bytearray(data)
        changed[at] ^= by
        assert exposures_of(path, bytes(changed)) is None, (at, by)


def test_an_account_of_older_software_goes_on(path: Path) -> None:
    old = f'["OD", "led", 10, 1.0, "{WHEN}"]\n'
    path.write_text(old)
    with DoseFile(path) as file:
        account(file).add(Eye.OD, LightKind.LED, 20, 1.0)
    with DoseFile(path) as file:
        assert [exposure.level for exposure in file.exposures] == [10, 20]
    assert exposures_of(path, path.read_bytes() + old.encode()) is None


@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_what_is_no_file_of_ours_is_refused_at_once(tmp_path: Path, planted: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (tmp_path / "dose").symlink_to(theirs) if planted == "link" else os.mkfifo(tmp_path / "dose")
    with pytest.raises(DoseUnrecorded, match="dose cannot be kept there"):
        DoseFile(tmp_path / "dose")
    assert theirs.read_text() == "theirs"
