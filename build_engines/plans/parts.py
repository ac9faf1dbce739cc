"""The classifier's graph in two: its raw branch, which needs no segmentation and may run beside it, and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_engines.plans.errors import PlanRefused
from build_engines.plans.graph import onnx_module
from runtime.plan_key import PlanName

if TYPE_CHECKING:
    import onnx

FREE_INPUT = "image"
"""What the raw branch takes; everything else that the classifier takes comes from the segmentation."""
SHARED_NODES = 8
"""The preparation of the picture, which both parts do: at most so many nodes."""


def classifier_parts(content: bytes) -> dict[PlanName, bytes]:
    """Graphs `raw` (from the picture alone) and `guided` (from everything, and raw's result) of a classifier's graph.

    Between them goes one tensor, under the name that it has in the graph. Raises `PlanRefused` for a graph that does
    not fall apart so.
    """
    onnx = onnx_module()
    model = onnx.load_model_from_string(content)
    graph = model.graph
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    free = _free_tensors(graph, weights)
    crossing = {
        name
        for node in graph.node
        if not set(node.output) <= free
        for name in node.input
        if name in free and name in makers
    }
    depths = {name: len(_ancestors(graph, makers, [name], set())) for name in crossing}
    bridge = max(depths, key=depths.__getitem__, default=None)
    others = [depth for name, depth in depths.items() if name != bridge]
    if bridge is None or depths[bridge] <= SHARED_NODES or any(depth > SHARED_NODES for depth in others):
        raise PlanRefused("classifier: its graph has no one tensor between a raw branch and the rest; build it whole")
    kind = _typed(model, bridge)
    rest = [value.name for value in graph.output]
    return {
        "raw": _part(model, _ancestors(graph, makers, [bridge], set()), "raw", [], [kind]),
        "guided": _part(model, _ancestors(graph, makers, rest, {bridge}), "guided", [kind], list(graph.output)),
    }


def _free_tensors(graph: onnx.GraphProto, weights: set[str]) -> set[str]:
    """Tensors that depend on nothing but the picture and weights."""
    free = {FREE_INPUT, "", *weights}
    for node in graph.node:
        if free.issuperset(node.input):
            free.update(node.output)
    return free


def _ancestors(graph: onnx.GraphProto, makers: dict[str, int], names: list[str], stop: set[str]) -> list[int]:
    """Indices of the nodes that make the tensors, in the graph's order; `stop` is taken as given."""
    found: set[int] = set()
    waiting = [name for name in names if name in makers]
    while waiting:
        index = makers[waiting.pop()]
        if index not in found:
            found.add(index)
            waiting += [name for name in graph.node[index].input if name in makers and name not in stop]
    return sorted(found)


def _typed(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    """A tensor with its type and shape."""
    for candidate in (model, onnx_module().shape_inference.infer_shapes(model)):
        for value in candidate.graph.value_info:
            if value.name == name:
                found: onnx.ValueInfoProto = value
                return found
    raise PlanRefused(f"classifier: the type of {name} cannot be told; build it whole")


def _part(
    model: onnx.ModelProto,
    nodes: list[int],
    name: str,
    given: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> bytes:
    onnx = onnx_module()
    graph = model.graph
    kept = [graph.node[index] for index in nodes]
    used = {tensor for node in kept for tensor in node.input}
    inputs = [value for value in (*graph.input, *given) if value.name in used]
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    part = onnx.helper.make_graph(kept, f"{graph.name}.{name}", inputs, outputs, weights)
    made: bytes = onnx.helper.make_model(
        part, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name=model.producer_name
    ).SerializeToString()
    return made
