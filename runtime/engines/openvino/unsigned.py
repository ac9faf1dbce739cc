"""INT8 graphs for OpenVINO: activations that are never negative are taken as unsigned, on the same grid.

TensorRT wants signed 8-bit activations; a CPU multiplies unsigned ones by signed weights and has to convert others.
After a ReLU half of the signed range is empty, so `[-128, 127]` steps become `[0, 255]` of the same steps: the same
numbers, but that values beyond the calibrated range are no longer cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.engines.openvino.nodes import constant_of

HANDED_ON = ("Convert", "MaxPool", "Interpolate", "Concat", "FakeQuantize")
"""Operations that give no negative value when they get none. Resizing is by nearest neighbour."""


def unsigned_after_relu(model: Any) -> int:
    """Change an `openvino.Model` in place; gives the number of tensors that are unsigned now."""
    from openvino import Type, opset13

    known: dict[str, bool] = {}
    changed = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize" or not _never_negative(node.input_value(0).get_node(), known):
            continue
        bounds = [constant_of(node.input_value(index).get_node()) for index in (1, 2, 3, 4)]
        converts = [target.get_node() for target in node.output(0).get_target_inputs()]
        if any(bound is None or bound.size != 1 for bound in bounds) or not _to_int8(converts):
            continue
        low, high, out_low, out_high = (float(bound.item()) for bound in bounds if bound is not None)
        if (out_low, out_high) != (-128.0, 127.0):
            continue
        step = (high - low) / 255
        numbers = [np.float32(value) for value in (0.0, 255 * step, 0.0, 255.0)]
        new = opset13.fake_quantize(node.input_value(0), *map(opset13.constant, numbers), 256)
        for convert in converts:
            convert.output(0).replace(opset13.convert(new, Type.u8).output(0))
        changed += 1
    model.validate_nodes_and_infer_types()
    return changed


def _never_negative(node: Any, known: dict[str, bool]) -> bool:
    name = node.get_name()
    if name not in known:
        known[name] = False
        kind = node.get_type_name()
        if kind == "Relu":
            known[name] = True
        elif kind in ("Multiply", "Subtract"):
            by = constant_of(node.input_value(1).get_node())
            harmless = by is not None and (bool((by >= 0).all()) if kind == "Multiply" else not by.any())
            known[name] = harmless and _never_negative(node.input_value(0).get_node(), known)
        elif kind in HANDED_ON:
            inputs = node.inputs() if kind == "Concat" else node.inputs()[:1]
            known[name] = all(_never_negative(port.get_source_output().get_node(), known) for port in inputs)
    return known[name]


def _to_int8(nodes: list[Any]) -> bool:
    from openvino import Type

    return bool(nodes) and all(
        node.get_type_name() == "Convert" and node.get_output_element_type(0) == Type.i8 for node in nodes
    )
