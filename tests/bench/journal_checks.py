"""What checking a journal before it is used costs: opening, list, the whole trail, a show; by number of exams.

    python tests/bench/journal_checks.py [--exams 1000] [--frames 4] [--keep DIR]

Prints one JSON object, seconds, the smallest of three.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.exam.journal import Journal
from tests.bench.journal_recovery import KEY, fill


def smallest_s(call: Callable[[], object]) -> float:
    """Of three calls."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return round(min(took), 4)


def main() -> int:
    """Fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=4, help="frames of each exam")
    parser.add_argument("--keep", type=Path, help="fill this folder, or use it as it was filled before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "journal"
        if not folder.exists():
            fill(folder, options.exams, options.frames)
        with Journal.open(folder, KEY, read_only=True) as journal:
            exam_id = journal.exams()[-1].exam_id
            found = {
                "exams": len(journal.exams()),
                "events": journal.database.rows("SELECT count(*) FROM events")[0][0],
                "open_s": smallest_s(lambda: Journal.open(folder, KEY, read_only=True).close()),
                "lines_s": smallest_s(journal.exams),
                "every_event_s": smallest_s(lambda: list(journal.altered_events())),
                "show_s": smallest_s(lambda: journal.events(exam_id)),
            }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
