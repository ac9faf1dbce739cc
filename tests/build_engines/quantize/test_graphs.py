from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from build_engines.errors import QuantizationError
from build_engines.export import ExportedGraphs
from build_engines.plans.graph import for_tensorrt
from build_engines.quantize import Quantized, QuantizeSettings, add_graphs
from build_engines.quantize.graphs import int8_graph
from build_engines.quantize.half import require_half
from build_engines.quantize.inputs import Runner, TrueInputs
from build_engines.quantize.layers import layers_of
from build_engines.quantize.qdq import inspect
from build_engines.quantize.sensitivity import Judge
from runtime.arrays import UInt8Array
from runtime.engines.openvino.graph import int8_layers
from runtime.manifest import NETWORKS
from tests.build_engines.quantize.conftest import Made
from tests.build_engines.quantize.toy import SEGMENTATION_LAYERS

LOW = ("fp16", "int8")


def folder_of(graphs: ExportedGraphs, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for graph in (graphs.segmentation, graphs.classifier):
        shutil.copy(graph, folder)
    return folder


@pytest.fixture(scope="module")
def folder(exported: ExportedGraphs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(exported, tmp_path_factory.mktemp("low"))


@pytest.fixture(scope="module")
def quantized(folder: Path, frames: UInt8Array) -> Quantized:
    """The small network itself; what needs only some network is tried on the toy ones."""
    return add_graphs(folder, QuantizeSettings(LOW, "max"), frames)


def test_what_was_quantized_is_stated(quantized: Quantized) -> None:
    assert {name: network.layers for name, network in quantized.networks.items()} == {
        "segmentation": 22,
        "classifier": 2 * 4 * 2 + 4,
    }
    assert quantized.networks["classifier"].frames == 8
    assert set(quantized.networks["classifier"].kept) == {"takes the image", "depthwise", "head", "between stages"}


@pytest.mark.usefixtures("quantized")
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", LOW)
def test_graphs_take_and_give_what_fp32_does(folder: Path, network: str, precision: str) -> None:
    plain, low = (onnx.load(folder / f"{network}.{name}.onnx") for name in ("fp32", precision))
    onnx.checker.check_model(low, full_check=True)
    for kind in ("input", "output"):
        got, want = (
            {v.name: v.type.SerializeToString(deterministic=True) for v in getattr(m.graph, kind)} for m in (low, plain)
        )
        assert got == want
    assert (low.ir_version, low.opset_import[0].version) == (plain.ir_version, plain.opset_import[0].version)
    assert list(low.metadata_props) == list(plain.metadata_props)
    require_half(low, precision)
    large = [tensor for tensor in low.graph.initializer if np.prod(tensor.dims) > 64]
    assert {tensor.data_type for tensor in large} <= {TensorProto.FLOAT16, TensorProto.INT8}
    size = sum(numpy_helper.to_array(tensor).nbytes for tensor in low.graph.initializer)
    assert size < sum(numpy_helper.to_array(tensor).nbytes for tensor in plain.graph.initializer) * 0.6


@pytest.mark.usefixtures("quantized")
def test_results_stay_near_fp32(folder: Path, frames: UInt8Array) -> None:
    expected: dict[str, Any] = {}
    for precision, allowed in (("fp32", 0.0), ("fp16", 0.005), ("int8", 0.05)):
        run = {network: Runner(folder / f"{network}.{precision}.onnx") for network in NETWORKS}
        inputs: dict[str, Any] = {"image": frames[5:6]}
        found = run["segmentation"](inputs)
        found |= run["classifier"]({**inputs, **found})
        expected = expected or found
        for name in ("vessels", "probabilities"):
            assert np.abs(found[name] - expected[name]).mean() <= allowed, (precision, name)
    assert expected["vessels"].std() > 0.01, "a flat map would prove nothing"


@pytest.mark.parametrize("network", NETWORKS)
def test_the_cpu_runs_every_quantized_layer_in_8_bits(folder: Path, quantized: Quantized, network: str) -> None:
    run = Runner(folder / f"{network}.int8.onnx")
    assert int8_layers(run.compiled) == quantized.networks[network].layers
    assert int8_layers(Runner(folder / f"{network}.fp16.onnx").compiled) == 0


@pytest.mark.usefixtures("quantized")
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", LOW)
def test_tensorrt_rtx_compiles_every_graph(folder: Path, network: str, precision: str) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    definition = builder.create_network(0)
    parser = trt.OnnxParser(definition, logger)
    parsed = parser.parse(for_tensorrt((folder / f"{network}.{precision}.onnx").read_bytes()))
    assert parsed, [str(parser.get_error(i)) for i in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    assert builder.build_serialized_network(definition, config) is not None


def test_without_a_method_the_nearer_one_is_taken(made: Made, frames: UInt8Array, tmp_path: Path) -> None:
    said: list[str] = []
    quantized = add_graphs(folder_of(made.graphs, tmp_path / "toy"), QuantizeSettings(("int8",)), frames, said.append)
    for network in NETWORKS:
        told = [line.split() for line in said if line.startswith(f"{network}.fp32.onnx: ranges by")]
        drops = {words[3].rstrip(":"): float(words[5]) for words in told}
        assert set(drops) == {"max", "entropy"}
        assert drops[quantized.networks[network].method] == min(drops.values())
        for method in drops:  # said as it begins, as it takes minutes
            begun = said.index(f"{network}.fp32.onnx: int8, finding ranges by {method} over {len(frames)} frames")
            assert said[begun + 1].startswith(f"{network}.fp32.onnx: ranges by {method}: drop")


def test_max_drop_keeps_the_worst_blocks(made: Made, frames: UInt8Array, tmp_path: Path) -> None:
    graph = folder_of(made.graphs, tmp_path / "spoilt") / "segmentation.fp32.onnx"
    original = onnx.load(graph)
    bad = next(t for t in original.graph.initializer if t.name == "segmentation.decoder.0.conv2.weight")
    values = numpy_helper.to_array(bad).copy()
    values[:, 0, 0, 0] *= 4000  # next to it, the other weights of each channel are lost in 8 bits
    bad.CopyFrom(numpy_helper.from_array(values, bad.name))
    onnx.save(original, graph)
    judge = Judge("segmentation", Runner(graph), made.graphs.classifier, frames[:2])
    settings = QuantizeSettings(("int8",), "max", max_drop=0.03)
    model, facts = int8_graph(
        graph, layers_of(original), TrueInputs(frames[:4], None), settings, judge, lambda line: None
    )
    assert "segmentation.decoder.0.conv2/Conv" in facts.kept["sensitive"]
    assert len(inspect(model, "graph").layers) == facts.layers < SEGMENTATION_LAYERS


def test_too_few_frames_are_refused(made: Made, frames: UInt8Array, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="got 7 frames, needed 8 or more for int8"):
        add_graphs(folder_of(made.graphs, tmp_path / "few"), QuantizeSettings(("int8",)), frames[:7])


def test_a_weight_that_was_passed_over_is_found(folder: Path, quantized: Quantized) -> None:
    model = onnx.load(folder / "classifier.fp16.onnx")
    tensor = next(t for t in model.graph.initializer if t.name.endswith("head_fc.weight"))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    with pytest.raises(QuantizationError, match=r"head_fc.weight is FLOAT, expected FLOAT16: the conversion passed"):
        require_half(model, "graph")
