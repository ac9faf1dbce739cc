"""Every graph of the shipped bundle and of a `base` one compiles: NVIDIA's real parser and builder, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from build_engines.export import export_graphs
from build_engines.plans.build import serialize
from build_engines.plans.graph import for_tensorrt, scales_in_fp32
from build_engines.plans.parts import classifier_parts
from build_engines.quantize.half import require_half
from build_engines.quantize.layers import layers_of
from build_engines.quantize.qdq import require
from build_engines.segimgnet import BASE, SegImgNet
from runtime import open_bundle
from runtime.manifest import graph_name
from tests.build_engines.plans.grown import grown

ARCHITECTURE = "sm86"
SMALLEST, LARGEST = 0.9, 1.6
"""Plausible sizes of a plan, as shares of its graph's: the weights, and some code for each kernel."""
SHIPPED = [entry.path for entry in open_bundle().manifest.files if entry.path.endswith(".onnx")]
CODE_BYTES = 16e6
"""Kernels take as much in a plan whose weights are small; 13 MB were seen, in INT8."""
QUANTIZED_FRAMES = 8


def check(rtx: Any, name: str, graph: bytes, *, untyped: bool = True) -> bytes:
    """Compile a graph; its plan's size must fit its weights. untyped: INT8 also as TensorRT 8.6 gets it."""
    network, precision, _ = name.split(".")
    made = serialize(rtx, graph, precision, title=network, architecture=ARCHITECTURE)
    assert made.strongly_typed
    assert SMALLEST * len(graph) <= len(made.content) <= LARGEST * len(graph) + CODE_BYTES
    assert {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}[precision] in made.network_layers
    if precision == "int8" and untyped:
        # What TensorRT 8.6 gets of it: no parser of 8.6 can be had here, but it is a sound graph in fp32 with Q and DQ.
        plain = serialize(rtx, for_tensorrt(graph, typed=False), precision, title=network, architecture=ARCHITECTURE)
        assert not {"fp16"} & plain.network_layers.keys()
        assert plain.network_layers["int8"] > 0
    return made.content


@pytest.mark.parametrize("name", SHIPPED)
def test_every_graph_of_the_shipped_bundle_compiles(rtx: Any, name: str) -> None:
    check(rtx, name, open_bundle().read(name))


def test_the_int8_classifier_compiles_with_fp32_scales_too(rtx: Any) -> None:
    lifted = scales_in_fp32(open_bundle().read("classifier.int8.onnx"))
    assert serialize(rtx, lifted, "int8", title="classifier", architecture=ARCHITECTURE).network_layers["int8"] > 0


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("classifier")])
def test_the_shipped_classifier_compiles_in_two_parts(rtx: Any, name: str) -> None:
    graph = open_bundle().read(name)
    plans = {
        part: serialize(rtx, content, name.split(".")[1], title=part, architecture=ARCHITECTURE)
        for part, content in classifier_parts(graph).items()
    }
    total = sum(len(plan.content) for plan in plans.values())
    assert SMALLEST * len(graph) <= total <= LARGEST * len(graph) + CODE_BYTES


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The published size in fp32, random weights."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    network = SegImgNet(BASE, classes=2, layer_scale=0.5)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.01 * torch.randn_like(weights))  # the exporter keeps equal ones, such as all ones, only once
    export_graphs(network, folder)
    yield folder
    for path in folder.glob("*.onnx"):  # 900 MB
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["segmentation", "classifier"])
def test_the_published_size_compiles_in_fp32(rtx: Any, base_folder: Path, network: str) -> None:
    name = graph_name(network, "fp32")
    check(rtx, name, (base_folder / name).read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("network", ["segmentation", "classifier"])
def test_a_shipped_graph_grows_to_the_published_size(base_folder: Path, network: str) -> None:
    """What makes the next test one of the published size: node by node it is the exported graph."""
    name = graph_name(network, "fp32")
    exported = onnx.load(base_folder / name)
    assert structure(onnx.load_model_from_string(grown(open_bundle().read(name)))) == structure(exported)
    quantized = onnx.load_model_from_string(grown(open_bundle().read(graph_name(network, "int8"))))
    require(quantized, [layer.name for layer in layers_of(exported) if not layer.kept], "grown")
    require_half(quantized, "grown")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("network", ["segmentation", "classifier"])
def test_the_published_size_compiles_in_low_precision(rtx: Any, network: str, precision: str) -> None:
    """As ModelOpt left the shipped graphs; the soak test converts the published size itself."""
    name = graph_name(network, precision)
    check(rtx, name, grown(open_bundle().read(name)), untyped=False)


def structure(model: onnx.ModelProto) -> tuple[object, ...]:
    """What a graph does, whatever its constants are called and its weights hold."""
    graph = model.graph
    constants = {tensor.name: (tensor.data_type, tuple(tensor.dims), shape_of(tensor)) for tensor in graph.initializer}
    nodes = {
        node.name: (
            node.op_type,
            tuple(constants.get(name, name) for name in node.input),
            tuple(node.output),
            sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute),
        )
        for node in graph.node
    }
    ends = [(value.name, value.type.SerializeToString(deterministic=True)) for value in (*graph.input, *graph.output)]
    return nodes, ends


def shape_of(tensor: onnx.TensorProto) -> tuple[int, ...]:
    """Whole numbers are shapes and matter."""
    whole = tensor.data_type == onnx.TensorProto.INT64
    return tuple(numpy_helper.to_array(tensor).ravel().tolist()) if whole else ()


@pytest.mark.soak
def test_the_published_size_compiles_in_fp16_and_int8(rtx: Any, base_folder: Path) -> None:
    from build_engines.quantize.graphs import QuantizeSettings, add_graphs

    frames = np.random.default_rng(0).integers(0, 256, (QUANTIZED_FRAMES, 256, 256, 3), dtype=np.uint8)
    add_graphs(base_folder, QuantizeSettings(("fp16", "int8"), method="max", frames=QUANTIZED_FRAMES), frames)
    sizes = {}
    for network in ("segmentation", "classifier"):
        for precision in ("fp16", "int8"):
            name = graph_name(network, precision)
            sizes[name] = len(check(rtx, name, (base_folder / name).read_bytes()))
    assert sizes["segmentation.int8.onnx"] < sizes["segmentation.fp16.onnx"]
