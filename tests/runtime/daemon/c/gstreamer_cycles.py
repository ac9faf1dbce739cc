"""Starts and stops a pipeline again and again: `gstreamer_cycles.py PIPELINE TIMES`, by the system's Python.

Every third time it plays until it told a reading. Prints, as JSON, how many readings and errors it told, and the
process's descriptors and threads after a fifth of the times and at the end, where it waits until neither are more:
GLib keeps threads that are done for 15 s. With GST_TRACERS=leaks GStreamer then says what is still alive.
"""

import gc
import json
import math
import operator
import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

Gst.init(None)


def held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


PATIENCE_S = 180


def held_at_last(early: tuple[int, int]) -> tuple[int, int]:
    end = time.monotonic() + PATIENCE_S
    while any(map(operator.gt, late := held(), early)) and time.monotonic() < end:
        time.sleep(0.01)
    return late


def run(text: str, times: int) -> dict[str, object]:
    pipeline = Gst.parse_launch(text)
    bus = pipeline.get_bus()
    told = {"readings": 0, "errors": 0}
    early = held()
    for turn in range(times):
        pipeline.set_state(Gst.State.PLAYING)
        end = time.monotonic() + (PATIENCE_S, 0.01, 0.05)[turn % 3]
        enough = told["readings"] + 1 if turn % 3 == 0 else math.inf
        while time.monotonic() < end and told["readings"] < enough:
            message = bus.timed_pop(5 * Gst.MSECOND)
            if message:
                told["errors"] += message.type == Gst.MessageType.ERROR
                told["readings"] += message.type == Gst.MessageType.ELEMENT
        pipeline.set_state((Gst.State.NULL, Gst.State.READY, Gst.State.PAUSED)[turn % 3])
        if turn == times // 5:
            early = held()
    pipeline.set_state(Gst.State.NULL)
    return {**told, "early": early, "late": held_at_last(early)}


sys.stdout.write(json.dumps(run(sys.argv[1], int(sys.argv[2]))) + "\n")
gc.collect()
Gst.deinit()
