"""What the exporter leaves open: names from the module tree, a settled batch, shapes for every tensor, the check."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from build_engines.errors import BuildError

IR_VERSION = 9
"""The one that belongs to opset 19; newer ones are refused by older readers for nothing."""

SMALL = 16
"""Constants of at most so many elements are named by their value."""

SCOPES = "pkg.torch.onnx.name_scopes"


def tidy(model: ir.Model, kind: str, facts: Mapping[str, str], batch: int | None) -> ir.Model:
    """Name everything, set the batch (None leaves it free), describe, infer shapes and check; gives the same model.

    kind: `segmentation` or `classifier`, the name of the graph. Raises BuildError for a graph that is not valid.
    """
    _name_nodes(model.graph)
    _name_constants(model.graph)
    if batch is not None:
        _set_batch(model.graph, batch)
    passes.ClearMetadataAndDocStringPass()(model)  # holds stack traces with paths of the build machine
    model.graph.name = kind
    model.ir_version = IR_VERSION
    model.producer_name = "build_engines"
    model.metadata_props.update({"kind": kind, **facts})
    for value in _computed(model.graph):
        if not value.is_graph_output():
            value.shape = None  # inferred anew below, by the checker's own rules and with the batch that was set
    try:
        passes.ShapeInferencePass(check_type=True, strict_mode=True, data_prop=True)(model)
        passes.CheckerPass(full_check=True)(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"export: the {kind} graph is not valid ONNX: {error}") from error
    nameless = [value.name for value in _computed(model.graph) if value.shape is None or value.dtype is None]
    if nameless:
        raise BuildError(
            f"export: the {kind} graph has tensors without known shape: {', '.join(map(str, nameless[:5]))}"
        )
    return model


def _computed(graph: ir.Graph) -> list[ir.Value]:
    return [value for node in graph for value in node.outputs]


def _name_nodes(graph: ir.Graph) -> None:
    """`MODULE PATH/OPERATOR`, numbered where a module has several; the tensor a node makes is called the same."""
    taken: Counter[str] = Counter()
    for node in graph:
        base = f"{_place(node)}/{node.op_type}"
        name = f"{base}_{taken[base]}" if taken[base] else base
        taken[base] += 1
        node.name = name
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = name


def _place(node: ir.Node) -> str:
    """The module that a node stands for, with the function where one becomes several nodes."""
    scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "[]"))
    if len(scopes) < 2 or not scopes[-2]:
        raise BuildError(f"export: node {node.name} ({node.op_type}) names no module; use torch 2.13")
    function = re.sub(r"_\d+$", "", scopes[-1])
    return f"{scopes[-2]}/{function}" if function == "gelu" else str(scopes[-2])


def _name_constants(graph: ir.Graph) -> None:
    """Parameters keep their names, a transposed one ends in `.T`, and small constants are named by their value."""
    parameters = {name for name in graph.initializers if "." in name}
    for value in list(graph.initializers.values()):
        if value.name in parameters:
            continue
        data = value.const_value
        if data is None or value.name is None:
            raise BuildError(f"export: constant {value.name} has no value")
        old = value.name
        scalarlike = data.size <= SMALL and len(data.shape) < 2
        if scalarlike:
            numbers = "_".join(f"{number:.9g}" for number in data.numpy().ravel().tolist())
            name = f"constant/{data.dtype.name.lower()}/{'x'.join(map(str, data.shape)) or 'scalar'}/{numbers}"
        else:
            (use, *_) = value.uses()
            name = f"{_place(use.node)}.weight.T"
        same = graph.initializers.get(name)
        if same is None:
            value.name = name  # moves it in graph.initializers, too
        elif scalarlike and same.const_value is not None and np.array_equal(same.const_value.numpy(), data.numpy()):
            value.replace_all_uses_with(same)
            del graph.initializers[old]
        else:
            raise BuildError(f"export: two different constants would be called {name}; name them apart in {__name__}")


def _set_batch(graph: ir.Graph, batch: int) -> None:
    for value in [*graph.inputs, *graph.outputs]:
        if value.shape is None:
            raise BuildError(f"export: {value.name} has no shape")
        value.shape = ir.Shape([batch, *value.shape[1:]])
