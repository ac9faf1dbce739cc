"""The sender and the archive, killed at random points: every instance arrives once, and none is called done before."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.dicom.outbox import steps
from runtime.exam.journal import Journal
from tests.runtime.dicom.archives import CART_PORT, Orthanc, site
from tests.runtime.dicom.exams import KEY, fill_journal

pytestmark = pytest.mark.system
CHILD = Path(__file__).with_name("sender_child.py")
LONGEST_LIFE_S = 1.0
BATCH = 6


class Sender:
    """Starts senders, one at a time, and kills them."""

    def __init__(self, folder: Path, site_file: Path) -> None:
        command = [sys.executable, str(CHILD), str(folder), str(site_file)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(CHILD.parents[3])},
        )

    def live(self, seconds: float | None) -> int:
        """Let one run for that long, then kill it; None lets it finish. Gives its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        timer = threading.Timer(180 if seconds is None else seconds, _kill, [pid])
        timer.start()
        code = int(self._process.stdout.readline())
        timer.cancel()
        timer.join()
        return code

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)
        self._process.stdout.close()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def sending(folder: Path) -> Iterator[Sender]:
    where = site(folder, listen_port=CART_PORT, commitment_s=5)
    site_file = folder / "site.json"
    site_file.write_text(where.model_dump_json(by_alias=True))
    sender = Sender(folder / "journal", site_file)
    try:
        yield sender
    finally:
        sender.close()


def check(folder: Path, archive: Orthanc, *, archive_up: bool = True) -> int:
    """What must hold at any time; gives the number of exams that are done."""
    with contextlib.closing(sqlite3.connect(folder / "journal" / "journal.sqlite3")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Journal.open(folder / "journal", KEY) as journal:
        deliveries = journal.deliveries.all()
    done = [delivery for delivery in deliveries if delivery.state == steps.DONE]
    if archive_up:
        kept = archive.instances()
        assert len(kept) == len(set(kept))
        assert {i.uid for delivery in done for i in delivery.instances} <= set(kept)
        assert set(kept) <= {i.uid for delivery in deliveries for i in delivery.instances}
    return len(done)


def run(folder: Path, archive: Orthanc, kills: int, *, archive_every: int) -> None:
    """Kill that many senders; whenever one got everything away before its end, there are new exams."""
    chance = random.Random(20261122)
    exams = len(fill_journal(folder / "journal", exams=BATCH, frames=2))
    killed = turn = 0
    with sending(folder) as sender:
        while killed < kills:
            turn += 1
            with_archive = turn % archive_every == 0
            timer = threading.Timer(chance.uniform(0, LONGEST_LIFE_S), archive.kill if with_archive else lambda: None)
            timer.start()
            code = sender.live(chance.uniform(0, LONGEST_LIFE_S))
            timer.join()
            killed += code == -signal.SIGKILL
            if with_archive:
                check(folder, archive, archive_up=False)
                archive.start()
            check(folder, archive)
            if code == 0:
                exams += len(fill_journal(folder / "journal", exams=BATCH, frames=2, seed=turn * 100_000))
        assert sender.live(None) == 0
    assert check(folder, archive) == exams
    assert len(archive.instances()) == exams * 5


def test_twenty_kills(orthanc: Orthanc, tmp_path: Path) -> None:
    run(tmp_path, orthanc, kills=20, archive_every=7)


@pytest.mark.soak
def test_two_hundred_kills(orthanc: Orthanc, tmp_path: Path) -> None:
    run(tmp_path, orthanc, kills=200, archive_every=10)
