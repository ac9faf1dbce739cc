"""The Q/DQ of a graph: taken away from layers, and counted and checked against what was to be quantized."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from build_engines.errors import QuantizationError
from build_engines.quantize.layers import PASSING, WEIGHTED

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def strip(model: onnx.ModelProto, quantized: Collection[str]) -> onnx.ModelProto:
    """A copy in which only the layers named still have Q/DQ, and whatever hands on to nothing but such layers.

    model: a graph as `quantize` gives it, weights not rounded. Nodes and weights that fall out of use are dropped.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    _free_outputs(graph)
    producer = {output: node for node in graph.node for output in node.output}
    keep = _in_int8(graph, quantized)
    for node in graph.node:
        if node.op_type in (QUANTIZE, DEQUANTIZE) or keep(node):
            continue
        for index, name in enumerate(node.input):
            if _is(producer.get(name), DEQUANTIZE) and _is(producer.get(producer[name].input[0]), QUANTIZE):
                node.input[index] = producer[producer[name].input[0]].input[0]
    _drop_unused(graph)
    return copy


@dataclass(frozen=True)
class QDQ:
    """What was found of a graph's Q/DQ."""

    layers: tuple[str, ...]
    """Layers whose input and weight both come from DequantizeLinear."""
    others: tuple[str, ...]
    """Layers of which neither does."""


def inspect(model: onnx.ModelProto, where: str) -> QDQ:
    """Count the quantized layers. Raises `QuantizationError` for Q/DQ that a backend would refuse or pass over.

    That is: half a pair, zero-points that are not zero or not signed, a quantized bias, scales that are not finite and
    positive, or that half precision cannot hold.
    """
    graph = model.graph
    producer = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    done: list[str] = []
    left: list[str] = []
    for node in graph.node:
        if node.op_type in (QUANTIZE, DEQUANTIZE):
            _check_pair(node, constants, where)
        elif node.op_type in WEIGHTED:
            fed = [_is(producer.get(name), DEQUANTIZE) for name in node.input]
            if fed[:2] not in ([True, True], [False, False]) or any(fed[2:]):
                raise QuantizationError(
                    f"{where}: {node.name} has Q/DQ on {sum(fed)} of its {len(fed)} inputs, expected on input and "
                    f"weight or on none: a backend would pass over it; quantize the graph again"
                )
            (done if fed[0] else left).append(node.name)
    return QDQ(tuple(done), tuple(left))


def lift_weight_scales(model: onnx.ModelProto) -> int:
    """Raise scales of weights that half precision cannot hold to the smallest that it can; how many were raised.

    They belong to channels that training let decay (all weights under 7.6e-6): rounded to the smallest scale their
    weights change by 3e-8 at most. Scales of activations are left alone: too small, those would cut off true values.
    """
    smallest = float(np.finfo(np.float16).smallest_subnormal)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = {node.output[0] for node in model.graph.node if node.op_type == QUANTIZE and node.input[0] in constants}
    lifted: dict[str, int] = {}
    for node in model.graph.node:
        of_weight = node.output[0] in weights or (node.op_type == DEQUANTIZE and node.input[0] in weights)
        tensor = constants.get(node.input[1]) if of_weight else None
        if tensor is None or tensor.name in lifted:
            continue
        scale = numpy_helper.to_array(tensor)
        low = np.isfinite(scale) & (scale >= 0) & (scale < smallest)
        lifted[tensor.name] = int(low.sum()) if node.op_type == QUANTIZE else 0
        if low.any():
            tensor.CopyFrom(numpy_helper.from_array(np.where(low, smallest, scale).astype(scale.dtype), tensor.name))
    return sum(lifted.values())


def require(model: onnx.ModelProto, expected: Sequence[str], where: str) -> None:
    """Raise `QuantizationError` unless just these layers are quantized."""
    found = inspect(model, where).layers
    wrong = sorted(set(found) ^ set(expected))
    if wrong:
        raise QuantizationError(
            f"{where}: {len(found)} layers have Q/DQ, expected {len(expected)}; they differ in {', '.join(wrong[:3])}; "
            f"quantize the graph again"
        )


def _free_outputs(graph: onnx.GraphProto) -> None:
    """Outputs of the graph as they were before Q/DQ: what another network gets is not rounded on the way."""
    producer = {output: node for node in graph.node for output in node.output}
    for output in (value.name for value in graph.output):
        dequantize = producer[output]
        if not _is(dequantize, DEQUANTIZE) or not _is(producer.get(dequantize.input[0]), QUANTIZE):
            continue
        before, rounded = producer[dequantize.input[0]].input[0], f"{output}/rounded"
        renamed = {before: output, output: rounded}
        for node in graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    names[index] = renamed.get(name, name)


def _in_int8(graph: onnx.GraphProto, quantized: Collection[str]) -> Callable[[onnx.NodeProto], bool]:
    """Whether a node's inputs stay quantized: a layer that is named, or one that hands on to such nodes alone."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    known: dict[str, bool] = {}

    def following(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        found = []
        for user in (user for name in node.output for user in users.get(name, ())):
            found += following(user) if user.op_type in (QUANTIZE, DEQUANTIZE) else [user]
        return found

    def keep(node: onnx.NodeProto) -> bool:
        if node.op_type in PASSING and node.name not in known:
            after = following(node)
            known[node.name] = bool(after) and all(keep(user) for user in after)
        return known.get(node.name, node.name in quantized)

    return keep


def _drop_unused(graph: onnx.GraphProto) -> None:
    outputs = {value.name for value in graph.output}
    while True:
        used = {name for node in graph.node for name in node.input} | outputs
        dead = [node for node in graph.node if not used & set(node.output)]
        for node in dead:
            graph.node.remove(node)
        if not dead:
            break
    made = {name for node in graph.node for name in node.output}
    for kept, holder in ((used, graph.initializer), (made, graph.value_info)):
        for entry in [entry for entry in holder if entry.name not in kept]:
            holder.remove(entry)


def _check_pair(node: onnx.NodeProto, constants: dict[str, TensorProto], where: str) -> None:
    if len(node.input) < 3 or node.input[1] not in constants or node.input[2] not in constants:
        raise QuantizationError(f"{where}: {node.name} has no constant scale and zero-point; quantize the graph again")
    scale, zero = numpy_helper.to_array(constants[node.input[1]]), constants[node.input[2]]
    if zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
        kind = TensorProto.DataType.Name(zero.data_type)
        raise QuantizationError(
            f"{where}: {node.name} has a zero-point of type {kind}, expected INT8 zeros: TensorRT refuses others; "
            f"quantize symmetrically and without the biases"
        )
    wide = scale.astype(np.float64)
    half = np.finfo(np.float16)
    usable = np.isfinite(wide) & (wide >= float(half.smallest_subnormal)) & (wide < float(half.max))
    if not usable.all():
        bad = wide[~usable].ravel()[0]
        raise QuantizationError(
            f"{where}: {node.name} has {int((~usable).sum())} scales like {bad:g}, expected finite ones above zero "
            f"that half precision holds; look for dead channels or faulty frames in the calibration set"
        )


def _is(node: onnx.NodeProto | None, kind: str) -> bool:
    return node is not None and node.op_type == kind
