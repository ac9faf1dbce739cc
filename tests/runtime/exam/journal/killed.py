"""Runs exams in a child process, kills it at random points with SIGKILL, and looks at what the journal holds.

python tests/runtime/exam/journal/killed.py --kills 30 --folder DIR [--seed N]

Prints one JSON object. A child tells through a pipe what was acknowledged to it; whatever it told must be there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2

from runtime.exam.journal.records import ExamRecord

sys.path.insert(0, str(Path(__file__).parents[4]))

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle, open_bundle
from runtime.engines.fake import FakeEngine
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.verify import verify
from runtime.exam.rules import rules_for
from runtime.exam.session import ExamSession
from runtime.screener import Screener
from runtime.views import Eye, View
from tests.pictures import retina

KEY = JournalKey(bytes(range(32)))
KILLS_A_JOURNAL = 50


def child(folder: Path, bundle: Bundle, pictures: list[UInt8Array], pipe: int, seed: int) -> None:
    """Run exams until killed; tell of each acknowledgement."""

    def tell(*words: object) -> None:
        os.write(pipe, (" ".join(map(str, words)) + "\n").encode())

    counter = itertools.count(seed * 100_000)
    born = datetime.now(timezone.utc) - timedelta(days=40)
    with Journal.open(folder, KEY, create=True) as journal, Screener(bundle, engine=FakeEngine()) as screener:
        session = ExamSession(journal, screener, operator="anna")
        open_already = session.resume(bundle.sha256)
        while True:
            exam_id = open_already or session.open(Infant("H-1", "Doe^Baby", born, Weeks(192), 980), rules_for(bundle))
            open_already = None
            tell("opened", exam_id)
            for eye, view in itertools.product(Eye, View):
                session.aim(eye, view)
                number = next(counter)
                pixels = pictures[number % len(pictures)].copy()
                pixels[0, :2] = list(number.to_bytes(6, "big")[:3]), list(number.to_bytes(6, "big")[3:])
                accepted = session.accept(Frame(pixels, number, "test"))
                tell("captured", exam_id, accepted.number, accepted.frame.sha256)
                reading = session.finish(accepted)
                tell("read", exam_id, accepted.number, accepted.frame.sha256, reading.outcome.value)
            session.close()
            tell("closed", exam_id)


def run_and_kill(
    folder: Path, bundle: Bundle, pictures: list[UInt8Array], seed: int, lines: int, after_s: float
) -> list[list[str]]:
    """One child, killed so long after it told so many lines, however slow it is; what it was told."""
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        try:
            child(folder, bundle, pictures, theirs, seed)
        finally:
            os._exit(70)  # a child never ends by itself
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        told = b"".join(pipe.readline() for _ in range(lines)).decode()
        time.sleep(after_s)
        os.kill(process, signal.SIGKILL)
        told += pipe.read().decode()
    status = os.waitpid(process, 0)[1]
    if not os.WIFSIGNALED(status):
        raise SystemExit("a child ended before it was killed; its error stands above")
    return [line.split() for line in told.splitlines()]


def look(folder: Path, told: list[list[str]]) -> dict[str, float]:
    """Compare the journal with everything that was ever acknowledged."""
    if (folder / "journal.sqlite3").exists():
        with closing(sqlite3.connect(folder / "journal.sqlite3")) as connection, connection:
            said = connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
        if said != [("ok",)]:
            raise SystemExit(f"integrity check: {said}")
    start = time.process_time()  # by the clock it would be the machine's other work, too
    journal = Journal.open(folder, KEY, create=True)
    opening_s = time.process_time() - start
    with journal:
        findings = verify(journal).findings
        if findings:
            raise SystemExit(f"verification: {findings[0]}")
        records = {exam.exam_id: journal.exam(exam.exam_id) for exam in journal.exams()}
        half = sum(len(record.exam.pending) for record in records.values())
        named = {c.image_sha256 for record in records.values() for c in record.captures}
    on_disk = {path.stem for path in (folder / "images").rglob("*.sealed")}
    if on_disk != named:
        raise SystemExit(f"{len(on_disk - named)} image(s) that no row names, {len(named - on_disk)} missing")
    if half > 1:
        raise SystemExit(f"{half} frames wait for their reading, at most the last one may")
    lost = [words for words in told if not there(records, words)]
    if lost:
        raise SystemExit(f"acknowledged, and not there: {lost[0]} ({len(lost)} such)")
    return {"opening_s": opening_s, "unread": half}


def there(records: Mapping[str, ExamRecord], words: list[str]) -> bool:
    """Whether what was told is in the journal."""
    kind, exam_id, *rest = words
    record = records.get(exam_id)
    if record is None or kind == "opened":
        return record is not None
    if kind == "closed":
        return bool(record.summary.closed_at)
    capture = record.captures[int(rest[0]) - 1]
    if capture.frame_sha256 != rest[1]:
        return False
    return kind == "captured" or (capture.reading is not None and capture.reading["outcome"] == rest[2])


def main() -> None:
    """Kill as often as asked."""
    parser = argparse.ArgumentParser(description="Kill a running exam at random points.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(0)  # no threads before a fork
    bundle, pictures = open_bundle(), [retina(number) for number in range(10)]  # made once, before the forks
    KEY.wrap(Secrets.new()).encode()  # its imports too, and those of the Screener
    with Screener(bundle, engine=FakeEngine()) as screener:
        screener.screen(Frame(pictures[0].copy(), 0, "test"))
    chance = random.Random(options.seed)
    told: list[list[str]] = []
    slowest_s, unread, readings = 0.0, 0.0, 0
    for number in range(options.kills):
        if number % KILLS_A_JOURNAL == 0:
            folder, told = options.folder / f"journal-{number}", []
        # A third in the first moments (making, opening and recovering the journal), the rest anywhere later.
        lines = 0 if chance.random() < 1 / 3 else chance.randint(1, 24)
        fresh = run_and_kill(folder, bundle, pictures, number, lines, chance.uniform(0, 0.03))
        told += fresh
        readings += sum(1 for words in fresh if words[0] == "read")
        found = look(folder, told)
        slowest_s, unread = max(slowest_s, found["opening_s"]), unread + found["unread"]
    found = {"kills": options.kills, "readings_acknowledged": readings, "lost": 0}
    found |= {"frames_unread_after_kill": int(unread), "slowest_recovery_cpu_s": round(slowest_s, 4)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
