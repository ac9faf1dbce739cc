"""What a server adds to an engine's own time, on one machine: `python tests/bench/triton_round_trip.py PROGRAM`.

PROGRAM is a tritonserver with the Python backend (docs/reading-on-a-server.md). This software reads in it by the same
precision and threads as beside it. Frame by frame, in turn, the same picture is read by the server and by this process:
the difference is the round trip. Also a server in this process (`FakeServer`) in front of an engine that takes no time:
the floor of gRPC, the copies and the checks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

from build_engines.triton.repository import write_repository
from build_engines.triton.settings import settings_for
from runtime.bundle import DEMONSTRATION, open_bundle
from runtime.engines import load_engine
from runtime.engines.base import Engine
from runtime.engines.fake import FakeEngine
from runtime.engines.triton.fake import FakeServer

sys.path.insert(0, str(Path(__file__).parents[2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, nargs="?", help="tritonserver; without it the floor alone is measured")
    parser.add_argument("--frames", type=int, default=662, help="frames each (default: 662, as a p99 needs)")
    options = parser.parse_args()
    images = np.random.default_rng(1).integers(0, 256, (16, 1, 256, 256, 3), np.uint8)
    bundle = open_bundle(DEMONSTRATION)
    own = FakeEngine()
    with FakeServer(bundle, own) as server, load_engine(bundle, server.address) as there:
        told("floor, an engine of no time", *measured(there, own, images, options.frames))
    if options.program is None:
        return
    from tests.build_engines.triton.waiting import waited
    from tests.ports import free_port

    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        write_repository(bundle, settings_for(bundle, backend="python", name="eye", threads=1), repository)
        port = free_port()
        command = [
            str(options.program),
            f"--model-repository={repository}",
            f"--backend-directory={options.program.parents[1] / 'backends'}",
            f"--grpc-port={port}",
            *("--grpc-address=127.0.0.1", "--allow-http=false", "--allow-metrics=false"),
            "--disable-auto-complete-config",
        ]
        packages = os.environ | {"ROP_SERVER_PACKAGES": sysconfig.get_path("purelib")}
        process = subprocess.Popen(command, env=packages, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            there = waited(lambda: load_engine(bundle, f"triton://127.0.0.1:{port}/eye"))
            with there, load_engine(bundle, "openvino", threads=1) as here:
                told(f"{there.facts.device}, {there.facts.precision}", *measured(there, here, images, options.frames))
        finally:
            process.terminate()
            process.wait()


def measured(there: Engine, here: Engine, images: np.ndarray, frames: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each frame, by the server and by this process, taken in turn."""
    by_server, by_own = [], []
    for number in range(frames + 10):
        image = images[number % len(images)]
        start = time.perf_counter()
        there.infer(image)
        middle = time.perf_counter()
        here.infer(image)
        end = time.perf_counter()
        if number >= 10:
            by_server.append((middle - start) * 1e3)
            by_own.append((end - middle) * 1e3)
    return by_server, by_own


def told(what: str, by_server: list[float], by_own: list[float]) -> None:
    added = np.subtract(by_server, by_own)
    p50, p99 = np.percentile(by_server, [50, 99])
    own50, own99 = np.percentile(by_own, [50, 99])
    print(
        f"{what}: {len(by_server)} frames; server p50 {p50:.2f} p99 {p99:.2f} ms, own engine p50 {own50:.2f} "
        f"p99 {own99:.2f} ms; added, frame by frame: p50 {np.percentile(added, 50):.2f}, of the percentiles: "
        f"p50 {p50 - own50:.2f}, p99 {p99 - own99:.2f} ms"
    )


if __name__ == "__main__":
    main()
