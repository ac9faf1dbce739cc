"""Times the hand-over of a frame from driver to consumer: `python tests/bench/live_handover.py`.

The driver fills a 2040 x 2040 RGB frame by one copy and stamps it when that is done; the consumer looks at the clock
when it has the frame. In turn with the live reader the same driver hands frames through a bare queue, so that what a
busy machine's scheduler costs can be told from what the reader costs.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from device.frame import Frame
from device.live import LiveReader

SIDE = 2040


class Driver:
    """A camera that copies a picture into a new frame at its rate."""

    live, name, frame_count = True, "driver", None

    def __init__(self, rate_hz: float) -> None:
        self.period_s = 1 / rate_hz
        self.sensor = np.full((SIDE, SIDE, 3), 90, np.uint8)
        self.number = -1
        self.stamps_ns: list[int] = []
        self.began_s = time.monotonic()

    def read(self) -> Frame:
        due = int((time.monotonic() - self.began_s) / self.period_s) + 1
        time.sleep(max(0.0, self.began_s + due * self.period_s - time.monotonic()))
        self.number = max(self.number + 1, due)
        pixels = self.sensor.copy()
        pixels[SIDE // 2, 0] = (self.number % 256, self.number // 256 % 256, 0)  # no two pictures are the same
        self.stamps_ns.append(time.monotonic_ns())
        return Frame(pixels, self.number, f"driver:{self.number}", captured_ns=self.stamps_ns[-1])

    def close(self) -> None: ...

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None: ...


def through_reader(rate_hz: float, count: int) -> list[float]:
    ages_ms: list[float] = []
    with LiveReader(lambda: Driver(rate_hz), "driver") as reader:
        while len(ages_ms) < count:
            frame = reader.read()
            assert frame is not None
            ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    return ages_ms


def through_queue(rate_hz: float, count: int) -> list[float]:
    driver, frames, stop = Driver(rate_hz), queue.SimpleQueue[Frame](), threading.Event()

    def run() -> None:
        while not stop.is_set():
            frames.put(driver.read())

    thread = threading.Thread(target=run)
    thread.start()
    ages_ms: list[float] = []
    while len(ages_ms) < count:
        frame = frames.get()
        ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
    stop.set()
    thread.join()
    return ages_ms


def slow_consumer(rate_hz: float, count: int, limit_ms: float) -> tuple[list[float], int]:
    """For a consumer that takes ten periods: the age of each frame at hand-over, and how many were not the newest.

    A frame is not the newest when the driver had given another one longer than `limit_ms` before the consumer asked. So
    the consumer never has one that is older than the camera's period, as it really was, and the hand-over.
    """
    ages_ms, passed_over, driver = [], 0, Driver(rate_hz)
    with LiveReader(lambda: driver, "driver") as reader:
        for _ in range(count):
            asked_ns = time.monotonic_ns()
            frame = reader.read()
            assert frame is not None
            ages_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
            newer_ns = [stamp for stamp in driver.stamps_ns if stamp > frame.captured_ns]
            passed_over += any(asked_ns - stamp > limit_ms * 1e6 for stamp in newer_ns)
            time.sleep(10 / rate_hz)
    return ages_ms, passed_over


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000, help="how many to hand over each way (default 2000)")
    parser.add_argument("--slow-frames", type=int, default=100, help="for the slow consumer (default 100)")
    parser.add_argument("--rate", type=float, default=60.0, help="frames a second (default 60)")
    parser.add_argument("--limit-ms", type=float, default=2.0, help="p99 allowed (default 2 ms)")
    arguments = parser.parse_args()
    ways: dict[str, list[float]] = {"live reader": [], "bare queue": []}
    for _ in range(4):
        ways["live reader"] += through_reader(arguments.rate, arguments.frames // 4)
        ways["bare queue"] += through_queue(arguments.rate, arguments.frames // 4)
    for name, ages_ms in ways.items():
        p50, p99 = np.percentile(ages_ms, [50, 99])
        print(f"{name}: {len(ages_ms)} frames, p50 {p50:.3f}, p99 {p99:.3f}, max {max(ages_ms):.3f} ms")
    ages_ms, passed_over = slow_consumer(arguments.rate, arguments.slow_frames, arguments.limit_ms)
    print(
        f"consumer ten times too slow: age at hand-over median {np.median(ages_ms):.1f}, worst {max(ages_ms):.1f} ms "
        f"at a period of {1000 / arguments.rate:.1f} ms; {passed_over} of {len(ages_ms)} were not the newest"
    )
    p99 = float(np.percentile(ways["live reader"], 99))
    passed = p99 <= arguments.limit_ms and not passed_over
    print(
        f"{'PASS' if passed else 'FAIL'}: p99 {p99:.3f} ms, allowed {arguments.limit_ms:g} ms; "
        f"{passed_over} frames not the newest, allowed 0"
    )
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
