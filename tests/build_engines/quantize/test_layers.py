from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from build_engines.errors import QuantizationError
from build_engines.export import ExportedGraphs
from build_engines.quantize.layers import (
    BETWEEN,
    DEPTHWISE,
    HEAD,
    IMAGE,
    NARROW,
    block_of,
    kept_by_reason,
    layers_of,
    require_names,
)
from tests.build_engines.quantize.conftest import Made


@pytest.mark.parametrize(
    ("node", "block"),
    [
        ("segmentation.encoder.0.conv1/Conv", "segmentation.encoder.0"),
        ("segmentation.decoder.3.conv2/Conv_1", "segmentation.decoder.3"),
        ("segmentation.up.2.upsample/Resize", "segmentation.up.2"),
        ("segmentation.output/Conv", "segmentation.output"),
        ("classifier.raw.stages.2.blocks.5.expand/MatMul", "classifier.raw.stages.2.blocks.5"),
        ("classifier.guided.stages.1.downsample.1/Conv", "classifier.guided.stages.1.downsample.1"),
        ("classifier.gates.convs.3/Conv", "classifier.gates.convs.3"),
        ("classifier.raw.head_fc/Gemm", "classifier.raw.head_fc"),
    ],
)
def test_a_nodes_name_tells_its_block(node: str, block: str) -> None:
    assert block_of(node) == block


def test_layers_and_why_some_are_kept(exported: ExportedGraphs) -> None:
    segmentation, classifier = (layers_of(onnx.load(p)) for p in (exported.segmentation, exported.classifier))
    assert (len(segmentation), len(classifier)) == (23, 2 * (4 * 3 + 1 + 3 + 3) + 4 + 4)
    assert kept_by_reason(segmentation) == {IMAGE: ("segmentation.encoder.0.conv1/Conv",)}
    kept = {reason: len(names) for reason, names in kept_by_reason(classifier).items()}
    assert kept == {IMAGE: 2, DEPTHWISE: 8, HEAD: 10, BETWEEN: 6}


@pytest.mark.parametrize(
    ("outputs", "inputs", "kept"),
    [(16, 16, None), (2, 16, None), (8, 16, None), (16, 3, IMAGE), (8, 8, NARROW), (4, 4, NARROW), (12, 20, NARROW)],
)
def test_convolutions_too_narrow_for_tensorrt_are_kept(outputs: int, inputs: int, kept: str | None) -> None:
    weight = numpy_helper.from_array(np.zeros((outputs, inputs, 3, 3), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="a/Conv")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight]))
    assert layers_of(model)[0].kept == kept


@pytest.mark.parametrize(
    ("kernel", "strides", "kept"), [([2, 2], [2, 2], BETWEEN), ([3, 3], [2, 2], None), ([1, 1], [1, 1], None)]
)
def test_convolutions_between_stages_are_kept(kernel: list[int], strides: list[int], kept: str | None) -> None:
    weight = numpy_helper.from_array(np.zeros((32, 16, *kernel), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="a/Conv", kernel_shape=kernel, strides=strides)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight]))
    assert layers_of(model)[0].kept == kept


def test_nodes_without_a_name_of_their_own_are_refused(made: Made) -> None:
    model = onnx.load(made.graphs.segmentation)
    require_names(model, "graph")
    model.graph.node[3].name = model.graph.node[4].name
    with pytest.raises(QuantizationError, match=r"graph: two nodes called .*; export the graph again"):
        require_names(model, "graph")
    model.graph.node[3].name = ""
    with pytest.raises(QuantizationError, match="graph: 1 nodes without a name"):
        require_names(model, "graph")
