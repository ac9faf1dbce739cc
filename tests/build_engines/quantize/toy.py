"""Both networks as small as they can be with all that quantization looks at, on an eighth of the image's side.

Named as the real ones: two encoder and two decoder blocks with an upsampling between, a ConvNeXt block in each branch
(depthwise, LayerNorm, two products), a downsampling, a gate, heads. ModelOpt takes a second for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from build_engines.export import ExportedGraphs
from runtime.manifest import graph_name

CHANNELS, SIDE, SHRUNK = 16, 256, 8
FLOAT = TensorProto.FLOAT
SEGMENTATION_LAYERS = 6
"""That are quantized when nothing is spared."""


class _Graph:
    """Nodes and weights one after the other; each node is named by its module, and its tensor like the node."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    def node(self, kind: str, module: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = f"{module}/{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [output or name], name=name, **attributes))
        return output or name

    def constant(self, name: str, value: object, kind: type = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def weight(self, name: str, *shape: int, scale: float = 1.0) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
        return self.constant(name, self._random.normal(size=shape) * scale * np.sqrt(2 / fan_in))

    def conv(self, module: str, x: str, outputs: int, inputs: int, side: int, scale: float = 1.0, **extra: Any) -> str:
        weight = self.weight(f"{module}.weight", outputs, inputs, side, side, scale=scale)
        bias = self.constant(f"{module}.bias", self._random.normal(size=outputs) * 0.1)
        return self.node("Conv", module, [x, weight, bias], kernel_shape=[side, side], **extra)

    def image(self) -> str:
        turned = self.node("Transpose", "input", ["image"], perm=[0, 3, 1, 2])
        cast = self.node("Cast", "input", [turned], to=FLOAT)
        return self.node("Div", "input", [cast, self.constant("input.scale", 255)])

    def matmul(self, module: str, x: str, inputs: int, outputs: int) -> str:
        product = self.node("MatMul", module, [x, self.weight(f"{module}.weight.T", inputs, outputs)])
        return self.node("Add", module, [product, self.constant(f"{module}.bias", np.zeros(outputs))])

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9, producer_name="build_engines"
        )
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model


def _values(names: list[tuple[str, list[int]]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in names]


IMAGE = [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])]
VESSELS = ("vessels", [1, 1, SIDE, SIDE])
FEATURES = [(f"features_{level}", [1, CHANNELS, SIDE >> 3 + level, SIDE >> 3 + level]) for level in range(4)]


def segmentation() -> onnx.ModelProto:
    g = _Graph(1)
    same: dict[str, Any] = {"pads": [1, 1, 1, 1]}

    def relu(module: str, x: str, output: str | None = None) -> str:
        return g.node("Relu", module, [x], output)

    x = g.conv("segmentation.encoder.0.conv1", g.image(), CHANNELS, 3, SHRUNK, strides=[SHRUNK, SHRUNK])
    x = relu("segmentation.encoder.0", x)
    x = g.conv("segmentation.encoder.0.conv2", x, CHANNELS, CHANNELS, 3, **same)
    skip = relu("segmentation.encoder.0.out", x, "features_0")
    down = g.node("MaxPool", "segmentation.pool", [skip], kernel_shape=[2, 2], strides=[2, 2])
    x = g.conv("segmentation.encoder.1.conv1", down, CHANNELS, CHANNELS, 3, **same)
    deep = relu("segmentation.encoder.1", x, "features_1")
    for level in (2, 3):
        pooled = {"kernel_shape": [2, 2], "strides": [2, 2]}
        g.node("AveragePool", f"segmentation.pool{level}", [f"features_{level - 1}"], f"features_{level}", **pooled)
    scales = g.constant("segmentation.up.scales", [1, 1, 2, 2])
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = g.node("Resize", "segmentation.up.0.upsample", [deep, "", scales], **nearest)
    x = relu("segmentation.up.0", g.conv("segmentation.up.0.conv", x, CHANNELS, CHANNELS, 3, **same))
    x = g.node("Concat", "segmentation", [skip, x], axis=1)
    for step, inputs in ((1, 2 * CHANNELS), (2, CHANNELS)):
        x = g.conv(f"segmentation.decoder.0.conv{step}", x, CHANNELS, inputs, 3, **same)
        x = relu(f"segmentation.decoder.0.relu{step}", x)
    x = g.conv("segmentation.output", x, CHANNELS, CHANNELS, 1, scale=3.0)
    mean = g.node("ReduceMean", "segmentation.mean", [x, g.constant("segmentation.axes", [1], np.int64)])
    whole = g.constant("segmentation.scales", [1, 1, SHRUNK, SHRUNK])
    x = g.node("Resize", "segmentation.whole", [mean, "", whole], **nearest)
    g.node("Sigmoid", "segmentation", [x], "vessels")
    return g.model("segmentation", IMAGE, _values([VESSELS, *FEATURES]))


def classifier() -> onnx.ModelProto:
    g = _Graph(2)
    image = g.image()
    seen = {"raw": image, "guided": g.node("Mul", "classifier", [image, "vessels"])}
    gate = g.conv("classifier.gates.convs.0", "features_0", CHANNELS, CHANNELS, 3, pads=[1, 1, 1, 1], strides=[2, 2])
    gate = g.node("Sigmoid", "classifier.gates", [gate])
    heads = []
    for branch in ("raw", "guided"):
        where = f"classifier.{branch}"
        x = g.conv(f"{where}.stem.0", seen[branch], CHANNELS, 3, 16, strides=[16, 16])
        if branch == "guided":
            x = g.node("Mul", f"{where}.gate", [x, gate])
        block = f"{where}.stages.0.blocks.0"
        y = g.conv(f"{block}.depthwise", x, CHANNELS, 1, 7, pads=[3] * 4, group=CHANNELS)
        y = g.node("Transpose", f"{block}.in", [y], perm=[0, 2, 3, 1])
        norm = [g.constant(f"{block}.norm.weight", np.ones(CHANNELS)), g.constant(f"{block}.norm.bias", np.zeros(16))]
        y = g.node("LayerNormalization", f"{block}.norm", [y, *norm], axis=-1, epsilon=1e-6)
        y = g.matmul(f"{block}.expand", y, CHANNELS, 4 * CHANNELS)
        y = g.node("Relu", block, [y])
        y = g.matmul(f"{block}.project", y, 4 * CHANNELS, CHANNELS)
        y = g.node("Transpose", f"{block}.out", [y], perm=[0, 3, 1, 2])
        x = g.node("Add", block, [x, y])
        x = g.conv(f"{where}.stages.1.downsample.1", x, CHANNELS, CHANNELS, 2, strides=[2, 2])
        heads.append(g.node("Flatten", where, [g.node("GlobalAveragePool", where, [x])]))
    for level in (1, 2, 3):  # an engine hands on all of them, so each is to be taken
        where = f"classifier.seen.{level}"
        heads.append(g.node("Flatten", where, [g.node("GlobalAveragePool", where, [f"features_{level}"])]))
    x = g.node("Concat", "classifier.all", heads, axis=1)
    bias = g.constant("classifier.output.bias", [0.1, -0.1])
    logits = g.node(
        "Gemm", "classifier.output", [x, g.weight("classifier.output.weight", 5 * CHANNELS, 2), bias], "logits"
    )
    g.node("Softmax", "classifier", [logits], "probabilities", axis=1)
    outputs = _values([("probabilities", [1, 2]), ("logits", [1, 2])])
    return g.model("classifier", [*IMAGE, *_values([VESSELS, *FEATURES])], outputs)


def write_toy(folder: Path) -> ExportedGraphs:
    """Both fp32 graphs in a folder, named as in a bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = ExportedGraphs(folder / graph_name("segmentation", "fp32"), folder / graph_name("classifier", "fp32"))
    onnx.save(segmentation(), paths.segmentation)
    onnx.save(classifier(), paths.classifier)
    return paths
