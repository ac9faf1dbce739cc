"""Stored frames a second: `runtime.reread` against `runtime.screen` on one folder, and through Ray against without.

    python tests/bench/rereading.py [--frames 2000] [--rounds 3] [--ray]

Draws the simulated camera's frames, writes them as JPEGs of 640 x 480, and runs the whole commands in turns; prints one
JSON object with the seconds of each round and the ratios of their medians, by the clock and by the processor's own time
(Ray's processes are not the command's, so of it the clock alone). `limit` is the networks alone, on prepared inputs, in
as many pinned processes of one thread as there are CPUs: no re-reading can be quicker. Ray: extra `fleet`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from device.cameras import open_camera
from runtime.bundle import open_bundle
from runtime.engines import load_engine


def main() -> None:
    """Draw, run in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw(folder / "pictures", options.frames)
        source, table = str(folder / "pictures"), folder / "again.csv"
        reread = ["-m", "runtime.reread", source, "--out", str(table)]
        commands = {
            "screen": ["-m", "runtime.screen", source, "--no-overlays", "--out", str(folder / "out")],
            "reread": reread,
            **({"ray": [*reread, "--ray", "--workers", "2"]} if options.ray else {}),
        }
        took: dict[str, list[float]] = {name: [] for name in commands}
        processor: dict[str, list[float]] = {name: [] for name in commands if name != "ray"}
        bare: list[float] = []
        reading: dict[str, list[float]] = {name: [] for name in commands if name != "screen"}
        for _ in range(options.rounds):
            for name, command in commands.items():
                forget(folder)
                start, before = time.monotonic(), children_s()
                subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
                took[name].append(round(time.monotonic() - start, 2))
                if name in processor:
                    processor[name].append(round(children_s() - before, 2))
                if name in reading:
                    report = json.loads((folder / "again.report" / "report.json").read_text())
                    reading[name].append(report["run"]["seconds"])
            bare.append(round(limit(options.frames), 2))
    middle = {name: statistics.median(seconds) for name, seconds in took.items()}
    told = {
        "frames": options.frames,
        "seconds": took,
        "seconds_of_reading": reading,
        "seconds_of_processor": processor,
        "seconds_of_the_networks_alone": bare,
        "reread_over_screen": round(middle["screen"] / middle["reread"], 3),
        "reread_over_screen_by_processor": round(
            statistics.median(processor["screen"]) / statistics.median(processor["reread"]), 3
        ),
        "of_the_limit": round(statistics.median(bare) / statistics.median(reading["reread"]), 3),
    }
    if options.ray:
        told["ray_over_reread"] = round(middle["reread"] / middle["ray"], 3)
        told["ray_over_reread_reading"] = round(
            statistics.median(reading["reread"]) / statistics.median(reading["ray"]), 3
        )
    print(json.dumps(told, indent=1))


def children_s() -> float:
    """Seconds of processor of all commands so far, with the processes that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def limit(frames: int) -> float:
    """Seconds that the networks alone take for so many frames, shared out among one pinned process a CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(len(cpus) + 1)
    shares = [frames // len(cpus) + (number < frames % len(cpus)) for number in range(len(cpus))]
    readers = [
        context.Process(target=only_infer, args=(cpu, share, ready)) for cpu, share in zip(cpus, shares, strict=True)
    ]
    for reader in readers:
        reader.start()
    ready.wait()
    start = time.monotonic()
    for reader in readers:
        reader.join()
    return time.monotonic() - start


def only_infer(cpu: int, frames: int, ready: Any) -> None:
    """One process of `limit`."""
    os.sched_setaffinity(0, {cpu})
    images = np.random.default_rng(cpu).integers(0, 256, (16, 1, 256, 256, 3), np.uint8)
    with load_engine(open_bundle(None), "auto", threads=1) as engine:
        engine.infer(images[0])
        ready.wait()
        for number in range(frames):
            engine.infer(images[number % len(images)])


def draw(folder: Path, count: int) -> None:
    """A hundred different frames, each with another first pixel, so that none is the other's copy."""
    folder.mkdir()
    with open_camera("sim:seed=1,size=640x480") as camera:
        drawn = [frame.pixels.copy() for frame in (camera.read() for _ in range(100)) if frame is not None]
    for number in range(count):
        pixels = drawn[number % len(drawn)]
        pixels[0:8, 0:8] = (number % 251, number // 251, 0)
        cv2.imwrite(str(folder / f"{number:05}.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def forget(folder: Path) -> None:
    """What the last round wrote."""
    for name in ("out", "again.report", "again.csv.work"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "again.csv").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
