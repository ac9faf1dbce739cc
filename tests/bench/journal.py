"""Latency of the journal's appends beside a pipeline at 30 frames a second, and what they cost that pipeline.

    python tests/bench/journal.py [--folder DIR] [--seconds 25] [--appends-a-second 2]

The pipeline reads 640 x 480 frames, drawn beforehand, through the Screener (fake engine). In every second round
another thread journals frames and their readings. `append` is what comes between a finished reading (or an encoded
frame) and its acknowledgement, everything flushed to disk. A reading takes one flush (the log's), a frame three (file,
folder, log). Before each append the same number of bare writes and flushes is timed on the same disk: that is its
floor, and `over_floor` how many times that an append takes, which means something on a slow or busy disk too; `cpu`
is the processor time in it, so that the rest is waiting for the disk, the processor or the interpreter.
Prints one JSON object; 1 when a goal is missed.
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
from functools import partial
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

from device.cameras.simulated import SimulatedCamera
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import open_bundle
from runtime.engines.fake import FakeEngine
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.png import encode_png
from runtime.exam.machine import MOST_CAPTURES
from runtime.exam.rules import rules_for
from runtime.percentiles import percentile
from runtime.reading import Reading
from runtime.screener import Screener
from runtime.views import Eye, View

FPS = 30
DRAWN = 30
GOAL_APPEND_MS = 15.0
GOAL_RATIO = 1.10
ROUNDS = 4
FRAME_FLUSHES, READING_FLUSHES = 3, 1
PAGES_BYTES = 32 * 1024
"""About what one commit writes into the log."""


class Writer(threading.Thread):
    """Journals the newest frame and reading, so many times a second."""

    def __init__(self, folder: Path, newest: Callable[[], tuple[Frame, Reading] | None], a_second: float) -> None:
        super().__init__(name="journal writer")
        self._folder, self._newest, self._period_s = folder, newest, 1 / a_second
        self._end = threading.Event()
        self.capture_ms: list[float] = []
        self.reading_ms: list[float] = []
        self.reading_cpu_ms: list[float] = []
        self.floor_ms: dict[int, list[float]] = {FRAME_FLUSHES: [], READING_FLUSHES: []}

    def _floor(self, bare: BinaryIO, flushes: int, content: int) -> None:
        """As many bare flushes, the first with as much content."""
        start = time.perf_counter()
        for size in [content] + [PAGES_BYTES] * (flushes - 1):
            bare.write(bytes(size))
            bare.flush()
            os.fsync(bare.fileno())
        self.floor_ms[flushes].append((time.perf_counter() - start) * 1e3)

    def run(self) -> None:
        """Append until stopped."""
        rules, born = rules_for(open_bundle()), datetime.now(timezone.utc) - timedelta(days=40)
        infant = Infant("H-1", "Doe^Baby", born, Weeks.parse("27w3d"), 980)
        with (
            Journal.open(self._folder, JournalKey(bytes(32)), create=True) as journal,
            (self._folder / "bare").open("wb") as bare,
        ):
            exam_id, taken = journal.begin_exam(infant, rules, operator="bench"), 0
            while not self._end.wait(self._period_s):
                if (found := self._newest()) is None:
                    continue
                if taken == MOST_CAPTURES:
                    journal.close_exam(exam_id, operator="bench")
                    exam_id, taken = journal.begin_exam(infant, rules, operator="bench"), 0
                frame, reading = found
                encoded_ms: list[float] = []
                encoded_bytes: list[int] = []

                def timed(
                    pixels: UInt8Array,
                    took: list[float] = encoded_ms,
                    sizes: list[int] = encoded_bytes,
                ) -> bytes:
                    began = time.perf_counter()
                    content = encode_png(pixels)
                    took.append((time.perf_counter() - began) * 1e3)
                    sizes.append(len(content))
                    return content

                start = time.perf_counter()
                with patch("runtime.exam.journal.journal.encode_png", timed):
                    number = journal.add_capture(exam_id, Eye.OD, View.DISC, frame, operator="bench")
                middle = time.perf_counter()
                self.capture_ms.append((middle - start) * 1e3 - encoded_ms[0])
                self._floor(bare, FRAME_FLUSHES, encoded_bytes[0])
                self._floor(bare, READING_FLUSHES, PAGES_BYTES)
                start, worked = time.perf_counter(), time.thread_time()
                journal.add_reading(exam_id, number, reading)
                self.reading_ms.append((time.perf_counter() - start) * 1e3)
                self.reading_cpu_ms.append((time.thread_time() - worked) * 1e3)
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


def over(appends: list[float], floor: list[float]) -> dict[str, float]:
    """How many times the disk's own floor an append takes."""
    return {f"p{p}": round(percentile(appends, p) / percentile(floor, p), 2) for p in (50, 95, 99)}


def spread(values: list[float]) -> dict[str, float]:
    """Percentiles, ms."""
    return {f"p{p}_ms": round(percentile(values, p), 2) for p in (50, 95, 99)} | {"samples": len(values)}


def _first(found: list[tuple[Frame, Reading]]) -> tuple[Frame, Reading] | None:
    return found[0] if found else None


def main() -> int:
    """Run the rounds and say the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (default: the temporary folder)")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each of the four rounds")
    parser.add_argument("--appends-a-second", type=float, default=2.0)
    options = parser.parse_args()
    latencies: dict[bool, list[float]] = {False: [], True: []}
    captures, readings, worked = [], [], []
    floors: dict[int, list[float]] = {FRAME_FLUSHES: [], READING_FLUSHES: []}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(ROUNDS):
            newest: list[tuple[Frame, Reading]] = []
            writer = None
            if number % 2:
                place = Path(folder) / f"journal-{number}"
                writer = Writer(place, partial(_first, newest), options.appends_a_second)
                writer.start()
            latencies[number % 2 == 1] += pipeline(options.seconds, newest)
            if writer is not None:
                writer.stop()
                captures += writer.capture_ms
                readings += writer.reading_ms
                worked += writer.reading_cpu_ms
                for flushes, took in writer.floor_ms.items():
                    floors[flushes] += took
    ratio = percentile(latencies[True], 99) / percentile(latencies[False], 99)
    appended = spread(readings)
    met = {"append": appended["p99_ms"] <= GOAL_APPEND_MS, "pipeline": ratio <= GOAL_RATIO}
    found = {
        "append_reading": appended,
        "append_reading_cpu": spread(worked),
        "append_frame": spread(captures),
        "floor_reading_1_flush": spread(floors[READING_FLUSHES]),
        "floor_frame_3_flushes": spread(floors[FRAME_FLUSHES]),
        "over_floor": {
            "append_reading": over(readings, floors[READING_FLUSHES]),
            "append_frame": over(captures, floors[FRAME_FLUSHES]),
        },
        "pipeline_alone": spread(latencies[False]),
        "pipeline_beside_journal": spread(latencies[True]),
        "pipeline_p99_ratio": round(ratio, 3),
        "goals_met": met,
    }
    print(json.dumps(found, indent=2))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
