"""Cold start: what it takes from starting a process to its first result, measured in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.schema import ColdStartPart

STARTER = (
    "import time; began = time.monotonic_ns(); import sys, runtime; imported = time.monotonic_ns(); "
    "from runtime.bench.measure.cold_child import run; print(run(int(sys.argv[1]), began, imported, sys.argv[2]))"
)
WARM_STARTS = 3
IDLE_S = 1.0
TIMEOUT_S = 300.0


def measure_cold_start(
    frame: Frame, bundle: Path | None, engine: str, precision: str, threads: int | None, site: Mapping[str, str]
) -> ColdStartPart:
    """Start four times: the first may have to fetch files from the disk, medians are of the other three.

    site: variables that name its files. Raises `BenchError` when a process does not get to a result.
    """
    with tempfile.TemporaryDirectory(prefix="rop-bench-") as folder:
        picture = Path(folder) / "frame.npy"
        np.save(picture, frame.pixels)
        task = {
            "bundle": None if bundle is None else str(bundle.resolve()),
            "engine": engine,
            "precision": precision,
            "threads": threads,
            "frame": str(picture),
            "idle_s": IDLE_S,
        }
        surroundings = os.environ | dict(site)
        runs = [_start(json.dumps(task), surroundings) for _ in range(1 + WARM_STARTS)]
    first, later = runs[0], runs[1:]
    medians = {name: float(np.median([run[name] for run in later])) for name in first}
    return ColdStartPart(processes=len(runs), compile=first["load"], idle_s=IDLE_S, **medians)


def _start(task: str, surroundings: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-c", STARTER, str(time.monotonic_ns()), task]
    try:
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except subprocess.CalledProcessError as error:
        told = (error.stderr or "").strip().splitlines()
        raise BenchError(f"cold start: the process ended with code {error.returncode}: {_last(told)}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"cold start: {error}; leave it out with --no-cold-start") from None
    times: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return times


def _last(lines: list[str]) -> str:
    return lines[-1] if lines else "no message"
