"""What can be quantized in a graph: its convolutions and matrix products, the block each is in, why one is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from build_engines.errors import QuantizationError

WEIGHTED = ("Conv", "Gemm", "MatMul")
PASSING = ("MaxPool", "Resize", "Concat")
"""Hand their input on unchanged, so that INT8 can flow through them."""
IMAGE_CHANNELS, WIDE = 3, 16

DEPTHWISE, HEAD, IMAGE, NARROW, BETWEEN = "depthwise", "head", "takes the image", "narrow", "between stages"
REASONS: Mapping[str, str] = {
    DEPTHWISE: "one channel at a time: INT8 saves no time and costs accuracy",
    HEAD: "a vector times a matrix: nothing to save",
    IMAGE: "symmetric INT8 has 128 levels for an image of 256",
    BETWEEN: "all that a stage has made is rounded at once: most of the error, and 2 % of the products",
    NARROW: "fewer than 16 channels: TensorRT has no INT8 kernel for it",
}
"""Why layers are kept out of INT8 from the start."""

_BLOCK = re.compile(r"(.*?(?:encoder|decoder|up|blocks|downsample|convs|stem)\.\d+|[^/]*)")


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix product with a weight."""

    name: str
    """Of its node, `segmentation.encoder.0.conv1/Conv`."""
    block: str
    """The part of the network it is in, `segmentation.encoder.0`."""
    kept: str | None
    """Why it is not to be quantized, one of `REASONS`; None when it may be."""


def layers_of(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The layers of an unquantized graph, in its order."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return tuple(
        Layer(node.name, block_of(node.name), _kept(node, weights[node.input[1]]))
        for node in model.graph.node
        if node.op_type in WEIGHTED and node.input[1] in weights
    )


def block_of(node: str) -> str:
    """The U-Net level, upsampling step, ConvNeXt block, gate or single module that a node's name tells."""
    match = _BLOCK.match(node.split("/")[0])
    return match.group(1) if match else node


def kept_by_reason(layers: Sequence[Layer]) -> dict[str, tuple[str, ...]]:
    """Names of the layers to be kept, by reason."""
    reasons = dict.fromkeys(layer.kept for layer in layers if layer.kept is not None)
    return {reason: tuple(layer.name for layer in layers if layer.kept == reason) for reason in reasons}


def require_names(model: onnx.ModelProto, where: str) -> None:
    """Raise `QuantizationError` unless every node has a name of its own: tools pass unnamed ones by in silence."""
    names = Counter(node.name for node in model.graph.node)
    nameless = names.pop("", 0)
    twice = [name for name, count in names.items() if count > 1]
    if nameless or twice:
        found = f"{nameless} nodes without a name" if nameless else f"two nodes called {twice[0]}"
        raise QuantizationError(f"{where}: {found}, expected each node named once; export the graph again")


def _kept(node: onnx.NodeProto, shape: tuple[int, ...]) -> str | None:
    if node.op_type == "Gemm":
        return HEAD
    if node.op_type != "Conv":
        return None
    if any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute):
        return DEPTHWISE
    if shape[1] == IMAGE_CHANNELS:
        return IMAGE
    if _halves(node):
        return BETWEEN
    return NARROW if _narrow(*shape[:2]) else None


def _halves(node: onnx.NodeProto) -> bool:
    """Whether a convolution's strides are as wide as its kernel, so that each number is looked at once."""
    wide = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    return max(wide.get("strides", [1])) > 1 and wide["strides"] == wide.get("kernel_shape")


def _narrow(outputs: int, inputs: int) -> bool:
    """ModelOpt's rule, after TensorRT's kernels: 16 channels on either side, and a multiple of 8 where fewer."""
    few = min(outputs, inputs) < WIDE
    return few and not (max(outputs, inputs) >= WIDE and (outputs % 8 == 0 or inputs % 8 == 0))
