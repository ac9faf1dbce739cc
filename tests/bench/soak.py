"""Prints how the memory of `runtime.screen` grows over many frames: `python tests/bench/soak.py --frames 5000`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--settle", type=int, default=500, help="frames before memory is first noted")
    parser.add_argument("--overlays", action="store_true", help="also draw and write every overlay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "runtime.screen", "sim:", "--frames", str(options.frames), "--json"]
        command += ["--budget-ms", "60000", "--out", folder, *([] if options.overlays else ["--no-overlays"])]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
        )
        memory = psutil.Process(process.pid)
        assert process.stdout is not None
        resident: list[float] = []
        outcomes: dict[str, int] = {}
        for line in process.stdout:
            outcome = json.loads(line)["outcome"]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            resident.append(memory.memory_info().rss / 2**20)
        code = process.wait()
    first = sorted(resident[options.settle : options.settle + 100])[50]
    last = sorted(resident[-100:])[50]
    print(f"exit code {code}, {len(resident)} frames, outcomes {outcomes}")
    print(
        f"resident memory: {first:.1f} MiB after {options.settle} frames, {last:.1f} MiB at the end, "
        f"growth {100 * (last / first - 1):+.2f} %, peak {max(resident):.1f} MiB"
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
