from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from build_engines.plans.errors import PlanRefused
from build_engines.plans.graph import for_tensorrt, scales_in_fp32
from build_engines.plans.parts import classifier_parts
from runtime import open_bundle

Run = Callable[..., dict[str, Any]]
NETWORKS = ("segmentation", "classifier")


@cache
def shipped(network: str) -> bytes:
    """A graph of the shipped bundle."""
    return open_bundle().read(f"{network}.fp32.onnx")


def image(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)


def inputs_of(run: Run, network: str, seed: int = 0) -> dict[str, Any]:
    """Inputs that a network really gets."""
    inputs = {"image": image(seed)}
    return inputs if network == "segmentation" else {**inputs, **run(shipped("segmentation"), inputs)}


def uint8_users(content: bytes) -> set[str]:
    """Operators that take a uint8 input of the graph."""
    graph = onnx.load_model_from_string(content).graph
    names = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    return {node.op_type for node in graph.node if names & set(node.input)}


@pytest.mark.parametrize("network", NETWORKS)
def test_uint8_is_only_cast_and_the_numbers_stay(run_graph: Run, network: str) -> None:
    content = shipped(network)
    lowered = for_tensorrt(content)
    onnx.checker.check_model(lowered, full_check=True)
    assert uint8_users(lowered) == {"Cast"}
    assert for_tensorrt(lowered) == lowered
    inputs = inputs_of(run_graph, network)
    before, after = run_graph(content, inputs), run_graph(lowered, inputs)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=1e-6)


def small_graph(nodes: list[onnx.NodeProto], output_type: int = TensorProto.FLOAT) -> bytes:
    """A graph of a uint8 input `image` [1, 2, 2, 3] and an output `y`."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])],
        [helper.make_tensor_value_info("y", output_type, None)],
        [numpy_helper.from_array(np.array(255, np.float32), "scale")],
    )
    made: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]).SerializeToString()
    return made


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Identity", ["image"], ["y"])], "Identity of the uint8 input image"),
        (
            [
                helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]),
                helper.make_node("Flatten", ["t"], ["f"]),
                helper.make_node("Cast", ["f"], ["y"], to=TensorProto.FLOAT),
            ],
            "is not cast at once",
        ),
    ],
)
def test_another_use_of_uint8_is_refused(nodes: list[onnx.NodeProto], message: str) -> None:
    with pytest.raises(PlanRefused, match=message):
        for_tensorrt(small_graph(nodes))


def test_a_graph_that_casts_first_is_left_alone() -> None:
    content = small_graph([helper.make_node("Cast", ["image"], ["y"], to=TensorProto.FLOAT)])
    assert for_tensorrt(content) is content


def quantized_linear(weights: Any, scale: Any, axis: int) -> bytes:
    """As an INT8 graph has it: weights stored as INT8 with a DQ after them, FP16 between."""
    half = np.float16
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16),
            helper.make_node("Relu", ["x16"], ["positive"]),
            helper.make_node("Cast", ["positive"], ["positive32"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["positive32"], ["positive16"], to=TensorProto.FLOAT16),
            helper.make_node("QuantizeLinear", ["positive16", "x_scale", "zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "x_scale", "zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], axis=axis),
            helper.make_node("MatMul", ["xd", "wd"], ["y16"]),
            helper.make_node("Cast", ["y16"], ["y"], to=TensorProto.FLOAT),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weights.shape[1]])],
        [
            numpy_helper.from_array(np.array(0.05, half), "x_scale"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(scale.astype(half), "w_scale"),
            numpy_helper.from_array(np.zeros(scale.shape, np.int8), "w_zero"),
        ],
    )
    made: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]).SerializeToString()
    return made


@given(seed=st.integers(0, 2**16), axis=st.integers(0, 1), per_axis=st.booleans())
@settings(max_examples=25, deadline=None)
def test_for_tensorrt_8_an_int8_graph_is_fp32_with_the_same_integers(seed: int, axis: int, per_axis: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (6, 4), dtype=np.int8)
    scale = rng.uniform(0.01, 0.1, weights.shape[axis] if per_axis else ())
    content = quantized_linear(weights, np.asarray(scale), axis)
    plain = for_tensorrt(content, typed=False)
    onnx.checker.check_model(plain, full_check=True)
    graph = onnx.load_model_from_string(plain).graph
    assert TensorProto.FLOAT16 not in {tensor.data_type for tensor in graph.initializer}
    assert [node.op_type for node in graph.node].count("QuantizeLinear") == 2
    assert {name for node in graph.node if node.op_type == "Cast" for name in node.output} == {"y"}
    x = rng.normal(size=(1, 6)).astype(np.float32)
    step = np.float32(np.float16(0.05))
    along = np.float16(scale).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(2)] if per_axis else [])
    expected = np.clip(np.round(np.maximum(x, 0) / step), -128, 127) * step @ (weights * along)
    (found,) = ReferenceEvaluator(onnx.load_model_from_string(plain)).run(None, {"x": x})
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-4)
    # Quantized again in the graph, the weights are the integers that they were.
    stored = next(t for t in graph.initializer if t.name == "w/fp32")
    np.testing.assert_array_equal(np.round(numpy_helper.to_array(stored) / along), weights)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_classifiers_parts_give_what_the_whole_gives(run_graph: Run, seed: int) -> None:
    content = shipped("classifier")
    parts = classifier_parts(content)
    assert list(parts) == ["raw", "guided"]
    for part in parts.values():
        onnx.checker.check_model(part, full_check=True)
    inputs = inputs_of(run_graph, "classifier", seed)
    raw = run_graph(parts["raw"], {"image": inputs["image"]})
    assert len(raw) == 1
    found = run_graph(parts["guided"], {**inputs, **raw})
    for name, expected in run_graph(content, inputs).items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-6)


def test_the_parts_hold_each_weight_once() -> None:
    whole = onnx.load_model_from_string(shipped("classifier")).graph
    parts = [onnx.load_model_from_string(part).graph for part in classifier_parts(shipped("classifier")).values()]
    large = [{t.name for t in graph.initializer if np.prod(t.dims) > 8} for graph in (whole, *parts)]
    assert large[0] == large[1] | large[2]
    assert not large[1] & large[2]


def test_a_graph_without_a_raw_branch_is_refused() -> None:
    with pytest.raises(PlanRefused, match="no one tensor between"):
        classifier_parts(shipped("segmentation"))


def half_scales(content: bytes) -> int:
    """Places where an fp32 value is cast to FP16 only to be quantized."""
    graph = onnx.load_model_from_string(content).graph
    casts = {node.output[0] for node in graph.node if node.op_type == "Cast" and node.attribute[0].i == 10}
    return sum(node.op_type == "QuantizeLinear" and node.input[0] in casts for node in graph.node)


def test_scales_after_fp32_are_fp32_and_the_classes_stay(run_graph: Run) -> None:
    content = open_bundle().read("classifier.int8.onnx")
    lifted = scales_in_fp32(content)
    assert (half_scales(content), half_scales(lifted)) == (28, 0)
    onnx.checker.check_model(lifted, full_check=True)
    assert scales_in_fp32(lifted) is lifted
    inputs = inputs_of(run_graph, "classifier")
    before, after = run_graph(content, inputs), run_graph(lifted, inputs)
    assert before.keys() == after.keys()
    np.testing.assert_allclose(after["probabilities"], before["probabilities"], rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["segmentation.int8.onnx", "classifier.fp32.onnx"])
def test_a_graph_without_such_scales_comes_back_as_it_is(name: str) -> None:
    content = open_bundle().read(name)
    assert scales_in_fp32(content) is content
