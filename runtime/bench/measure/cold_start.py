"""Cold start: what it takes from starting a process to its first result, measured in fresh processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.kernel import cpu_reader
from runtime.bench.schema import ColdStartPart
from runtime.cores import allowed_cores

STARTER = (
    "import time; began = time.monotonic_ns(); import sys, runtime; imported = time.monotonic_ns(); "
    "from runtime.bench.measure.cold_child import run; print(run(int(sys.argv[1]), began, imported, sys.argv[2]))"
)
WARM_STARTS = 3
TO_RESULT = ("interpreter", "import_runtime", "open_bundle", "load", "first_result")
"""What a start is made of."""
IDLE_S = 1.0
TIMEOUT_S = 300.0


def measure_cold_start(
    frame: Frame,
    bundle: Path | None,
    engine: str,
    precision: str,
    threads: int | None,
    site: Mapping[str, str],
    say: Callable[[str], None] = lambda line: None,
) -> ColdStartPart:
    """Start four times: the first may have to fetch files from the disk, medians are of the other three.

    site: variables that name its files. What other processes took meanwhile is noted beside the times.
    Raises `BenchError` when a process does not get to a result.
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
        runs, others = [], _Others()
        for number in range(1 + WARM_STARTS):
            say(f"cold start: process {number + 1} of {1 + WARM_STARTS}")
            runs.append(_start(json.dumps(task), surroundings))
    first, later = runs[0], runs[1:]
    took = [sum(run[name] for name in TO_RESULT) for run in later]
    medians = {name: float(np.median([run[name] for run in later])) for name in first}
    return ColdStartPart(
        processes=len(runs),
        compile=first["load"],
        idle_s=IDLE_S,
        other_cores=others.cores(),
        spread=max(took) / max(1e-6, min(took)),
        **medians,
    )


class _Others:
    """What other processes took of the cores that this one may use, since it was made: not ours, nor our children's."""

    def __init__(self) -> None:
        cores = allowed_cores()
        self._busy = cpu_reader(cores=None if len(cores) == os.cpu_count() else cores)
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = time.process_time() + children.ru_utime + children.ru_stime
        return time.monotonic(), self._busy().busy - ours

    def cores(self) -> float:
        """On average."""
        (began, before), (ended, after) = self._before, self._now()
        return max(0.0, (after - before) / max(1e-6, ended - began))


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
