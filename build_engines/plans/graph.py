"""Graphs as TensorRT takes them: its `uint8` may only be cast, so the cast must stand before the transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_engines.plans.errors import PlanRefused

if TYPE_CHECKING:
    import onnx


def for_tensorrt(content: bytes) -> bytes:
    """The same graph with each `uint8` input cast before it is transposed, which gives the same numbers.

    A graph that does so already comes back as it is. Raises `PlanRefused` for a graph that does anything else with a
    `uint8` input than to transpose and cast it.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    inputs = [value.name for value in model.graph.input if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8]
    changed = [_cast_first(model.graph, name) for name in inputs]
    return model.SerializeToString() if any(changed) else content


def _cast_first(graph: onnx.GraphProto, name: str) -> bool:
    """Whether anything had to be moved."""
    users = _users(graph, name)
    if all(node.op_type == "Cast" for node in users):
        return False
    if len(users) != 1 or users[0].op_type != "Transpose":
        kinds = ", ".join(sorted({node.op_type for node in users}))
        raise PlanRefused(f"graph: {kinds} of the uint8 input {name}; TensorRT casts uint8 and does nothing else to it")
    (transpose,) = users
    casts = _users(graph, transpose.output[0])
    kinds_to = {attribute.i for node in casts for attribute in node.attribute if attribute.name == "to"}
    if any(node.op_type != "Cast" for node in casts) or len(kinds_to) != 1:
        raise PlanRefused(
            f"graph: the transposed uint8 input {name} is not cast at once, or to several types; export the graph again"
        )
    cast = casts[0]
    for duplicate in casts[1:]:
        for user in _users(graph, duplicate.output[0]):
            _replace(user, duplicate.output[0], cast.output[0])
        graph.node.remove(duplicate)
    transposed, result = transpose.output[0], cast.output[0]
    # image -> cast -> (name of the transposed) -> transpose -> (name of the result)
    cast.input[0], cast.output[0] = name, transposed
    transpose.input[0], transpose.output[0] = transposed, result
    nodes = [node for node in graph.node if node.output[0] not in (transposed, result)]
    first = type(cast)()
    first.CopyFrom(cast)
    second = type(transpose)()
    second.CopyFrom(transpose)
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend([first, second, *kept])
    stale = [value for value in graph.value_info if value.name == transposed]
    for value in stale:
        graph.value_info.remove(value)
    return True


def _users(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if name in node.input]


def _replace(node: onnx.NodeProto, old: str, new: str) -> None:
    for index, value in enumerate(node.input):
        if value == old:
            node.input[index] = new
