"""Processes that read: each has said what it is before it is given a batch."""

from __future__ import annotations

import os
import signal

import pytest

from runtime.reread import local
from runtime.reread.drive import Batch, Done, drive
from runtime.reread.errors import RereadError
from runtime.reread.local import LocalPool
from runtime.reread.reader import ReaderSettings
from runtime.reread.row import RereadResult
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
