"""Signed INT8 after a ReLU becomes unsigned in OpenVINO, on the same grid; anything else is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from runtime.engines.openvino.unsigned import unsigned_after_relu

STEP = np.float32(0.05)


def constant(*values: float) -> list[Any]:
    return [ops.constant(np.float32(value)) for value in values]


def round_to_int8(x: Any) -> Any:
    """As OpenVINO reads QuantizeLinear and DequantizeLinear."""
    rounded = ops.fake_quantize(x, *constant(-128 * STEP, 127 * STEP, -128, 127), 256)
    back = ops.convert(ops.convert(rounded, ov.Type.i8), ov.Type.f32)
    return ops.multiply(ops.subtract(back, constant(0)[0]), constant(STEP)[0])


def model(before: str) -> ov.Model:
    x = ops.parameter([1, 2, 4, 4], ov.Type.f32)
    inner = {
        "relu": lambda: ops.relu(x),
        "concat": lambda: ops.concat([ops.relu(x), round_to_int8(ops.relu(x))], 1),
        "nothing": lambda: x,
        "mixed": lambda: ops.concat([ops.relu(x), x], 1),
        "shifted": lambda: ops.subtract(ops.relu(x), constant(1)[0]),
        "negated": lambda: ops.multiply(ops.relu(x), constant(-1)[0]),
    }[before]()
    return ov.Model([round_to_int8(inner)], [x])


def run(network: ov.Model, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(values)[0])


@pytest.mark.parametrize(("before", "changed"), [("relu", 1), ("concat", 2)])
def test_numbers_inside_the_range_stay_the_same(before: str, changed: int) -> None:
    values = np.random.default_rng(0).uniform(-6, 6.3, (1, 2, 4, 4)).astype(np.float32)
    expected = run(model(before), values)
    network = model(before)
    assert unsigned_after_relu(network) == changed
    np.testing.assert_allclose(run(network, values), expected, atol=1e-5)
    types = {node.get_output_element_type(0).get_type_name() for node in network.get_ordered_ops()}
    assert "u8" in types
    assert "i8" not in types


def test_a_value_beyond_the_range_is_no_longer_cut() -> None:
    values = np.full((1, 2, 4, 4), 10.0, np.float32)
    assert run(model("relu"), values).max() == pytest.approx(127 * 0.05)
    network = model("relu")
    unsigned_after_relu(network)
    assert run(network, values).max() == pytest.approx(10.0)


@pytest.mark.parametrize("before", ["nothing", "mixed", "shifted", "negated"])
def test_what_can_be_negative_stays_signed(before: str) -> None:
    network = model(before)
    values = np.random.default_rng(0).uniform(-6, 6, (1, 2, 4, 4)).astype(np.float32)
    expected = run(model(before), values)
    assert unsigned_after_relu(network) == 0
    np.testing.assert_array_equal(run(network, values), expected)
