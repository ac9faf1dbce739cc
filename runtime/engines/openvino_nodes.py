"""What is known of an OpenVINO graph's nodes, for those who change it."""

from __future__ import annotations

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
