"""What is known of an OpenVINO graph's nodes, for those who change it."""

from __future__ import annotations

from collections.abc import Set
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


def ancestors_of(node: Any) -> set[str]:
    """All nodes that a node needs, by name."""
    found: set[str] = set()
    left = [node]
    while left:
        for port in left.pop().inputs():
            source = port.get_source_output().get_node()
            if source.get_name() not in found:
                found.add(source.get_name())
                left.append(source)
    return found


def takes_from(node: Any, nodes: Set[str]) -> bool:
    """Whether a node takes what one of these gives; constants may be anybody's."""
    sources = [port.get_source_output().get_node() for port in node.inputs()]
    return any(source.get_name() in nodes and source.get_type_name() != "Constant" for source in sources)


def closed(model: Any, inner: Set[str], last: Any) -> bool:
    """Whether what those nodes give is taken by themselves and by `last` alone."""
    others = [node for node in model.get_ordered_ops() if node.get_name() not in {*inner, last.get_name()}]
    return not any(takes_from(node, inner) for node in others)
