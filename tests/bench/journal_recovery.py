"""Start-up of a journal with many exams after its program was killed in the middle of one.

    python tests/bench/journal_recovery.py [--exams 10000] [--frames 4] [--kills 5] [--keep DIR]

Fills a journal (without flushing, which only the filling leaves out), then kills a program that runs an exam on it and
measures how long the next opening takes. Prints one JSON object; 1 when an opening takes a second or more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[2]))

from device.errors import DeviceError
from device.frame import Frame
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.session import ExamSession
from runtime.reading import Reading
from tests.runtime.exam.making import NRF, PLACES, RULES, frame, infant, reading

KEY = JournalKey(bytes(32))
GOAL_S = 1.0


class Told:
    """Gives each frame the reading that it was told to."""

    def screen(self, shot: Frame) -> Reading:
        """One reading."""
        return reading(shot)

    def unreadable(self, error: DeviceError) -> Reading:
        """No camera is here that could fail."""
        raise error


def fill(folder: Path, exams: int, frames: int) -> None:
    """Make the exams."""
    shots = [frame(number) for number in range(frames)]
    with patch("os.fsync"), Journal.open(folder, KEY, create=True) as journal:
        journal.database.connection.execute("PRAGMA synchronous = OFF")
        start = time.monotonic()
        for number in range(exams):
            exam_id = journal.begin_exam(infant(), RULES, operator="bench")
            for i, shot in enumerate(shots):
                taken = journal.add_capture(exam_id, *PLACES[i % len(PLACES)], shot, operator="bench")
                journal.add_reading(exam_id, taken, reading(shot, NRF))
            journal.close_exam(exam_id, operator="bench")
            if number % 500 == 499:
                left_s = (time.monotonic() - start) / (number + 1) * (exams - number - 1)
                print(f"{number + 1} of {exams} exams, {left_s:.0f} s left", file=sys.stderr)


def kill_one(folder: Path, after_s: float) -> None:
    """Start a program that runs exams, and kill it."""
    process = os.fork()
    if process == 0:
        with Journal.open(folder, KEY) as journal:
            session, number = ExamSession(journal, Told(), operator="bench"), 10_000
            running = session.resume(RULES.bundle.sha256)
            while True:
                if running is None:
                    running = session.open(infant(), RULES)
                for eye, view in PLACES:
                    session.aim(eye, view)
                    session.take(frame(number := number + 1))
                session.close()
                running = None
    time.sleep(after_s)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def main() -> int:
    """Fill, kill, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=4, help="frames of each exam")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="fill this folder, or use it as it was filled before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "journal"
        if not folder.exists():
            fill(folder, options.exams, options.frames)
        chance, openings_s = random.Random(1), []
        for _ in range(options.kills):
            kill_one(folder, chance.uniform(0.2, 1.5))
            start = time.perf_counter()
            with Journal.open(folder, KEY) as journal:
                openings_s.append(time.perf_counter() - start)
                unread = journal.pending()
                listed = len(journal.exams())
    found = {
        "exams": listed,
        "openings_s": [round(took, 4) for took in openings_s],
        "slowest_s": round(max(openings_s), 4),
        "frames_unread_after_the_last_kill": len(unread),
    }
    print(json.dumps(found))
    return 0 if max(openings_s) < GOAL_S else 1


if __name__ == "__main__":
    sys.exit(main())
