"""A doubling and its convolution give the same as one transposed convolution; anything else is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset11
from openvino import opset13 as ops

from runtime.bundle import open_bundle
from runtime.engines.openvino.graph import compile_graph
from runtime.engines.openvino.upsample import merge_upsampling, transposed_kernel

INPUTS, OUTPUTS, HEIGHT, WIDTH = 5, 4, 6, 7
GENERATOR = np.random.default_rng(0)
KERNEL = GENERATOR.normal(size=(OUTPUTS, INPUTS, 3, 3)).astype(np.float32)
VALUES = GENERATOR.uniform(0, 5, (1, INPUTS, HEIGHT, WIDTH)).astype(np.float32)
INTEGERS = GENERATOR.integers(-127, 128, KERNEL.shape).astype(np.int8)
STEPS = GENERATOR.uniform(0.001, 0.01, (OUTPUTS, 1, 1, 1)).astype(np.float32)
PIXEL_STEP = np.float32(0.05)
"""100 levels: with 255, two products are more than a CPU without VNNI can add up in 16 bits."""


def enlarged(x: Any, mode: str = "nearest", times: int = 2, nearest: str = "floor") -> Any:
    sides = ops.constant(np.array([HEIGHT * times, WIDTH * times], np.int32))
    axes = ops.constant(np.array([2, 3], np.int32))
    where = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": nearest}
    return opset11.interpolate(x, sides, mode, "sizes", [0] * 4, [0] * 4, axes=axes, **where)


def convolved(x: Any, weights: Any, stride: int = 1, border: int = 1) -> Any:
    return ops.convolution(x, weights, [stride, stride], [border, border], [border, border], [1, 1])


def plain(x: Any, **how: int) -> Any:
    return convolved(x, ops.constant(KERNEL), **how)


def rounded(x: Any) -> Any:
    """To unsigned 8 bits and back, as OpenVINO reads QuantizeLinear and DequantizeLinear."""
    low, high = ops.constant(np.float32(0)), ops.constant(255 * PIXEL_STEP)
    whole = ops.fake_quantize(x, low, high, low, ops.constant(np.float32(255)), 256)
    return ops.multiply(ops.convert(ops.convert(whole, ov.Type.u8), ov.Type.f32), ops.constant(PIXEL_STEP))


def in_8_bits(x: Any, zero: int = 0) -> Any:
    whole = ops.subtract(ops.convert(ops.constant(INTEGERS), ov.Type.f32), ops.constant(np.float32(zero)))
    return convolved(x, ops.multiply(whole, ops.constant(STEPS)))


def twice_used(x: Any) -> Any:
    doubled = enlarged(x)
    return ops.add(plain(doubled), ops.reduce_mean(doubled, ops.constant(np.array([1])), True))


def channel_by_channel(x: Any) -> Any:
    return ops.multiply(x, ops.constant(np.ones((1, INPUTS, 1, 1), np.float32)))


def model(layers: Any) -> ov.Model:
    x = ops.parameter([1, INPUTS, HEIGHT, WIDTH], ov.Type.f32)
    return ov.Model([layers(x)], [x])


def run(network: ov.Model) -> Any:
    return np.array(ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(VALUES)[0])


def kinds(network: ov.Model) -> set[str]:
    return {node.get_type_name() for node in network.get_ordered_ops()}


SAME = {
    "plain": lambda x: plain(enlarged(x)),
    "something between that does the same to each pixel": lambda x: plain(
        ops.multiply(enlarged(x), ops.constant(np.float32(3)))
    ),
    "two of them": lambda x: ops.add(plain(enlarged(x)), plain(enlarged(ops.relu(x)))),
}
LEFT_ALONE = {
    "bilinear": lambda x: plain(enlarged(x, mode="linear_onnx")),
    "three times": lambda x: plain(enlarged(x, times=3)),
    "nearest from above": lambda x: plain(enlarged(x, nearest="ceil")),
    "stride of two": lambda x: plain(enlarged(x), stride=2),
    "no border": lambda x: plain(enlarged(x), border=0),
    "used twice": twice_used,
    "kernel of one": lambda x: ops.convolution(
        enlarged(x), ops.constant(KERNEL[..., :1, :1].copy()), [1, 1], [0, 0], [0, 0], [1, 1]
    ),
    "weights calculated": lambda x: convolved(enlarged(x), ops.sin(ops.constant(KERNEL))),
    "a zero point": lambda x: in_8_bits(rounded(enlarged(x)), zero=3),
    "a number for each channel between": lambda x: plain(channel_by_channel(enlarged(x))),
    "nothing after it": enlarged,
}


@pytest.mark.parametrize("layers", SAME.values(), ids=SAME)
def test_the_numbers_stay_the_same(layers: Any) -> None:
    network = model(layers)
    doublings = sum(node.get_type_name() == "Interpolate" for node in network.get_ordered_ops())
    assert merge_upsampling(network) == doublings
    assert not kinds(network) & {"Interpolate", "Convolution"}
    np.testing.assert_allclose(run(network), run(model(layers)), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layers", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_anything_else_is_left_alone(layers: Any) -> None:
    network = model(layers)
    assert merge_upsampling(network) == 0
    np.testing.assert_array_equal(run(network), run(model(layers)))


def test_8_bits_stay_8_bits_and_are_off_by_half_a_step_at_most() -> None:
    network = model(lambda x: in_8_bits(rounded(enlarged(x))))
    expected = run(model(lambda x: in_8_bits(rounded(enlarged(x)))))
    assert merge_upsampling(network) == 1
    whole = [node for node in network.get_ordered_ops() if node.get_output_element_type(0) == ov.Type.i8]
    assert [node.get_type_name() for node in whole] == ["Constant"]
    assert np.abs(whole[0].get_data()).max(axis=(0, 2, 3)).tolist() == [127] * OUTPUTS
    finest = np.abs(transposed_kernel(INTEGERS.astype(np.float32))).max(axis=(0, 2, 3)) / 127
    pixels = 4 * INPUTS * VALUES.max()  # each pixel of the result sees at most 2 x 2 of these
    most = finest * STEPS.ravel() / 2 * pixels
    off = np.abs(run(network) - expected).max(axis=(0, 2, 3))
    assert (off <= most).all()
    assert off.max() > 0  # sums of up to four do not fit 8 bits unrounded


def test_the_kernel_of_a_picture_doubled() -> None:
    kernel = transposed_kernel(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))[0, 0]
    assert kernel.tolist() == [[8, 15, 13, 6], [13, 24, 20, 9], [7, 12, 8, 3], [2, 3, 1, 0]]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_demonstration_has_four_and_stays_in_its_precision(precision: str) -> None:
    compiled = compile_graph(ov.Core(), open_bundle(None), "segmentation", precision, "f32")
    nodes = compiled.models[0].get_runtime_model().get_ordered_ops()
    layers = [node.get_rt_info()["layerType"].astype(str) for node in nodes]
    assert layers.count("Deconvolution") == 4
    assert "Interpolate" not in layers
    assert compiled.int8_layers == (22 if precision == "int8" else 0)
