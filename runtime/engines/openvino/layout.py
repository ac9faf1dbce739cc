"""Graphs for OpenVINO with the channels last wherever a graph moves them there: nothing is copied to and fro then.

A ConvNeXt block moves the channels last and back. On a CPU that is free, since its convolutions keep the channels last
anyway, but only where OpenVINO sees no use of the other order between. So the residual sums and gates are brought to
the channels-last side, too. There a tensor has three dimensions, [1, H * W, C]: for three OpenVINO normalises in one
kernel and adds a bias, a GELU and the rounding to INT8 inside the matrix product, for four it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime.engines.openvino.nodes import shape_of

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
BY_ELEMENT = ("Add", "Subtract", "Multiply", "Divide", "Convert")
"""Operations that can change sides: each number of the result comes from one place in every input."""
ANY_RANK = (*BY_ELEMENT, "MVN", "MatMul", "FakeQuantize", "Erf", "Gelu", "Relu", "Sigmoid", "Tanh", "Power", "Sqrt")
"""Operations that do the same to [1, H * W, C] as to [1, H, W, C], if they take the last axis where they take one."""
FEWEST = 8
"""Channels from which it is worth it: the three colours of an image are handled faster as planes."""


def channels_last(model: Any) -> bool:
    """Change an `openvino.Model` so that it gives the same with less copying; tells whether all went together.

    Where it did not, the graph is of another kind than this is for, and the model must be read again.
    """
    before = [port.partial_shape for port in model.outputs]
    try:
        _Sides(model).rewrite()
        model.validate_nodes_and_infer_types()
    except RuntimeError:  # shapes that do not go together
        return False
    return before == [port.partial_shape for port in model.outputs]


def pass_channels_last(model: Any, names: Sequence[str], element_type: str) -> None:
    """Let outputs or inputs of these names be [1, H, W, C] of an element type, `f32`, `bf16` or `f16`.

    It is how OpenVINO's convolutions leave and take them: between two networks nothing is then turned round and back.
    """
    from openvino import PartialShape, Type, opset13

    def turned(tensor: Any, order: list[int]) -> Any:
        return opset13.transpose(tensor, opset13.constant(np.array(order, np.int64))).output(0)

    for result in model.get_results():
        tensor = result.input_value(0)
        wanted = set(names) & tensor.get_names()
        if wanted:
            tensor.set_names(tensor.get_names() - wanted)
            last = opset13.convert(turned(tensor, TO_LAST), element_type).output(0)
            last.set_names(wanted)
            result.input(0).replace_source_output(last)
    for parameter in model.get_parameters():
        tensor = parameter.output(0)
        if set(names) & tensor.get_names():
            users, kind = list(tensor.get_target_inputs()), tensor.get_element_type()
            shape = shape_of(tensor)
            parameter.set_partial_shape(PartialShape([shape[axis] for axis in TO_LAST]))
            parameter.set_element_type(getattr(Type, element_type))
            parameter.validate_and_infer_types()
            first = turned(opset13.convert(tensor, kind), TO_FIRST)
            for user in users:
                user.replace_source_output(first)
    model.validate_nodes_and_infer_types()


class _Sides:
    """Which tensors are known with the channels last, by the tensor [1, C, H, W] that they are of."""

    def __init__(self, model: Any) -> None:
        from openvino import opset13

        self._ops = opset13
        self._model = model
        self._last: dict[tuple[str, int], Any] = {}

    def rewrite(self) -> None:
        for node in self._model.get_ordered_ops():
            order = _order(node)
            if order == TO_LAST and shape_of(node.input_value(0))[1] >= FEWEST and _any_rank(node):
                node.output(0).replace(self._as_last(node.input_value(0)))
            elif order == TO_FIRST and shape_of(node.output(0))[1] >= FEWEST:
                shape = shape_of(node.output(0))
                source = node.input_value(0)
                if len(shape_of(source)) == 4:
                    source = self._reshaped(source, [shape[0], shape[2] * shape[3], shape[1]])
                self._replace(node, source, shape)
            elif node.get_type_name() in BY_ELEMENT and self._can_change(node):
                shape = shape_of(node.output(0))
                self._replace(node, self._by_element(node), shape)
            elif order is None and node.get_type_name() in ANY_RANK:
                node.validate_and_infer_types()  # what is before it may have lost a dimension

    def _replace(self, node: Any, last: Any, shape: list[int]) -> None:
        """Let users of a node's tensor [1, C, H, W] have it made of the one with the channels last."""
        batch, channels, height, width = shape
        first = self._transposed(self._reshaped(last, [batch, height, width, channels]), TO_FIRST)
        self._last[_key(first)] = last
        node.output(0).replace(first)

    def _as_last(self, tensor: Any) -> Any:
        known = self._last.get(_key(tensor))
        if known is not None:
            return known
        batch, channels, height, width = shape_of(tensor)
        return self._reshaped(self._transposed(tensor, TO_LAST), [batch, height * width, channels])

    def _can_change(self, node: Any) -> bool:
        """Whether one input at least is on the channels-last side and the others can be brought there."""
        tensors = [port.get_source_output() for port in node.inputs()]
        if not any(_key(tensor) in self._last for tensor in tensors):
            return False
        _, _, *area = shape_of(node.output(0))
        shapes = [shape_of(tensor) for tensor in tensors if not _is_scalar(tensor)]
        return all(len(shape) == 4 and shape[0] == 1 and shape[2:] == area for shape in shapes)

    def _by_element(self, node: Any) -> Any:
        tensors = [port.get_source_output() for port in node.inputs()]
        inputs = [tensor if _is_scalar(tensor) else self._as_last(tensor) for tensor in tensors]
        if node.get_type_name() == "Convert":
            new = self._ops.convert(inputs[0], node.get_output_element_type(0))
        else:
            new = getattr(self._ops, node.get_type_name().lower())(*inputs)
        new.set_friendly_name(node.get_friendly_name())
        return new.output(0)

    def _transposed(self, tensor: Any, order: list[int]) -> Any:
        return self._ops.transpose(tensor, self._ops.constant(np.array(order, np.int64))).output(0)

    def _reshaped(self, tensor: Any, shape: list[int]) -> Any:
        return self._ops.reshape(tensor, self._ops.constant(np.array(shape, np.int64)), False).output(0)


def _any_rank(node: Any) -> bool:
    """Whether everything after a node, up to where the channels move back, works on three dimensions, too."""
    left, seen = [node], set()
    while left:
        for port in left.pop().output(0).get_target_inputs():
            user = port.get_node()
            if _order(user) == TO_FIRST or user.get_name() in seen:
                continue
            if not _same_in_three(user):
                return False
            seen.add(user.get_name())
            left.append(user)
    return True


def _same_in_three(node: Any) -> bool:
    kind = node.get_type_name()
    if kind == "MVN":
        return _axes(node.input_value(1).get_node()) == [-1]
    if kind == "MatMul":
        return len(shape_of(node.input_value(1))) == 2
    return kind in ANY_RANK


def _axes(node: Any) -> list[int] | None:
    """The axes that a node gives, where they are known."""
    if node.get_type_name() == "Range":
        ends = [_numbers(port.get_source_output().get_node()) for port in node.inputs()]
        return None if None in ends else list(range(*(end[0] for end in ends if end)))
    return _numbers(node)


def _order(node: Any) -> list[int] | None:
    """How a Transpose turns the dimensions; None for other nodes."""
    return _numbers(node.input_value(1).get_node()) if node.get_type_name() == "Transpose" else None


def _numbers(node: Any) -> list[int] | None:
    return [int(number) for number in node.get_data().ravel()] if node.get_type_name() == "Constant" else None


def _is_scalar(tensor: Any) -> bool:
    node = tensor.get_node()
    return bool(node.get_type_name() == "Constant" and node.get_data().size == 1)


def _key(tensor: Any) -> tuple[str, int]:
    return tensor.get_node().get_name(), tensor.get_index()
