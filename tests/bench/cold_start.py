"""Prints how long `runtime.screen` takes for one picture from a cold start, and its peak memory.

`python tests/bench/cold_start.py PICTURE` runs the command several times, each in a fresh process; the first run
may have to fetch files from the disk and is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run_once(picture: str, out: str) -> tuple[float, float]:
    """Seconds and peak resident MiB of one fresh process."""
    command = [sys.executable, "-m", "runtime.screen", picture, "--out", out]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"runtime.screen ended with status {status}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        picture = str(Path(options.picture).resolve())
        run_once(picture, out)
        runs = [run_once(picture, out) for _ in range(options.runs)]
        imports = []
        for _ in range(options.runs):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            bare = time.perf_counter() - start
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import runtime"], check=True, cwd=Path(__file__).parents[2])
            imports.append(time.perf_counter() - start - bare)
    seconds, memory = [run[0] for run in runs], [run[1] for run in runs]
    print(f"one picture, cold start: median {statistics.median(seconds):.2f} s of {options.runs} runs")
    print(f"peak resident memory: {max(memory):.0f} MiB")
    print(f"import runtime, over the bare interpreter: median {statistics.median(imports):.3f} s")


if __name__ == "__main__":
    main()
