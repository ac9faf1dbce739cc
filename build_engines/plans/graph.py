"""Graphs as TensorRT takes them: `uint8` cast before anything else, and for TensorRT 8.6 fp32 between its Q/DQ."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from build_engines.plans.errors import CannotBuild, PlanRefused

if TYPE_CHECKING:
    import onnx


def onnx_module() -> ModuleType:
    """The package onnx. Raises `CannotBuild` where it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise CannotBuild(f"onnx: cannot be imported ({error}); install it: pip install onnx") from error
    return onnx


def for_tensorrt(content: bytes, *, typed: bool = True) -> bytes:
    """The same graph, with each `uint8` input cast before it is transposed, which gives the same numbers.

    typed: the library takes the types from the graph; for one that does not (8.6) what is FP16 becomes fp32, weights
    that are stored as INT8 become fp32 with a Q before their DQ, and casts from fp32 to fp32 go. A graph that needs
    nothing comes back as it is. Raises `PlanRefused` for a graph that does anything else with a `uint8` input than to
    transpose and cast it.
    """
    onnx = onnx_module()
    model = onnx.load_model_from_string(content)
    inputs = [value.name for value in model.graph.input if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8]
    changed = [_cast_first(model.graph, name) for name in inputs]
    if not typed:
        changed.append(_to_fp32(model.graph))
        changed.append(_quantize_in_the_graph(model.graph))
        changed.append(_drop_idle_casts(model))
    return model.SerializeToString() if any(changed) else content


def scales_in_fp32(content: bytes) -> bytes:
    """The same graph, with fp32 scales wherever an fp32 value is cast to FP16 only to be quantized.

    TensorRT 10.16 builds no kernel on an Orin (SM 8.7) for a DQ whose scale is FP16 where the value before its Q was
    fp32 (TensorRT #4832). Here the Q takes the fp32 value and the DQ gives fp32, which is cast to FP16 behind it; so
    does the DQ of the weights that it meets. A graph without such a place comes back as it is.
    """
    onnx = onnx_module()
    model = onnx.load_model_from_string(content)
    graph, kinds = model.graph, onnx.TensorProto
    types = _types(model)
    cast_from = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and node.attribute[0].i == kinds.FLOAT16 and types.get(node.input[0]) == kinds.FLOAT
    }
    lifted = {
        node.output[0]: cast_from[node.input[0]]
        for node in graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] in cast_from
    }
    if not lifted:
        return content
    of_dq = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    after = {name for name, node in of_dq.items() if node.input[0] in lifted}
    # TensorRT multiplies two INT8 matrices only if their scales are of one type.
    after |= {name for node in graph.node if after & set(node.input) for name in node.input if name in of_dq}
    nodes = []
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] in lifted:
            node.input[0], node.input[1] = lifted[node.output[0]], _in_fp32(graph, node.input[1])
        nodes.append(node)
        if node.output[0] in after:
            half, whole = node.output[0], f"{node.output[0]}/fp32"
            node.input[1], node.output[0] = _in_fp32(graph, node.input[1]), whole
            nodes.append(onnx.helper.make_node("Cast", [whole], [half], f"{node.name}/half", to=kinds.FLOAT16))
    outputs = {value.name for value in graph.output}
    used = {name for node in nodes for name in node.input} | outputs
    _set_nodes(graph, [node for node in nodes if node.op_type != "Cast" or node.output[0] in used])
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    lowered: bytes = model.SerializeToString()
    return lowered


def _in_fp32(graph: onnx.GraphProto, scale: str) -> str:
    """Name of a constant in fp32, which is added beside the FP16 one where it is not there yet."""
    from onnx import numpy_helper

    name = f"{scale}/fp32"
    if not any(tensor.name == name for tensor in graph.initializer):
        tensor = next(tensor for tensor in graph.initializer if tensor.name == scale)
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), name))
    return name


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types of the graph's tensors, as far as they can be told."""
    inferred = onnx_module().shape_inference.infer_shapes(model).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*inferred.input, *inferred.value_info)}


def _cast_first(graph: onnx.GraphProto, name: str) -> bool:
    """Move the cast before the transpose; whether there was anything to move."""
    users = _users(graph, name)
    if all(node.op_type == "Cast" for node in users):
        return False
    if len(users) != 1 or users[0].op_type != "Transpose":
        kinds = ", ".join(sorted({node.op_type for node in users}))
        raise PlanRefused(f"graph: {kinds} of the uint8 input {name}; TensorRT casts uint8 and does nothing else to it")
    transpose = users[0]
    casts = _users(graph, transpose.output[0])
    if len(casts) != 1 or casts[0].op_type != "Cast":
        raise PlanRefused(f"graph: the transposed uint8 input {name} is not cast at once; export the graph again")
    cast = casts[0]
    transposed, result = transpose.output[0], cast.output[0]
    cast.input[0], cast.output[0] = name, transposed
    transpose.input[0], transpose.output[0] = transposed, result
    _forget_types(graph, {transposed})
    # A node must stand after what it takes its inputs from.
    nodes = list(graph.node)
    first, second = sorted((nodes.index(cast), nodes.index(transpose)))
    nodes[first], nodes[second] = cast, transpose
    _set_nodes(graph, nodes)
    return True


def _to_fp32(graph: onnx.GraphProto) -> bool:
    """Everything that is FP16 in fp32; whether there was any."""
    from onnx import TensorProto, numpy_helper

    tensors = [t for t in graph.initializer if t.data_type == TensorProto.FLOAT16]
    attributes = [a.t for n in graph.node for a in n.attribute if a.t.data_type == TensorProto.FLOAT16]
    for tensor in (*tensors, *attributes):
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    casts = [
        attribute
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16
    ]
    for attribute in casts:
        attribute.i = TensorProto.FLOAT
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return bool(tensors or attributes or casts)


def _quantize_in_the_graph(graph: onnx.GraphProto) -> bool:
    """Weights stored as INT8, with a DQ after them, in fp32 with Q and DQ: the only way that 8.6 knows."""
    from onnx import TensorProto, helper, numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT8}
    values = {tensor.name: tensor for tensor in graph.initializer}
    nodes, changed = [], False
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            tensor = stored[node.input[0]]
            scale = numpy_helper.to_array(values[node.input[1]]).astype(np.float32)
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            weights = numpy_helper.to_array(tensor).astype(np.float32)
            if scale.ndim == 1:
                scale = scale.reshape([-1 if index == axis % weights.ndim else 1 for index in range(weights.ndim)])
            name = f"{tensor.name}/fp32"
            graph.initializer.append(numpy_helper.from_array(weights * scale, name))
            quantized = f"{tensor.name}/quantized"
            inputs = [name, *node.input[1:]]
            nodes.append(helper.make_node("QuantizeLinear", inputs, [quantized], quantized, axis=axis))
            node.input[0] = quantized
            changed = True
        nodes.append(node)
    if changed:
        _set_nodes(graph, nodes)
        used = {name for node in graph.node for name in node.input}
        for tensor in [t for t in graph.initializer if t.name not in used]:
            graph.initializer.remove(tensor)
    return changed


def _drop_idle_casts(model: onnx.ModelProto) -> bool:
    """Casts of fp32 to fp32, which were borders of FP16: 8.6 takes each for a wish, and fuses nothing across it."""
    onnx = onnx_module()
    graph, fp32 = model.graph, onnx.TensorProto.FLOAT
    outputs = {value.name for value in graph.output}
    casts = [
        node
        for node in graph.node
        if node.op_type == "Cast"
        and node.output[0] not in outputs
        and all(attribute.i == fp32 for attribute in node.attribute if attribute.name == "to")
    ]
    if not casts:
        return False
    types = _types(model)
    instead: dict[str, str] = {}
    for node in casts:  # in the graph's order, so that one after another leads to what stands before both
        if types.get(node.input[0]) == fp32:
            instead[node.output[0]] = instead.get(node.input[0], node.input[0])
    _set_nodes(graph, [node for node in graph.node if not set(node.output) & instead.keys()])
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = instead.get(name, name)
    for value in [value for value in graph.value_info if value.name in instead]:
        graph.value_info.remove(value)
    return bool(instead)


def _users(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if name in node.input]


def _forget_types(graph: onnx.GraphProto, names: set[str]) -> None:
    """Drop the recorded types of tensors that have changed theirs."""
    for value in [value for value in graph.value_info if value.name in names]:
        graph.value_info.remove(value)


def _set_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]  # clearing would empty the originals
    del graph.node[:]
    graph.node.extend(copies)
