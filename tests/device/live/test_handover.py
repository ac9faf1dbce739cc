"""What the hand-over may cost: no copy, little time, no old frame, and nothing left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import psutil
import pytest

from device.errors import Disconnected
from device.frame import Frame
from device.live import LiveConfig, LiveReader
from tests.device.light.waiting import wait_until
from tests.device.live.scripted import picture
from tests.holding import goes_back_to, held

RATE_HZ = 100.0


class Ticking:
    """A camera at a fixed rate with large frames that cost nothing: each is a view of its own of one sensor."""

    live, name, frame_count = True, "ticking", None

    def __init__(self) -> None:
        self.sensor = np.arange(2 * 512 * 512 * 3, dtype=np.uint8)
        self.began_s = time.monotonic()
        self.number = -1
        self.longest_step = 0

    def read(self) -> Frame:
        due = int((time.monotonic() - self.began_s) * RATE_HZ) + 1
        time.sleep(max(0.0, self.began_s + due / RATE_HZ - time.monotonic()))
        before, self.number = self.number, max(due, self.number + 1)
        if before >= 0:
            self.longest_step = max(self.longest_step, self.number - before)
        at = self.number % 251
        pixels = self.sensor[at : at + 512 * 512 * 3].reshape(512, 512, 3)
        return Frame(pixels, self.number, f"ticking:{self.number}", captured_ns=time.monotonic_ns())

    def close(self) -> None: ...

    def __enter__(self) -> Ticking:
        return self

    def __exit__(self, *_: object) -> None: ...


def newest_that_could_be(camera: Ticking, reader: LiveReader) -> int:
    """Read a frame; how many newer ones the camera had given when it was asked for."""
    made = camera.number
    frame = reader.read()
    assert frame is not None
    return max(0, made - frame.sequence)


def has_dropped(reader: LiveReader, frames: int) -> bool:
    return reader.counts.dropped >= frames


@pytest.mark.parametrize("slow", [False, True])
def test_a_consumer_gets_the_newest_frame_however_slow_it_is(slow: bool) -> None:
    """So it has none older than the camera's period. Only the frame just made may not have reached the reader yet.

    How long the hand-over takes is measured by tests/bench/live_handover.py, on a machine that does nothing else.
    """
    camera = Ticking()
    with LiveReader(lambda: camera, "ticking") as reader:
        behind = []
        for _ in range(20):
            behind.append(newest_that_could_be(camera, reader))
            enough = reader.counts.dropped + 5 if slow else 0
            assert wait_until(partial(has_dropped, reader, enough))
        counts = reader.counts
    assert max(behind) <= camera.longest_step
    assert counts.delivered == 20


class Holding:
    """A camera that holds what drivers hold: a descriptor, memory, a thread."""

    live, name, frame_count = True, "holding", None

    def __init__(self) -> None:
        self.ends = os.pipe()
        self.memory = bytearray(1 << 20)
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self.closed.wait)
        self.thread.start()
        self.steps = [picture(0), picture(1)]

    def read(self) -> Frame:
        if not self.steps:
            raise Disconnected("holding: unplugged")
        return self.steps.pop(0)

    def close(self) -> None:
        for end in self.ends:
            os.close(end)
        self.closed.set()
        self.thread.join()

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None: ...


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def connect_and_disconnect(times: int) -> None:
    for _ in range(times):
        with LiveReader(Holding, "holding") as reader:
            assert reader.read() is not None


def lose_and_reconnect(times: int) -> None:
    config = LiveConfig(first_retry_s=1e-4, longest_retry_s=1e-4, losses_allowed=10**6)
    with LiveReader(Holding, "holding", config) as reader:
        assert wait_until(lambda: reader.counts.reconnects >= times, timeout_s=60)


@pytest.mark.parametrize("cycle", [connect_and_disconnect, lose_and_reconnect])
def test_a_thousand_connections_leave_nothing_behind(cycle: Callable[[int], None]) -> None:
    cycle(100)
    gc.collect()
    before, memory = held(), resident_bytes()
    gc.disable()  # what only the collector would find counts as left behind
    try:
        cycle(1000)
    finally:
        gc.enable()
    goes_back_to(before)
    assert resident_bytes() - memory < 16 << 20, "bytes, after a thousand cameras of a megabyte each"
