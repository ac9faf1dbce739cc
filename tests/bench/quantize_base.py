"""Quantize SegImgNet of the published size with random weights: time, memory, errors, speed-ups.

    python tests/bench/quantize_base.py [--frames 16] [--size base] [--keep DIR]

INT8 has to be had in 5 minutes and 8 GB, with a mean relative error of the outputs of at most 0.02, and to run 3.4 x as
fast as fp32 and 1.7 x as fast as half precision, both networks together. Made from graphs, as from a fp32 bundle: what
exports them is a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from build_engines.bundle import written
from build_engines.check_images import check_images
from build_engines.description import plain_description
from build_engines.export import export_graphs
from build_engines.quantize import QuantizeSettings, add_graphs
from build_engines.report import measure, report_frames
from build_engines.report.frames import NamedFrames
from build_engines.report.table import print_parity
from build_engines.segimgnet import SIZES, SegImgNet
from runtime.manifest import BUNDLE_SCHEMA, NETWORKS, PRECISIONS, InputFacts, Manifest, NetworkFacts

INPUT = InputFacts(width=256, height=256, layout="NHWC", dtype="uint8", color="RGB", resize="antialiased bilinear")


def random_network(size: str) -> SegImgNet:
    """Random weights whose signal neither dies nor explodes, and blocks that leave their mark."""
    torch.manual_seed(0)
    network = SegImgNet(SIZES[size], 2, layer_scale=0.1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return network.eval()


def manifest(size: str) -> Manifest:
    description = plain_description(f"random-{size}", 2)
    return Manifest.model_validate(
        {
            "schema": BUNDLE_SCHEMA,
            **description.model_dump(),
            "created": "2026-11-22",
            "network": NetworkFacts(architecture="SegImgNet", size=size, parameters=1),
            "input": INPUT,
            "default_precision": {},
            "tools": {},
            "files": (),
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="base")
    parser.add_argument("--frames", type=int, default=16, help="calibration frames, of the simulated camera")
    parser.add_argument("--timed", type=int, default=12, help="frames on which precisions are compared")
    parser.add_argument("--method", choices=("max", "entropy"), default="max")
    parser.add_argument("--max-drop", type=float, help="as of python -m build_engines")
    parser.add_argument("--keep", type=Path, help="leave the graphs here")
    options = parser.parse_args()
    frames = np.stack(check_images(None, options.frames))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        exporting = multiprocessing.get_context("spawn").Process(target=export, args=(options.size, folder))
        exporting.start()
        exporting.join()
        if exporting.exitcode:
            return 2
        wall, cpu = time.monotonic(), time.process_time()
        settings = QuantizeSettings(("int8",), options.method, options.frames, options.max_drop)
        made = add_graphs(folder, settings, frames, print)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        int8_gb = peak_gb()
        print(f"int8: {wall:.0f} s ({cpu:.0f} s of processor time), peak memory {int8_gb:.1f} GB", flush=True)
        add_graphs(folder, QuantizeSettings(("fp16",)), frames, print)
        print(f"fp16 too: peak memory {peak_gb():.1f} GB", flush=True)
        bundle = written(folder, manifest(options.size).model_copy(update={"quantization": made.networks}))
        sim = report_frames(None)
        report = measure(bundle, NamedFrames(sim.truth, itertools.islice(sim.frames, options.timed)))
    print_parity(report, sys.stdout)
    for found in report.combinations:
        if found.segmentation == found.classifier:
            print(f"{found.segmentation}: mean relative error vessels {found.vessels_error:.4f}, ", end="")
            print(f"logits {found.logits_error:.4f}")
    took = {word: sum(report.speed(network, word).median_ms for network in NETWORKS) for word in PRECISIONS}
    over_fp32, over_half = took["fp32"] / took["int8"], took["fp16"] / took["int8"]
    print(f"both networks: int8 {over_fp32:.2f} x fp32, {over_half:.2f} x {report.machine.half_precision}")
    low = report.combination("int8", "int8")
    right = max(low.vessels_error, low.logits_error) <= 0.02 and int8_gb <= 8 and wall <= 300
    return 0 if right and over_fp32 >= 3.4 and over_half >= 1.7 else 1


def export(size: str, folder: Path) -> None:
    """Write the fp32 graphs of random weights."""
    export_graphs(random_network(size), folder)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    sys.exit(main())
