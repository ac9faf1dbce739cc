"""What a fresh process does to time a cold start; started by `cold_start`, it prints its times as one JSON line."""

from __future__ import annotations

import json
import time
from pathlib import Path


def run(spawned_ns: int, began_ns: int, imported_ns: int, task: str) -> str:
    """Go from nothing to a result, and give the times in milliseconds as JSON.

    The first three are `time.monotonic_ns()` when the parent started the process, at its first line, and after
    `import runtime`. task: JSON with `bundle`, `engine`, `precision`, `threads`, `frame` (.npy) and `idle_s`.
    """
    import numpy as np

    from device.frame import Frame
    from runtime import Screener, open_bundle

    asked = json.loads(task)
    pixels = np.load(asked["frame"])
    opening_ns = time.monotonic_ns()
    bundle = open_bundle(None if asked["bundle"] is None else Path(asked["bundle"]))
    opened_ns = time.monotonic_ns()
    screener = Screener(
        bundle,
        engine=asked["engine"],
        precision=asked["precision"],
        threads=asked["threads"],
        reject_repeats=False,
    )
    times = {
        "interpreter": began_ns - spawned_ns,
        "import_runtime": imported_ns - began_ns,
        "open_bundle": opened_ns - opening_ns,
        "load": time.monotonic_ns() - opened_ns,
    }
    with screener:
        for number, name in enumerate(("first_result", "second_result", "first_after_idle")):
            if name == "first_after_idle":
                time.sleep(asked["idle_s"])
            frame = Frame(pixels.copy(), number, "cold")
            asked_ns = time.monotonic_ns()
            screener.screen(frame)
            times[name] = time.monotonic_ns() - asked_ns
    return json.dumps({name: value / 1e6 for name, value in times.items()})
