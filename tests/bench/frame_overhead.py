"""Prints what a whole frame costs beside the two bare engine calls: `python tests/bench/frame_overhead.py`.

Both are timed in turn, frame by frame in one run, so that a machine whose speed drifts does not favour one. Where
other work shares the cores, the processor time of all threads together tells most.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from device.cameras import open_camera
from device.frame import Frame
from runtime import Screener, open_bundle
from runtime.engines import load_engine
from runtime.preprocess import network_input

SIZES = ((640, 480), (2040, 2040))


def frames(width: int, height: int, count: int) -> list[Frame]:
    """Fresh frames with no hash known yet."""
    out: list[Frame] = []
    with open_camera(f"sim:seed=1,size={width}x{height}") as camera:
        while len(out) < count:
            frame = camera.read()
            if frame is not None and (frame.truth is None or frame.truth.fault is None):
                out.append(frame)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    engine = load_engine(bundle, threads=options.threads)
    screener = Screener(bundle, engine=engine, reject_repeats=False)  # a few pictures, again and again
    print(f"{engine.facts.backend} {engine.facts.precision} on {engine.facts.device}")
    for width, height in SIZES:
        whole_ms, bare_ms, whole_cpu_ms, bare_cpu_ms = [], [], [], []
        pictures = frames(width, height, 8)
        for index in range(options.frames + 10):
            # A copy, so that neither the hash nor the cache remembers the frame.
            frame = Frame(pictures[index % len(pictures)].pixels.copy(), index, "bench")
            image = network_input(frame.pixels)
            cpu_begin = time.process_time()
            inference = engine.infer(image)
            cpu_middle, middle = time.process_time(), time.perf_counter()
            reading = screener.screen(frame)
            end, cpu_end = time.perf_counter(), time.process_time()
            if reading.probabilities is None:
                raise SystemExit(f"the frame was not read: {reading.reason}")
            if index >= 10:
                bare_ms.append(inference.segment_ms + inference.classify_ms)
                whole_ms.append((end - middle) * 1e3)
                bare_cpu_ms.append((cpu_middle - cpu_begin) * 1e3)
                whole_cpu_ms.append((cpu_end - cpu_middle) * 1e3)
        bare, whole = np.median(bare_ms), np.median(whole_ms)
        difference = np.median(np.asarray(whole_ms) - np.asarray(bare_ms))
        print(
            f"{width} x {height}: two bare engine calls p50 {bare:.2f} ms, whole frame p50 {whole:.2f} ms, "
            f"ratio {whole / bare:.3f}, on top {difference:.2f} ms ({options.frames} frames); processor time p50 "
            f"{np.median(bare_cpu_ms):.2f} and {np.median(whole_cpu_ms):.2f} ms, p10 "
            f"{np.percentile(bare_cpu_ms, 10):.2f} and {np.percentile(whole_cpu_ms, 10):.2f} ms"
        )


if __name__ == "__main__":
    main()
