"""Latency of the journal's appends beside a pipeline at 30 frames a second, and what they cost that pipeline.

    python tests/bench/journal.py [--folder DIR] [--seconds 25] [--appends-a-second 2]

The pipeline reads 640 x 480 frames, drawn beforehand, through the Screener (fake engine). In every second round
another thread journals frames and their readings. `append` is what comes between a finished reading (or an encoded
frame) and its acknowledgement, everything flushed to disk. Prints one JSON object; 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from device.cameras.simulated import SimulatedCamera
from device.frame import Frame
from runtime.bench.stats import percentile
from runtime.bundle import open_bundle
from runtime.engines.fake import FakeEngine
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.journal import journal as journal_module
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.machine import MOST_CAPTURES
from runtime.exam.rules import rules_for
from runtime.exam.views import Eye, View
from runtime.reading import Reading
from runtime.screener import Screener

FPS = 30
DRAWN = 30
GOAL_APPEND_MS = 15.0
GOAL_RATIO = 1.10
ROUNDS = 4


class Writer(threading.Thread):
    """Journals the newest frame and reading, so many times a second."""

    def __init__(self, folder: Path, newest: Callable[[], tuple[Frame, Reading] | None], a_second: float) -> None:
        super().__init__(name="journal writer")
        self._folder, self._newest, self._period_s = folder, newest, 1 / a_second
        self._end = threading.Event()
        self.capture_ms: list[float] = []
        self.reading_ms: list[float] = []

    def run(self) -> None:
        """Append until stopped."""
        rules, born = rules_for(open_bundle()), datetime.now(timezone.utc) - timedelta(days=40)
        infant = Infant("H-1", "Doe^Baby", born, Weeks.parse("27w3d"), 980)
        with Journal.open(self._folder, JournalKey(bytes(32)), create=True) as journal:
            exam_id, taken = journal.begin_exam(infant, rules, operator="bench"), 0
            while not self._end.wait(self._period_s):
                if (found := self._newest()) is None:
                    continue
                if taken == MOST_CAPTURES:
                    journal.close_exam(exam_id, operator="bench")
                    exam_id, taken = journal.begin_exam(infant, rules, operator="bench"), 0
                frame, reading = found
                encoded_ms: list[float] = []
                real = journal_module.encode_png

                def timed(pixels: object, real: Callable = real, took: list[float] = encoded_ms) -> bytes:
                    began = time.perf_counter()
                    content = real(pixels)
                    took.append((time.perf_counter() - began) * 1e3)
                    return content

                journal_module.encode_png = timed
                start = time.perf_counter()
                number = journal.add_capture(exam_id, Eye.OD, View.DISC, frame, operator="bench")
                middle = time.perf_counter()
                self.capture_ms.append((middle - start) * 1e3 - encoded_ms[0])
                journal_module.encode_png = real
                start = time.perf_counter()
                journal.add_reading(exam_id, number, reading)
                self.reading_ms.append((time.perf_counter() - start) * 1e3)
                taken += 1
            journal.close_exam(exam_id, operator="bench")

    def stop(self) -> None:
        """End after the append that is under way."""
        self._end.set()
        self.join()


def pipeline(seconds: float, newest: list[tuple[Frame, Reading]]) -> list[float]:
    """Latencies of the readings in ms."""
    took: list[float] = []
    with SimulatedCamera() as camera:
        drawn = [camera.render(number)[0] for number in range(DRAWN)]
    with Screener(open_bundle(), engine=FakeEngine()) as screener:
        start = time.monotonic()
        for number in range(int(seconds * FPS)):
            time.sleep(max(0.0, start + number / FPS - time.monotonic()))
            pixels = drawn[number % DRAWN].copy()
            pixels[0, 0] = list(number.to_bytes(3, "big"))
            frame = Frame(pixels, number, f"camera:{number}")
            reading = screener.screen(frame)
            took.append(float(reading.timings_ms.total or 0))
            newest[:] = [(frame, reading)]
    return took


def bare_flush_ms(folder: Path) -> dict[str, float]:
    """What one write and fsync takes on this disk, without any of our code."""
    took = []
    with (folder / "bare").open("wb") as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(bytes(16384))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - start) * 1e3)
    return spread(took)


def spread(values: list[float]) -> dict[str, float]:
    """Percentiles, ms."""
    return {f"p{p}_ms": round(percentile(values, p), 2) for p in (50, 95, 99)} | {"samples": len(values)}


def main() -> int:
    """Run the rounds and say the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (default: the temporary folder)")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each of the four rounds")
    parser.add_argument("--appends-a-second", type=float, default=2.0)
    options = parser.parse_args()
    latencies: dict[bool, list[float]] = {False: [], True: []}
    captures, readings = [], []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bare = bare_flush_ms(Path(folder))
        for number in range(ROUNDS):
            newest: list[tuple[Frame, Reading]] = []
            writer = None
            if number % 2:
                place = Path(folder) / f"journal-{number}"
                writer = Writer(place, lambda newest=newest: newest[0] if newest else None, options.appends_a_second)
                writer.start()
            latencies[number % 2 == 1] += pipeline(options.seconds, newest)
            if writer is not None:
                writer.stop()
                captures += writer.capture_ms
                readings += writer.reading_ms
    ratio = percentile(latencies[True], 99) / percentile(latencies[False], 99)
    appended = spread(readings)
    met = {"append": appended["p99_ms"] <= GOAL_APPEND_MS, "pipeline": ratio <= GOAL_RATIO}
    found = {
        "append_reading": appended,
        "append_frame": spread(captures),
        "bare_write_and_fsync": bare,
        "pipeline_alone": spread(latencies[False]),
        "pipeline_beside_journal": spread(latencies[True]),
        "pipeline_p99_ratio": round(ratio, 3),
        "goals_met": met,
    }
    print(json.dumps(found, indent=2))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
