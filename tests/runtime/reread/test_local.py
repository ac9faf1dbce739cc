"""Processes that read: each has said what it is before it is given a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.reread import local
from runtime.reread.drive import drive
from runtime.reread.errors import RereadError
from runtime.reread.local import LocalPool
from runtime.reread.reader import ReaderSettings
from runtime.reread.row import RereadResult
from tests.runtime.reread.making import stored


def test_two_readers_each_begin_before_they_read(tmp_path: Path) -> None:
    """Frames without a picture: no network is asked, and both readers answer."""
    kept: list[RereadResult] = []
    with LocalPool(ReaderSettings(None), 2) as pool:
        drive(map(stored, range(100)), pool, kept.extend, lambda: False)
        assert pool.facts.software
        assert all(worker.process.is_alive() for worker in pool._workers)
    assert sorted(one.order for one in kept) == [(0, n) for n in range(100)]
    assert {one.row.new_reason for one in kept} == {"the camera gave no frame"}


def test_a_reader_that_ends_as_it_begins_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_serve", _ends)
    with pytest.raises(RereadError, match=r"a reader ended before it began \(exit code 3\)"):
        LocalPool(ReaderSettings(None), 1)


def _ends(*_: object) -> None:
    raise SystemExit(3)
