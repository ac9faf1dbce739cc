"""Graphs for OpenVINO: doubling by nearest neighbour and a 3 x 3 convolution become one transposed convolution.

Of the nine pixels that such a convolution looks at, several are one pixel doubled: their weights are added up once, and
4 of 9 multiplications are left. A kernel k0 k1 k2 becomes k2, k1 + k2, k0 + k1, k0 at a stride of two, down and across.
Sums of 8-bit weights are rounded again, to 8 bits with a step of their own for each output channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.arrays import FloatArray
from runtime.engines.openvino.nodes import constant_of, shape_of

SUMS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)
"""From a kernel of three to that of the transposed convolution."""
BETWEEN = ("Convert", "FakeQuantize", "Subtract", "Multiply")
"""What may stand between both: what it does to a pixel, it does to its double."""


def merge_upsampling(model: Any) -> int:
    """Change an `openvino.Model` in place; gives the number of convolutions that are transposed now."""
    changed = 0
    for node in model.get_ordered_ops():
        convolution = _convolution_after(node) if _doubles(node) else None
        weights = None if convolution is None else _weights(convolution)
        if weights is not None:
            _merge(node, convolution, weights)
            changed += 1
    if changed:
        model.validate_nodes_and_infer_types()
    return changed


def transposed_kernel(kernel: FloatArray) -> FloatArray:
    """The transposed convolution's weights, float32 [I, O, 4, 4], for a convolution's, float32 [O, I, 3, 3]."""
    merged: FloatArray = np.einsum("ya,xb,oiab->ioyx", SUMS, SUMS, kernel)
    return merged


def _merge(doubling: Any, convolution: Any, weights: Any) -> None:
    from openvino import opset13

    doubling.output(0).replace(doubling.input_value(0))
    new = opset13.convolution_backprop_data(convolution.input_value(0), weights, [2, 2], None, [1, 1], [1, 1], [1, 1])
    new.set_friendly_name(convolution.get_friendly_name())
    convolution.output(0).replace(new.output(0))


def _doubles(node: Any) -> bool:
    """Whether it makes four of each pixel, two by two."""
    if node.get_type_name() != "Interpolate":
        return False
    facts = node.get_attributes()
    how = facts["mode"], facts["coordinate_transformation_mode"], facts["nearest_mode"]
    batch, channels, *sides = shape_of(node.input_value(0))
    return (
        how == ("nearest", "asymmetric", "floor")
        and not any(list(facts["pads_begin"]) + list(facts["pads_end"]))
        and shape_of(node.output(0)) == [batch, channels, *(2 * side for side in sides)]
    )


def _convolution_after(node: Any) -> Any:
    """The one convolution that takes what a node gives, 3 x 3 with a border of zeros; None where it is not so."""
    while True:
        users = list(node.output(0).get_target_inputs())
        if len(users) != 1 or users[0].get_index() != 0:
            return None
        node = users[0].get_node()
        if node.get_type_name() == "Convolution":
            break
        if node.get_type_name() not in BETWEEN or not _same_everywhere(node):
            return None
    facts = node.get_attributes()
    single = all(list(facts[name]) == [1, 1] for name in ("strides", "dilations", "pads_begin", "pads_end"))
    return node if single and shape_of(node.input_value(1))[2:] == [3, 3] else None


def _same_everywhere(node: Any) -> bool:
    """Whether all that a node does depends on the pixel alone: its other inputs are single numbers."""
    return all(np.prod(shape_of(port.get_source_output())) == 1 for port in node.inputs()[1:])


def _weights(convolution: Any) -> Any:
    """The transposed convolution's weights, in 8 bits where the convolution's are; None where their form is unknown."""
    from openvino import opset13

    last = convolution.input_value(1).get_node()
    kind = convolution.input_value(1).get_element_type()
    if last.get_type_name() != "Multiply":
        numbers = constant_of(last)
        return None if numbers is None else opset13.convert(opset13.constant(transposed_kernel(numbers)), kind)
    steps, integers = constant_of(last.input_value(1).get_node()), last.input_value(0).get_node()
    if integers.get_type_name() == "Subtract":  # the zero point
        zero = constant_of(integers.input_value(1).get_node())
        integers = integers.input_value(0).get_node() if zero is not None and not zero.any() else integers
    numbers = constant_of(integers)
    if steps is None or numbers is None or steps.size not in (1, len(numbers)):
        return None
    kernel = transposed_kernel(numbers)
    finer = np.maximum(np.abs(kernel).max(axis=(0, 2, 3)), 1) / np.float32(127)
    rounded = opset13.constant(np.rint(kernel / finer[:, None, None]).astype(np.int8))
    step = opset13.constant((steps.ravel() * finer).reshape(1, -1, 1, 1))
    return opset13.multiply(opset13.convert(rounded, kind), opset13.convert(step, kind))
