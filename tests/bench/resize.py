"""Prints what the resize to the networks' input costs, compiled and in NumPy: `python tests/bench/resize.py`."""

from __future__ import annotations

import time

import numpy as np

import runtime.preprocess
from runtime.preprocess import compiled, network_input

SIZES = ((640, 480), (1280, 960), (2040, 2040), (2592, 1944))


def main() -> None:
    kernel = runtime.preprocess._kernel
    if not compiled():
        print("the compiled resize is not installed here: only NumPy's is timed")
    for width, height in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        for name, way, times in (("compiled", kernel, 200), ("NumPy", None, 20)):
            if way is None and name == "compiled":
                continue
            runtime.preprocess._kernel = way  # type: ignore[assignment]
            taken_ms = []
            for _ in range(times):
                start = time.perf_counter()
                network_input(pixels)
                taken_ms.append((time.perf_counter() - start) * 1e3)
            print(f"{width} x {height}, {name}: smallest {min(taken_ms):.2f} ms, p50 {np.median(taken_ms):.2f} ms")


if __name__ == "__main__":
    main()
