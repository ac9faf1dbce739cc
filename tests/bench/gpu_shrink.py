"""Could the shrink to 256 x 256 pay on this machine's GPU? `python tests/bench/gpu_shrink.py`, with an NVIDIA GPU.

Times the way that is used (the host shrinks, 196 kB go up) against all of the other way but its two matrix products:
the whole frame into pinned memory, up to the GPU, 196 kB down again for the quality gate, and the wait for them. Where
this least is no faster, neither is the whole, and nothing needs to be built. See runtime/engines/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable

import numpy as np

from runtime.cuda import open_cuda
from runtime.cuda.base import Cuda
from runtime.errors import EngineError
from runtime.preprocess import SIDE, network_input

SIZES = ((480, 640), (1440, 1440), (2040, 2040), (2448, 3264))
"""Height and width of frames that cameras give."""
SMALL = SIDE * SIDE * 3
PICTURES = 6
"""In turn, so that none waits in a cache."""
WARM_UP = 20


def times(run: Callable[[np.ndarray], None], pictures: list[np.ndarray], frames: int) -> np.ndarray:
    """Milliseconds of each frame, the host's clock."""
    found = np.empty(frames)
    for index in range(-WARM_UP, frames):
        picture = pictures[index % PICTURES]
        start = time.perf_counter()
        run(picture)
        if index >= 0:
            found[index] = (time.perf_counter() - start) * 1e3
    return found


def row(cuda: Cuda, height: int, width: int, frames: int) -> str:
    """One size of frame."""
    noise = np.random.default_rng(0)
    pictures = [noise.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(PICTURES)]
    stream, mapped = cuda.stream(), cuda.facts.integrated
    large, small = cuda.host_buffer(height * width * 3, mapped=mapped), cuda.host_buffer(SMALL)
    there, image = cuda.device_buffer(large.size), cuda.device_buffer(SMALL)

    def on_host(picture: np.ndarray) -> None:
        np.copyto(small.array, network_input(picture).reshape(-1))
        cuda.copy_in(image.address, small, stream)
        cuda.synchronize(stream)

    def least_on_gpu(picture: np.ndarray) -> None:
        np.copyto(large.array, picture.reshape(-1))
        if large.device_address is None:  # else the GPU reads it where it lies
            cuda.copy_in(there.address, large, stream)
        cuda.copy_out(small, image.address, stream)
        cuda.synchronize(stream)

    host, gpu = (np.percentile(times(way, pictures, frames), (50, 99)) for way in (on_host, least_on_gpu))
    verdict = "worth building" if gpu[0] < host[0] else "cannot pay"
    return f"| {width} x {height} | {host[0]:.3f} / {host[1]:.3f} | {gpu[0]:.3f} / {gpu[1]:.3f} | {verdict} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    try:
        with open_cuda() as cuda:
            facts = cuda.facts
            print(f"{facts.name}, CUDA driver {facts.driver}, {cuda.library}, {datetime.date.today()}\n")
            print("| frame | host shrink and small upload, p50 / p99 ms | GPU shrink without its products | so it |")
            print("|---|---|---|---|")
            for height, width in SIZES:
                print(row(cuda, height, width, options.frames), flush=True)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
