"""Graphs with the channels last give the same numbers, in fewer copies; graphs of another kind are left alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from runtime.bundle import open_bundle
from runtime.engines.openvino.graph import FEATURES, compile_graph
from runtime.engines.openvino.layout import channels_last, pass_channels_last

SHAPE = [1, 16, 6, 5]
CHANNELS = SHAPE[1]
GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.normal(size=(CHANNELS, CHANNELS)).astype(np.float32)
KERNEL = GENERATOR.normal(size=(CHANNELS, 1, 1, 3, 3)).astype(np.float32)


def turned(x: Any, order: list[int]) -> Any:
    return ops.transpose(x, ops.constant(np.array(order)))


def last(x: Any) -> Any:
    return turned(x, [0, 2, 3, 1])


def first(x: Any) -> Any:
    return turned(x, [0, 3, 1, 2])


def normalised(x: Any, axes: list[int]) -> Any:
    return ops.mvn(x, ops.constant(np.array(axes)), True, 1e-6, "inside_sqrt")


def block(x: Any, gate: Any) -> Any:
    """What a ConvNeXt block does, and the gate after it."""
    each = ops.group_convolution(x, ops.constant(KERNEL), [1, 1], [1, 1], [1, 1], [1, 1])
    y = ops.matmul(normalised(last(each), [-1]), ops.constant(WEIGHT), False, False)
    return ops.multiply(ops.add(x, first(ops.multiply(y, ops.constant(WEIGHT[0])))), ops.sigmoid(gate))


KINDS = {
    "blocks": lambda x: block(block(x, x), x),
    "scaled": lambda x: ops.divide(ops.add(first(ops.relu(last(x))), x), ops.constant(np.float32(3))),
    "never moved back": lambda x: normalised(last(x), [-1]),
    "normalised over the picture": lambda x: first(normalised(last(x), [1, 2])),
    "averaged over the picture": lambda x: ops.reduce_mean(last(x), ops.constant(np.array([1, 2])), False),
    "a number for each channel": lambda x: ops.add(
        first(ops.relu(last(x))), ops.constant(WEIGHT[0].reshape(1, CHANNELS, 1, 1))
    ),
    "one plane for all channels": lambda x: ops.multiply(
        first(ops.relu(last(x))), ops.reduce_mean(x, ops.constant(np.array([1])), True)
    ),
}


def model(kind: str, shape: list[int] = SHAPE) -> ov.Model:
    x = ops.parameter(shape, ov.Type.f32)
    return ov.Model([KINDS[kind](x)], [x])


def run(network: ov.Model) -> Any:
    values = np.random.default_rng(1).normal(size=network.input(0).shape).astype(np.float32)
    return np.array(ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(values)[0])


def operations(network: ov.Model) -> Counter[str]:
    return Counter(node.get_type_name() for node in network.get_ordered_ops())


def ranks(network: ov.Model) -> list[tuple[str, int]]:
    """Of what is calculated over whole axes."""
    wanted = [node for node in network.get_ordered_ops() if node.get_type_name() in ("MVN", "ReduceMean")]
    return [(node.get_type_name(), len(node.input_value(0).get_partial_shape())) for node in wanted]


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_stay_the_same(kind: str) -> None:
    network = model(kind)
    assert channels_last(network)
    np.testing.assert_allclose(run(network), run(model(kind)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["never moved back", "normalised over the picture", "averaged over the picture"])
def test_what_needs_four_dimensions_keeps_them(kind: str) -> None:
    network = model(kind)
    before = ranks(network)
    assert channels_last(network)
    assert ranks(network) == before


def test_residual_sums_and_gates_are_made_with_the_channels_last() -> None:
    network = model("blocks")
    channels_last(network)
    sums = [node for node in network.get_ordered_ops() if node.get_type_name() in ("Add", "Multiply", "MVN", "MatMul")]
    assert {len(node.get_output_partial_shape(0)) for node in sums} == {3}
    # One for each convolution's input and output, the first input, and the result: no sum has its own.
    assert operations(network)["Transpose"] <= 7


def test_the_colours_of_an_image_stay_planes() -> None:
    network = model("scaled", [1, 3, 6, 5])
    before = operations(network)
    assert channels_last(network)
    assert operations(network)["Divide"] == before["Divide"]
    divide = next(node for node in network.get_ordered_ops() if node.get_type_name() == "Divide")
    assert list(divide.get_output_partial_shape(0).to_shape()) == [1, 3, 6, 5]


def test_a_graph_whose_shapes_would_not_go_together_is_said_to_be_of_another_kind() -> None:
    x = ops.parameter(SHAPE, ov.Type.f32)
    planes = ops.parameter([1, 6, 5, 1], ov.Type.f32)
    network = ov.Model([first(ops.add(last(x), planes))], [x, planes])
    assert not channels_last(network)


@pytest.mark.parametrize("element_type", ["f32", "bf16", "f16"])
def test_two_networks_hand_feature_maps_on_channels_last(element_type: str) -> None:
    x, y = ops.parameter(SHAPE, ov.Type.f32), ops.parameter(SHAPE, ov.Type.f32)
    giver, taker = ov.Model([ops.relu(x)], [x]), ov.Model([ops.multiply(y, y)], [y])
    giver.outputs[0].set_names({"maps"})
    taker.inputs[0].set_names({"maps"})
    for network in (giver, taker):
        pass_channels_last(network, ["maps"], element_type)
    port, taken = giver.output("maps"), taker.input("maps")
    assert list(port.shape) == list(taken.shape) == [1, 6, 5, 16]
    assert {port.get_element_type().get_type_name(), taken.get_element_type().get_type_name()} == {element_type}
    core = ov.Core()
    requests = [core.compile_model(network, "CPU").create_infer_request() for network in (giver, taker)]
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    requests[0].infer([values])
    requests[1].set_tensor("maps", requests[0].get_tensor("maps"))
    requests[1].infer()
    expected = np.maximum(values, 0) ** 2
    np.testing.assert_allclose(requests[1].get_output_tensor(0).data, expected, rtol=0.03, atol=1e-5)


def test_the_demonstration_normalises_in_one_kernel_and_moves_nothing() -> None:
    compiled = compile_graph(ov.Core(), open_bundle(), "classifier", "fp32", "f32")
    parts = [node for model in compiled.models for node in model.get_runtime_model().get_ordered_ops()]
    nodes = [node.get_rt_info()["layerType"].astype(str) for node in parts]
    assert nodes.count("MVN") == 34  # every LayerNorm
    assert nodes.count("Reduce") == 2  # the two averages over the picture
    assert set(compiled.inputs) == {"image", "vessels", *FEATURES}
    request = compiled.request()
    used = [request.get_tensor(name) for name in FEATURES]
    assert all(port.shape[1] == port.shape[2] < 256 for port in used)
