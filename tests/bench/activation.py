"""Activation and rollback while an exam's frames are read: how long each takes, and whether a frame is lost.

Frames are read by one Screener in a thread of their own, every 50 ms, under the bundle that the exam was opened with.
Meanwhile bundles are activated and rolled back as `python -m runtime.bundles` does it. Prints one JSON object; exit
code 1 where one took more than a second or a frame has no reading by the exam's own bundle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
LIMIT_S = 1.0


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.rounds)
    print(json.dumps(found))
    return 1 if max(found["activate_s"], found["rollback_s"]) > LIMIT_S or found["lost"] else 0


def measure(work: Path, rounds: int) -> dict[str, float]:
    from device.cameras import open_camera
    from runtime.bundle import DEMONSTRATION, open_bundle
    from runtime.bundles.actions import Means, activate, install, rollback
    from runtime.screener import Screener

    os.environ["ROP_SITE_STATE"] = str(work / "state")
    os.environ["ROP_BUNDLES"] = str(work / "slots")
    means = Means(work / "slots")
    other = work / "other"
    shutil.copytree(DEMONSTRATION, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"version": "other"}))
    first, second = (install(means, source).bundle.sha256 for source in (DEMONSTRATION, other))
    activate(means, first)
    taken, readings, done = [0], [], threading.Event()

    def exam() -> None:
        camera = open_camera("sim:seed=1")
        with Screener(open_bundle(), reject_repeats=False) as screener:
            while not done.is_set():
                frame = camera.read()
                assert frame is not None
                taken[0] += 1
                readings.append(screener.screen(frame))
                time.sleep(0.05)

    thread = threading.Thread(target=exam)
    thread.start()
    while len(readings) < 5:
        time.sleep(0.05)
    took: dict[str, list[float]] = {"activate": [], "rollback": []}
    worked: dict[str, list[float]] = {"activate": [], "rollback": []}
    for _ in range(rounds):
        for name, act, active in (
            ("activate", lambda: activate(means, second), second),
            ("rollback", lambda: rollback(means), first),
        ):
            began, working = time.perf_counter(), time.thread_time()
            act()
            took[name].append(time.perf_counter() - began)
            worked[name].append(time.thread_time() - working)
            assert open_bundle().sha256 == active
    done.set()
    thread.join()
    own = sum(reading.bundle.sha256 == first for reading in readings)
    slowest = {f"{name}_s": round(max(values), 3) for name, values in took.items()}
    slowest |= {f"{name}_cpu_s": round(max(values), 3) for name, values in worked.items()}
    return slowest | {"rounds": rounds, "frames": taken[0], "lost": taken[0] - own}


if __name__ == "__main__":
    sys.exit(main())
