"""Processes that read: each has said what it is before it is given a batch."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from device.frame import Frame
from runtime.exam.journal import Journal, crypt
from runtime.exam.journal.crypt import JournalKey
from runtime.reread import local, reader
from runtime.reread.__main__ import main
from runtime.reread.drive import HUNG, Batch, Done, drive
from runtime.reread.errors import RereadError
from runtime.reread.keyring import JournalKeys
from runtime.reread.local import LocalPool
from runtime.reread.reader import ReaderSettings
from runtime.reread.row import RereadResult
from runtime.reread.sources import find_sources, stored_in
from runtime.reread.stored import Stored
from tests.runtime.exam.making import NRF, journal_exam
from tests.runtime.reread.making import stored


def test_two_readers_each_begin_before_they_read_and_what_waits_at_one_that_ends_is_no_loss() -> None:
    """Frames without a picture: no network is asked, and both readers answer."""
    kept: list[RereadResult] = []
    with LocalPool(ReaderSettings(None), 2) as pool:
        drive(map(stored, range(100)), pool, kept.extend, lambda: False)
        assert pool.facts.software
        assert all(worker.process.is_alive() for worker in pool._workers)
        reader = pool._workers[0].process.pid
        assert reader is not None
        os.kill(reader, signal.SIGSTOP)
        given = [Batch((stored(number),)) for number in range(4)]
        for batch in given:
            pool.give(batch)
        assert not pool.free()
        os.kill(reader, signal.SIGKILL)
        done: list[Done] = []
        while len(done) < len(given):
            done += pool.wait()
    assert sorted(one.batch.frames[0].order[1] for one in done) == [0, 1, 2, 3]
    assert [(one.batch, one.why) for one in done if one.results is None] == [(given[0], "ended by SIGKILL")]
    assert sorted(one.order for one in kept) == [(0, n) for n in range(100)]
    assert {one.row.new_reason for one in kept} == {"the camera gave no frame"}


def test_a_reader_that_ends_as_it_begins_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_serve", _ends)
    with pytest.raises(RereadError, match=r"a reader ended before it began \(exit code 3\)"):
        LocalPool(ReaderSettings(None), 1)


def _ends(*_: object) -> None:
    raise SystemExit(3)


def test_a_reader_is_told_the_key_by_its_pipe_and_has_it_in_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = JournalKey.new()
    monkeypatch.setenv(crypt.KEY_VARIABLE, key.text)
    monkeypatch.setattr(crypt, "_taken", {})
    crypt.take_from_environment()
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0) as journal:
        journal_exam(journal, [NRF] * 2)
    frames = list(stored_in(find_sources([tmp_path / "j"]), JournalKeys([]), ["none", "ridge"], print))
    assert len(frames) == 2
    kept: list[RereadResult] = []
    with LocalPool(ReaderSettings(None), 1) as pool:
        process = pool._workers[0].process
        if os.geteuid() == 0:  # others may not look: the process lets nobody into its memory
            surroundings = Path(f"/proc/{process.pid}/environ").read_bytes()
            assert b"PATH=" in surroundings
            assert key.text.encode() not in surroundings
        drive(iter(frames), pool, kept.extend, lambda: False)
    assert [one.row.read for one in kept] == [True, True]


def test_a_key_of_the_surroundings_reaches_no_reader_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = JournalKey.new()
    monkeypatch.setattr(crypt, "_taken", {crypt.KEY_VARIABLE: key.text})
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0) as journal:
        journal_exam(journal, [NRF])
    assert main([str(tmp_path / "j"), "--out", str(tmp_path / "t.csv"), "--ray", "auto"]) == 2
    assert "name its file with --key-file, at the same place on every node" in capsys.readouterr().err


def test_a_frame_over_which_readers_hang_is_a_row_after_its_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_serve", _hangs)
    kept: list[RereadResult] = []
    with LocalPool(ReaderSettings(None), 1) as pool:
        drive(map(stored, range(40)), pool, kept.extend, lambda: False)
    assert sorted(one.order for one in kept) == [(0, n) for n in range(40)]
    reasons = {one.order[1]: one.row.new_reason for one in kept}
    assert reasons.pop(5) == f"its reader ended twice over this frame: {HUNG}"
    assert set(reasons.values()) == {"the camera gave no frame"}


def _hangs(pipe: Any, settings: ReaderSettings, cpu: int | None) -> None:
    """In the reader's process: over frame 5 it hangs, and whatever is to end it then does so at once."""
    load = reader.load

    def hang(stored: Stored, keys: JournalKeys) -> Frame | str:
        if stored.order[1] != 5:
            return load(stored, keys)
        unlimited = 0
        while True:
            if signal.getitimer(signal.ITIMER_REAL)[0]:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                unlimited = 0
            unlimited += 1
            if unlimited > 100:
                os._exit(9)  # nothing is to end it
            time.sleep(0.1)

    reader.load = hang
    local._serve(pipe, settings, cpu)
