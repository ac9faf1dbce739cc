from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from build_engines.errors import QuantizationError
from build_engines.quantize.inputs import Runner
from build_engines.quantize.layers import layers_of
from build_engines.quantize.qdq import inspect, lift_weight_scales, require, strip
from runtime.arrays import UInt8Array
from tests.build_engines.quantize.conftest import Made


def wanted(made: Made) -> list[str]:
    return [layer.name for layer in layers_of(onnx.load(made.graphs.segmentation)) if not layer.kept]


def copy(made: Made, network: str = "segmentation") -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(made.quantized[network])
    return model


@pytest.mark.parametrize("network", ["segmentation", "classifier"])
def test_every_layer_that_is_not_kept_is_quantized_and_no_other(made: Made, network: str) -> None:
    layers = layers_of(onnx.load(getattr(made.graphs, network)))
    found = inspect(made.quantized[network], network)
    assert set(found.layers) == {layer.name for layer in layers if not layer.kept}
    assert set(found.others) == {layer.name for layer in layers if layer.kept}


def test_without_any_layer_it_is_the_fp32_graph_again(made: Made, frames: UInt8Array) -> None:
    plain = strip(made.quantized["segmentation"], [])
    assert not {node.op_type for node in plain.graph.node} & {"QuantizeLinear", "DequantizeLinear"}
    inputs = {"image": frames[:1]}
    expected, found = Runner(made.graphs.segmentation)(inputs), Runner(plain.SerializeToString())(inputs)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_a_layer_that_is_stripped_gets_what_it_got_in_fp32(made: Made) -> None:
    names = wanted(made)
    spared = "segmentation.encoder.1.conv1/Conv"
    model = strip(made.quantized["segmentation"], [name for name in names if name != spared])
    require(model, [name for name in names if name != spared], "graph")
    producer = {output: node for node in model.graph.node for output in node.output}
    (conv,) = (node for node in model.graph.node if node.name == spared)
    pool = producer[conv.input[0]]
    assert pool.op_type == "MaxPool"
    assert producer[pool.input[0]].op_type == "Relu", "pooling hands on to a layer in high precision: no Q/DQ before it"
    made_here = {name for node in model.graph.node for name in node.output}
    assert all(value.name in made_here for value in model.graph.value_info)


def test_other_layers_than_expected_are_named(made: Made) -> None:
    with pytest.raises(QuantizationError, match=r"graph: 6 layers have Q/DQ, expected 5.*encoder\.0\.conv2"):
        require(made.quantized["segmentation"], wanted(made)[1:], "graph")


def _constant(model: onnx.ModelProto, index: int) -> TensorProto:
    """The scale (1) or zero-point (2) of the first QuantizeLinear, made its own."""
    node = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[index])
    own = TensorProto()
    own.CopyFrom(tensor)
    own.name = node.input[index] = "spoilt"
    model.graph.initializer.append(own)
    return model.graph.initializer[-1]


def _set(value: object, dtype: type, index: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = _constant(model, index)
        tensor.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor.dims), value, dtype), "spoilt"))

    return change


def _half_a_pair(model: onnx.ModelProto) -> None:
    producer = {output: node for node in model.graph.node for output in node.output}
    conv = next(node for node in model.graph.node if node.name == "segmentation.encoder.0.conv2/Conv")
    conv.input[1] = producer[producer[conv.input[1]].input[0]].input[0]


def _quantized_bias(model: onnx.ModelProto) -> None:
    conv = next(n for n in model.graph.node if n.name == "segmentation.encoder.0.conv2/Conv")
    scale, zero = numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(np.int32(0), "z")
    bias = numpy_helper.from_array(np.zeros(4, np.int32), "b")
    model.graph.initializer.extend([scale, zero, bias])
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", ["b", "s", "z"], ["d"], name="bias"))
    conv.input[2] = "d"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_set(np.nan, np.float32, 1), "scales like nan, expected finite ones above zero"),
        (_set(np.inf, np.float32, 1), "scales like inf"),
        (_set(0.0, np.float32, 1), "scales like 0,"),
        (_set(1e30, np.float32, 1), r"scales like 1e\+30"),
        (_set(1e-12, np.float32, 1), "scales like 1e-12"),
        (_set(3, np.int8, 2), "zero-point of type INT8, expected INT8 zeros"),
        (_set(0, np.uint8, 2), "zero-point of type UINT8"),
        (_half_a_pair, "has Q/DQ on 1 of its 3 inputs"),
        (_quantized_bias, "encoder.0.conv2/Conv has Q/DQ on 3 of its 3 inputs"),
    ],
)
def test_qdq_that_a_backend_would_refuse_or_pass_over_is_refused(
    made: Made, spoil: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = copy(made)
    spoil(model)
    with pytest.raises(QuantizationError, match=message):
        inspect(model, "graph")


def _weight_scale(model: onnx.ModelProto) -> TensorProto:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in constants)
    return constants[node.input[1]]


@pytest.mark.parametrize("scale", [0.0, 1e-12, 5e-8])
def test_a_decayed_channel_does_not_refuse_the_build(made: Made, frames: UInt8Array, scale: float) -> None:
    model = copy(made)
    tensor = _weight_scale(model)
    values = numpy_helper.to_array(tensor).copy()
    values.ravel()[0] = scale
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(QuantizationError, match="scales like"):
        inspect(model, "graph")
    assert lift_weight_scales(model) == 1
    inspect(model, "graph")
    lifted = numpy_helper.to_array(_weight_scale(model))
    assert lifted.ravel()[0] == float(np.finfo(np.float16).smallest_subnormal)
    assert np.array_equal(lifted.ravel()[1:], values.ravel()[1:])
    assert lift_weight_scales(model) == 0


@pytest.mark.parametrize("scale", [0.0, 1e-12])
def test_a_range_of_activations_that_is_nothing_is_still_refused(made: Made, scale: float) -> None:
    model = copy(made)
    constants = {tensor.name for tensor in model.graph.initializer}
    node = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] not in constants)
    tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
    own = numpy_helper.from_array(np.asarray(scale, np.float32).reshape(numpy_helper.to_array(tensor).shape), "own")
    model.graph.initializer.append(own)
    node.input[1] = "own"
    assert lift_weight_scales(model) == 0
    with pytest.raises(QuantizationError, match="scales like"):
        inspect(model, "graph")
