"""The network of a bundle, rebuilt from the weights in its fp32 graphs: for when the checkpoint is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from build_engines.errors import CheckpointError
from build_engines.segimgnet.classifier import SegImgNet
from build_engines.segimgnet.size import NetworkSize
from runtime.bundle import Bundle
from runtime.manifest import NETWORKS, graph_name

LAYERS = ("Conv", "Gemm", "LayerNormalization", "MatMul")
"""Operators whose inputs after the first are parameters."""


def network_from_graphs(bundle: Bundle) -> SegImgNet:
    """The whole network in evaluation mode, float32, on the CPU; it gives what the graphs give.

    Its layers are those of the checkpoint: the batch normalisations, which the export folds into the convolutions
    before them, are there and change nothing, so that a frame costs what it costs with the checkpoint. Raises
    `CheckpointError` when the graphs are not those of a SegImgNet, `BundleError` when the bundle has no fp32 graphs.
    """
    found: dict[str, list[Tensor]] = {}
    facts: dict[str, str] = {}
    for graph in NETWORKS:
        model = onnx.load_from_string(bundle.read(graph_name(graph, "fp32")))
        facts.update({entry.key: entry.value for entry in model.metadata_props})
        found.update(_by_module(model))
    network = _named_in(facts, str(bundle.path))
    state = _without_effect(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            continue
        own = dict(module.named_parameters(recurse=False))
        tensors = found.get(name, [])
        if [tensor.shape for tensor in tensors] != [parameter.shape for parameter in own.values()]:
            raise CheckpointError(
                f"{bundle.path}: {name} has {_shapes(tensors)} in the fp32 graphs, expected "
                f"{_shapes(list(own.values()))}; name the checkpoint that the bundle was built from"
            )
        state.update({f"{name}.{key}": tensor for key, tensor in zip(own, tensors, strict=True)})
    network.load_state_dict(state, assign=True)
    return network.eval()


def _by_module(model: onnx.ModelProto) -> dict[str, list[Tensor]]:
    """Each module's parameters in its own order, weight before bias.

    By the names of nodes, `module/operator`, and not of tensors: the exporter keeps equal tensors once, so that a
    layer which training left as it began may use another's.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, list[Tensor]] = {}
    for node in model.graph.node:
        module, _, _ = node.name.rpartition("/")
        names = [name for name in node.input if name in held]
        if node.op_type not in LAYERS:
            names = [name for name in names if node.op_type in ("Add", "Mul") and held[name].dims]
        for name in names:
            tensor = torch.from_numpy(numpy_helper.to_array(held[name]).copy())
            # A linear layer without its bias is written as a product with the weight the other way round.
            found.setdefault(module, []).append(tensor.T.contiguous() if node.op_type == "MatMul" else tensor)
    return found


def _shapes(tensors: Sequence[Tensor]) -> str:
    return str([list(tensor.shape) for tensor in tensors])


def _named_in(facts: Mapping[str, str], where: str) -> SegImgNet:
    """An empty network of the size that the exporter wrote into its graphs."""
    try:
        widths = tuple(int(text) for text in facts["unet_widths"].split("-"))
        depths = tuple(int(text) for text in facts["convnext_depths"].split("-"))
        size = NetworkSize(facts["size"], widths, widths[1:], depths, int(facts["head_width"]))  # type: ignore[arg-type]
        with torch.device("meta"):
            return SegImgNet(size, int(facts["classes"]))
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{where}: its fp32 graphs do not say which SegImgNet they are ({type(error).__name__}: {error}); "
            "name the checkpoint that the bundle was built from"
        ) from None


def _without_effect(network: SegImgNet) -> dict[str, Tensor]:
    """State of every batch normalisation in which it gives back what it gets."""
    state = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            ones = torch.ones(module.num_features)
            state[f"{name}.weight"] = ones
            state[f"{name}.bias"] = state[f"{name}.running_mean"] = torch.zeros(module.num_features)
            state[f"{name}.running_var"] = ones - module.eps
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state
