"""Disks that are full, read-only or failing: a clear error, and everything that was accepted is still there."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runtime.exam.__main__ import main
from runtime.exam.errors import JournalError, JournalFull, JournalUnwritable, KeyUnusable
from runtime.exam.journal import Journal, reserve
from runtime.exam.journal.crypt import JournalKey, find_key
from runtime.exam.journal.database import Database
from runtime.exam.journal.verify import verify
from runtime.views import Eye, View
from tests.runtime.exam.making import REFER, RULES, frame, infant, journal_exam, reading

SIZE = "8m"
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system of its own; needs to be root."""
    mounted: list[Path] = []

    def make(*options: str, source: str = "none", name: str = "disk") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, source, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if shutil.which("mount") is None:
        pytest.skip("there is no mount program here")
    yield make
    for folder in reversed(mounted):
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - leave_bytes)))
    return filler


@pytest.mark.system
def test_a_disk_that_is_full_at_any_write_harms_nothing(mount: Mount, key: JournalKey) -> None:
    """From not one free byte to enough, in steps of a page: each write of an append fails once."""
    disk = mount("-t", "tmpfs", "-o", f"size={SIZE}")
    with Journal.open(disk / "j", key, create=True, floor_bytes=0) as journal:
        exam_id = journal.begin_exam(infant(), RULES, operator="anna")
        refused, accepted, read = 0, 0, 0
        said: set[str] = set()
        for step in range(40):
            filler, shot = fill(disk, 4096 * step), frame(step)
            try:
                number = journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna")
                accepted += 1
                journal.add_reading(exam_id, number, reading(shot, REFER))
                read += 1
            except JournalFull as error:
                said.add(str(error).partition(": ")[2])
                refused += 1
            filler.unlink()
            record = journal.exam(exam_id)
            assert len(record.captures) == accepted
            assert sum(1 for capture in record.captures if capture.reading) == read
        assert refused >= 5
        assert said == {"no space left; free some, then go on (what was kept before is whole)"}
        assert read >= 5
        assert verify(journal).findings == ()
        files = {path.stem for path in (disk / "j" / "images").rglob("*.sealed")}
        assert files == {capture.image_sha256 for capture in journal.exam(exam_id).captures}
        journal.close_exam(exam_id, operator="anna")


@pytest.mark.system
def test_a_new_journal_on_a_full_disk(mount: Mount, key: JournalKey) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m")
    fill(disk, 8192)
    with pytest.raises(JournalFull):
        Journal.open(disk / "j", key, create=True)
    (disk / "filler").unlink()
    with Journal.open(disk / "j", key, create=True, floor_bytes=0) as journal:
        assert verify(journal).findings == ()


@pytest.mark.system
def test_a_new_exam_on_a_full_disk_is_not_there(mount: Mount, key: JournalKey) -> None:
    disk = mount("-t", "tmpfs", "-o", f"size={SIZE}")
    with Journal.open(disk / "j", key, create=True, floor_bytes=0) as journal:
        opened, refused = [], 0
        for step in range(20):
            filler = fill(disk, 4096 * step)
            try:
                opened.append(journal.begin_exam(infant(), RULES, operator="anna"))
            except JournalFull:
                refused += 1
            filler.unlink()
            assert [exam.exam_id for exam in journal.exams()] == opened[::-1]
            if journal.open_exam():
                journal.close_exam(opened[-1], operator="anna")
        assert refused
        assert opened
        journal_exam(journal, [REFER])
        assert verify(journal).findings == ()


@pytest.mark.system
def test_a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written(
    mount: Mount, key: JournalKey, tmp_path: Path
) -> None:
    with Journal.open(tmp_path / "written", key, create=True) as journal:
        exam_id = journal_exam(journal, [REFER])
    folder = mount("--bind", source=str(tmp_path / "written"), name="seen")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    with pytest.raises(JournalUnwritable, match="the folder is read-only"):
        Journal.open(folder, key)
    with pytest.raises(JournalUnwritable, match="Read-only file system; give this user a folder"):
        Journal.open(folder / "new", key, create=True)
    with Journal.open(folder, key, read_only=True) as journal:
        assert journal.infant(exam_id).infant_id == "H-1"
        assert verify(journal).findings == ()
        with pytest.raises(JournalUnwritable, match="open for reading only"):
            journal.begin_exam(infant(), RULES, operator="anna")


@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_file_that_cannot_be_kept_refuses_the_frame(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    exam_id = journal.begin_exam(infant(), RULES, operator="anna")
    real = getattr(os, call)
    refusals: list[JournalError] = []
    for fails_at in range(3):
        calls = iter(range(100))

        def failing(*arguments: Any, real: Any = real, calls: Any = calls, fails_at: int = fails_at) -> Any:
            if next(calls) == fails_at:
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                journal.add_capture(exam_id, Eye.OD, View.DISC, frame(fails_at), operator="anna")
            except JournalError as error:
                refusals.append(error)
    assert {type(error) for error in refusals} == {JournalFull if number == errno.ENOSPC else JournalUnwritable}
    captures = journal.exam(exam_id).captures
    assert verify(journal).findings == ()
    journal.close()
    with Journal.open(journal.folder, journal.key) as again:
        assert again.exam(exam_id).captures == captures
        assert len(list((journal.folder / "images").rglob("*.sealed"))) == len(captures)
        assert list((journal.folder / "incoming").iterdir()) == []


def test_another_program_that_holds_the_journal_for_long(
    journal: Journal, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.exam.journal.database.BUSY_MS", 50)
    with (
        Journal.open(journal.folder, key) as impatient,
        journal.database.writing(),
        pytest.raises(JournalUnwritable, match="another program has held it"),
    ):
        impatient.begin_exam(infant(), RULES, operator="anna")


@pytest.mark.system
@pytest.mark.parametrize("log", [False, True], ids=["alone", "with the log of a kill"])
def test_not_one_free_byte_stops_neither_reading_nor_retirement(
    mount: Mount,
    key: JournalKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    log: bool,
) -> None:
    """By the commands; the newest event is in SQLite's log where that was left."""
    monkeypatch.setattr(reserve, "AMPLE", 1)
    monkeypatch.setattr(reserve, "RESERVE_BYTES", 1 << 20)
    monkeypatch.setattr(reserve, "SMALLEST_BYTES", 1)
    disk = mount("-t", "tmpfs", "-o", "size=9m")
    Journal.open(tmp_path / "j", key, create=True).close()
    with Journal.open(tmp_path / "j", key, floor_bytes=0) as journal:
        assert (tmp_path / "j" / reserve.FILE).exists()
        exam_id = journal_exam(journal, [REFER] * 4)
        if log:
            shutil.copytree(tmp_path / "j", disk / "j")
            (disk / "j" / "journal.sqlite3-shm").unlink()
    if not log:
        shutil.copytree(tmp_path / "j", disk / "j")
    (tmp_path / "cart.key").touch(0o600)
    (tmp_path / "cart.key").write_text(key.text)
    with suppress(OSError), (disk / "filler").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    assert shutil.disk_usage(disk).free == 0
    common = ["--journal", str(disk / "j"), "--key-file", str(tmp_path / "cart.key")]
    for call in (["list"], ["show", exam_id], ["verify"], ["export", exam_id, "--out", str(tmp_path / "r.html")]):
        assert main([*call, *common]) == 0, call
    assert f"{exam_id}  " in capsys.readouterr().out
    retire = ["retire", "--operator", "anna", "--older-than-days", "0", "--no-archive", *common]
    assert main(retire) == 0
    assert "1 exam(s) retired" in capsys.readouterr().out
    assert main(["verify", *common]) == 0


def test_reading_goes_on_where_sqlite_cannot_share(
    tmp_path: Path, key: JournalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, where the file that it shares with other processes cannot be made."""
    with Journal.open(tmp_path / "j", key, create=True) as journal:
        exam_id = journal_exam(journal, [REFER])
    prepares, opened = Database._prepare, []

    def prepare(self: Database) -> None:
        opened.append(self)
        if len(opened) == 1:
            raise JournalFull("no space")
        prepares(self)

    monkeypatch.setattr(Database, "_prepare", prepare)
    with Journal.open(tmp_path / "j", key, read_only=True) as journal:
        assert journal.exam(exam_id).captures
        with pytest.raises(JournalUnwritable):
            journal.close_exam(exam_id, operator="anna")
        assert not list((tmp_path / "j").glob("*-shm"))
    opened.clear()
    with pytest.raises(JournalFull):
        Journal.open(tmp_path / "j", key)


def test_space_is_put_aside_only_where_there_is_plenty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = reserve.Reserve(tmp_path)
    (tmp_path / "journal.sqlite3").write_bytes(bytes(1000))
    kept.make()
    assert not kept.path.exists()  # a journal that is hardly begun
    (tmp_path / "journal.sqlite3").write_bytes(bytes(1 << 20))
    kept.make()
    assert kept.path.stat().st_size == reserve.RESERVE_BYTES
    free = [0]
    monkeypatch.setattr(reserve.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, free[0]))  # type: ignore[attr-defined]
    with kept.given_back():
        assert not kept.path.exists()
    assert not kept.path.exists()  # the disk is still full
    free[0] = 1 << 40
    with kept.given_back():
        assert not kept.path.exists()
    assert kept.path.exists()
    with kept.given_back():
        assert kept.path.exists()


@pytest.mark.parametrize("name", ["journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm", "cart.key"])
@pytest.mark.parametrize("how", ["pipe", "link"])
def test_a_pipe_in_a_files_place_is_not_waited_for_and_no_link_leads_a_log_elsewhere(
    tmp_path: Path, name: str, how: str
) -> None:
    key, folder, others = JournalKey(bytes(32)), tmp_path / "j", tmp_path / "precious"
    with Journal.open(folder, key, create=True, floor_bytes=0) as journal:
        journal_exam(journal)
    others.write_bytes(b"another's")
    others.chmod(0o600)
    planted = tmp_path / name if name == "cart.key" else folder / name
    planted.unlink(missing_ok=True)
    if how == "pipe":
        os.mkfifo(planted)
    else:
        planted.symlink_to(others)
    with pytest.raises((JournalError, KeyUnusable), match=r"(no|not a) regular file|not a database|expected"):
        find_key(planted) if name == "cart.key" else Journal.open(folder, key, floor_bytes=0)
    assert others.read_bytes() == b"another's"
