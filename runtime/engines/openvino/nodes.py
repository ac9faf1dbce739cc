"""What is known of an OpenVINO graph's nodes, for those who change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from runtime.arrays import FloatArray


def constant_of(node: Any) -> FloatArray | None:
    """The value of a constant as float32, also behind conversions and reshapes of one; None for all else."""
    while node.get_type_name() in ("Convert", "Reshape", "Broadcast"):
        node = node.input_value(0).get_node()
    return np.asarray(node.get_data(), np.float32) if node.get_type_name() == "Constant" else None


def shape_of(tensor: Any) -> list[int]:
    """The sides of a tensor (an output or input port) whose shape is fixed."""
    return list(tensor.get_partial_shape().to_shape())


def ancestors_of(node: Any) -> dict[str, Any]:
    """All nodes that a node needs, by name."""
    found: dict[str, Any] = {}
    left = [node]
    while left:
        for port in left.pop().inputs():
            source = port.get_source_output().get_node()
            if source.get_name() not in found:
                found[source.get_name()] = source
                left.append(source)
    return found


def closed(inner: Mapping[str, Any], last: Any) -> bool:
    """Whether what those nodes give is taken by themselves and by `last` alone; constants may be anybody's."""
    names = {*inner, last.get_name()}
    outputs = [port for node in inner.values() if node.get_type_name() != "Constant" for port in node.outputs()]
    return all(user.get_node().get_name() in names for port in outputs for user in port.get_target_inputs())
