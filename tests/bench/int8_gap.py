"""What separates INT8 graphs on this CPU: ModelOpt's own Q/DQ, the bundle's, the same kept signed, and NNCF's.

    python tests/bench/int8_gap.py BUNDLE --calibration SET [--nncf PYTHON]

Graphs take turns on each frame, one thread each, with this CPU's half precision beside INT8, channels last as the
engine has them. NNCF is not among the project's packages: `--nncf` names an interpreter that has it and OpenVINO.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from rich.console import Console
from rich.table import Table

from build_engines.quantize.calibrate import quiet
from build_engines.quantize.inputs import Runner, TrueInputs
from calibration import open_set
from runtime import Bundle, open_bundle
from runtime.engines.openvino.graph import half_precision
from runtime.engines.openvino.layout import channels_last
from runtime.engines.openvino.unsigned import unsigned_after_relu
from runtime.manifest import graph_name

CALIBRATED, TIMED = 24, 40
HEAVY = ("Convolution", "GroupConvolution", "FullyConnected", "FullyConnectedQuantizedLegacy", "MatMul")
NNCF = """
import sys, nncf, openvino, numpy as np
graph, data, out = sys.argv[1:]
data = np.load(data)
model = openvino.Core().read_model(graph)
names = [port.get_any_name() for port in model.inputs]
arrays = {name: data[name] for name in names}
count = len(arrays[names[0]])
dataset = nncf.Dataset(range(count), lambda i: {name: arrays[name][i:i + 1] for name in names})
openvino.save_model(nncf.quantize(model, dataset, subset_size=count), out, compress_to_fp16=False)
"""


def own_placement(graph: Path, arrays: dict[str, Any], folder: Path) -> Path:
    """ModelOpt left alone: it quantizes residual sums, LayerNorm's inputs and depthwise convolutions, too."""
    out = folder / "modelopt.onnx"
    with quiet():
        from modelopt.onnx.quantization import quantize

        quantize(
            str(graph),
            calibration_data=arrays,
            calibration_method="max",
            calibration_eps=["cpu"],
            output_path=str(out),
            high_precision_dtype="fp32",
        )
    return out


def by_nncf(python: str, graph: Path, arrays: dict[str, Any], folder: Path) -> Path:
    data, out = folder / "data.npz", folder / "nncf.xml"
    np.savez(data, **arrays)
    subprocess.run([python, "-c", NNCF, str(graph), str(data), str(out)], check=True, capture_output=True)
    return out


class Timed:
    """A compiled graph, its times, and its first output's error."""

    def __init__(self, graph: Path, unsigned: bool, precision: str | None = None) -> None:
        core = openvino.Core()
        model = core.read_model(graph)
        if unsigned:
            unsigned_after_relu(model)
        if not channels_last(model):
            raise SystemExit(f"{graph}: cannot be brought to channels last")
        half = precision or half_precision(core)
        options = {"INFERENCE_PRECISION_HINT": half, "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.names = [port.get_any_name() for port in self.request.model_inputs]
        self.times_ms: list[float] = []
        self.light_ms: list[float] = []
        self.outputs: list[Any] = []

    def run(self, inputs: dict[str, Any]) -> None:
        for name in self.names:
            self.request.set_tensor(name, openvino.Tensor(inputs[name].copy()))
        start = time.perf_counter()
        self.request.infer()
        self.times_ms.append((time.perf_counter() - start) * 1e3)
        spent: dict[bool, float] = defaultdict(float)
        for node in self.request.profiling_info:
            spent[node.node_type in HEAVY] += node.real_time.total_seconds() * 1e3
        self.light_ms.append(spent[False])
        self.outputs.append(self.request.get_output_tensor(0).data.copy())


def compare(bundle: Bundle, network: str, frames: Any, nncf: str | None) -> Table:
    fp32 = bundle.path / graph_name(network, "fp32")
    segmentation = Runner(bundle.path / graph_name("segmentation", "fp32")) if network == "classifier" else None
    inputs = list(TrueInputs(frames, segmentation))
    arrays = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        int8 = bundle.path / graph_name(network, "int8")
        graphs = {
            "fp32": Timed(fp32, False, "f32"),
            "half precision": Timed(bundle.path / graph_name(network, "fp16"), False),
            "ModelOpt's own placement": Timed(own_placement(fp32, arrays, folder), False),
            "the bundle's, signed": Timed(int8, False),
            "the bundle's": Timed(int8, True),
        }
        if nncf:
            graphs["NNCF's"] = Timed(by_nncf(nncf, fp32, arrays, folder), False)
        for turn in range(TIMED):
            for graph in graphs.values():
                graph.run(inputs[turn % len(inputs)])
    table = Table("graph", "speed-up", "least ms", "beside convolutions and products", "mean error", title=network)
    reference = np.asarray(graphs["fp32"].times_ms)
    for name, graph in graphs.items():
        error = np.mean([np.abs(a - b).mean() for a, b in zip(graph.outputs, graphs["fp32"].outputs, strict=True)])
        ratio = float(np.median(reference / np.asarray(graph.times_ms)))
        least, light = min(graph.times_ms), min(graph.light_ms)
        table.add_row(name, f"{ratio:.2f}", f"{least:.1f}", f"{light:.1f} ms", f"{error:.5f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--nncf", metavar="PYTHON")
    options = parser.parse_args()
    frames = open_set(options.calibration).frames()[:CALIBRATED]
    for network in ("segmentation", "classifier"):
        Console(width=110).print(compare(open_bundle(options.bundle), network, frames, options.nncf))


if __name__ == "__main__":
    main()
