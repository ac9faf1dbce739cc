"""Prints the GPU table of BENCHMARKS.md: `python tests/bench/gpu.py --bundle DIR` (build its plans there first).

One row for each way to run a frame, from host uint8 to host results: every plan of the bundle that fits this machine,
by CUDA graph and by single calls, and with --checkpoint the peers: PyTorch eager and compiled in FP16, and ONNX
Runtime's CUDA provider where it is installed. `--library none` measures the peers alone, for a machine whose torch and
TensorRT are in different Pythons. A project that is not installed must be in PYTHONPATH. It has never run on a GPU.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from device.cameras import open_camera
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle, open_bundle
from runtime.cuda import open_cuda
from runtime.cuda.base import Cuda
from runtime.cuda.probe import Probe, probe
from runtime.engines.base import Engine
from runtime.engines.tensorrt.engine import TensorRTEngine
from runtime.engines.tensorrt.network import import_library
from runtime.errors import EngineError
from runtime.manifest import graph_name
from runtime.plan_key import MODULES, TARGETS, Library, architecture_name, release
from runtime.plans import find_plan, list_plans
from runtime.preprocess import network_input

WARM_UP = 200
IDLE_TIMES = 3
Infer = Callable[[UInt8Array], Any]


def pictures(count: int) -> list[UInt8Array]:
    found: list[UInt8Array] = []
    with open_camera("sim:seed=1,faults=0") as camera:
        while len(found) < count:
            frame = camera.read()
            if frame is not None:
                found.append(network_input(frame.pixels))
    return found


def timed(infer: Infer, images: list[UInt8Array], frames: int, note: Callable[[], None] = lambda: None) -> np.ndarray:
    """Milliseconds of each frame, the host's clock."""
    times = np.empty(frames)
    for index in range(-WARM_UP, frames):
        image = images[index % len(images)]
        start = time.perf_counter()
        infer(image)
        end = time.perf_counter()
        if index >= 0:
            times[index] = (end - start) * 1e3
            note()
    return times


def row(name: str, times: np.ndarray, stages: np.ndarray | None = None) -> None:
    """stages: GPU milliseconds [frames, 4]: upload, segment, classify, download."""
    p50, p99 = np.percentile(times, (50, 99))
    cells = [name, f"{p50:.3f}", f"{p99:.3f}"]
    if stages is None:
        cells += [""] * 6
    else:
        for column in stages.T:
            cells.append("{:.3f} / {:.3f}".format(*np.percentile(column, (50, 99))))
        compute = float(np.median(stages[:, 1] + stages[:, 2]))
        cells += [f"{compute:.3f}", f"{(p50 / compute - 1) * 100:+.1f} %"]
    print("| " + " | ".join(cells) + " |", flush=True)


def without_graphs() -> Cuda:
    cuda = open_cuda()
    cuda.has_graphs = False
    return cuda


def after_idle_ms(engine: Engine, image: UInt8Array, idle_s: float, *, warm: bool) -> float:
    """Median of the first frame after so much idleness. warm: with `keep_warm`, as a cart calls it meanwhile."""
    firsts = []
    for _ in range(IDLE_TIMES):
        until = time.monotonic() + idle_s
        while (left := until - time.monotonic()) > 0:
            if warm:
                engine.keep_warm()
            time.sleep(min(left, engine.idle_every_s or left))
        start = time.perf_counter()
        engine.infer(image)
        firsts.append((time.perf_counter() - start) * 1e3)
    return float(np.median(firsts))


def plans(
    bundle: Bundle, library: Library, found: Probe, images: list[UInt8Array], frames: int, idle_s: float | None
) -> None:
    """A row for each plan that fits, with and without the CUDA graph."""
    here = (architecture_name(*found.compute_capability), library, release(found.library_version))
    for key in list_plans(bundle):
        if (key.architecture, key.library, key.version) != here:
            continue
        for way, open_gpu in (("CUDA graph", open_cuda), ("single calls", without_graphs)):
            plan = find_plan(bundle, key)
            with TensorRTEngine(plan, len(bundle.class_names), lambda: import_library(library), open_gpu) as engine:
                stages: list[tuple[float, ...]] = []

                def note(engine: TensorRTEngine = engine, stages: list[tuple[float, ...]] = stages) -> None:
                    gpu = engine.gpu_ms()
                    stages.append((gpu.upload, gpu.segment, gpu.classify, gpu.download))

                row(f"{key}, {way}", timed(engine.infer, images, frames, note), np.asarray(stages))
                print(f"<!-- {engine.facts.why} -->")
                if idle_s is not None and way == "CUDA graph":
                    cold, warm = (after_idle_ms(engine, images[0], idle_s, warm=warm) for warm in (False, True))
                    print(f"<!-- first frame after {idle_s:g} s idle: {cold:.3f} ms, kept warm: {warm:.3f} ms -->")


def peers(bundle: Bundle, checkpoint: Path) -> Iterator[tuple[str, Infer]]:
    """What else runs the networks on this GPU, each from host uint8 to host probabilities."""
    import torch

    from build_engines.segimgnet.checkpoint import load_checkpoint

    def prepared(compiled: bool) -> Infer:
        network: Any = load_checkpoint(checkpoint).eval().half().cuda()
        run = torch.compile(network, mode="max-autotune") if compiled else network

        def infer(image: UInt8Array) -> Any:
            with torch.inference_mode():
                pixels = torch.from_numpy(image).cuda().permute(0, 3, 1, 2).half().div(255)
                segmentation, classification = run(pixels)
                return segmentation.vessels.float().cpu(), classification.probabilities.float().cpu()

        return infer

    yield f"PyTorch {torch.__version__} eager, FP16", prepared(False)
    yield f"PyTorch {torch.__version__} compiled (max-autotune), FP16", prepared(True)
    try:
        import onnxruntime
    except ImportError:
        return
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return
    precision = "fp16" if "fp16" in bundle.precisions("segmentation") else "fp32"
    sessions = {
        network: onnxruntime.InferenceSession(
            bundle.read(graph_name(network, precision)), providers=["CUDAExecutionProvider"]
        )
        for network in ("segmentation", "classifier")
    }
    names = [output.name for output in sessions["segmentation"].get_outputs()]

    def infer(image: UInt8Array) -> Any:
        given = dict(zip(names, sessions["segmentation"].run(names, {"image": image}), strict=True))
        return sessions["classifier"].run(None, {"image": image, **given})

    yield f"ONNX Runtime {onnxruntime.__version__} CUDA, {precision}", infer


def probed(found: Probe, library: Library) -> str:
    return f"{found.gpu}, CUDA driver {found.driver}, {TARGETS[library]} {found.library_version}"


def torch_gpu() -> str:
    import torch

    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda} (torch's own)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--library", choices=(*MODULES, "none"), default="trt", help="none: the peers alone")
    parser.add_argument("--checkpoint", type=Path, help="what the bundle was built from: measures the peers too")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--idle", type=float, metavar="S", help="also the first frame after S s, kept warm and not")
    options = parser.parse_args()
    if options.library == "none" and options.checkpoint is None:
        parser.error("--library none: measures the peers alone, which need --checkpoint")
    try:
        found = None if options.library == "none" else probe(MODULES[options.library])
        bundle = open_bundle(options.bundle)
        print(
            f"{torch_gpu() if found is None else probed(found, options.library)}, "
            f"bundle {bundle.manifest.name} {bundle.manifest.version} ({bundle.manifest.network.size}), "
            f"{options.frames} frames, {datetime.date.today()}, `{' '.join(['python', *sys.argv])}`\n"
        )
        print("| way | host p50 ms | p99 | upload p50 / p99 | segment | classify | download | GPU compute | over it |")
        print("|---|---|---|---|---|---|---|---|---|")
        images = pictures(16)
        if found is not None:
            plans(bundle, options.library, found, images, options.frames, options.idle)
        if options.checkpoint is not None:
            for name, infer in peers(bundle, options.checkpoint):
                row(name, timed(infer, images, options.frames))
                gc.collect()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
