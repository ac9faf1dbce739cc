"""Makes the networks of tests: the contract's tensors, a handful of nodes, whole and with the classifier split.

They are kept as files, as the cart's tests have nothing to make them with: `python -m tests.build_engines.tiny_graphs`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 256


def _value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


IMAGE = ("image", [1, SIDE, SIDE, 3], TensorProto.UINT8)
VESSELS = ("vessels", [1, 1, SIDE, SIDE], TensorProto.FLOAT)
SIDES = (32, 16, 8, 4)
FEATURES = [(f"features_{level}", [1, 3, side, side], TensorProto.FLOAT) for level, side in enumerate(SIDES)]
MEANS = ("means", [1, 3], TensorProto.FLOAT)
LOGITS = ("logits", [1, 2], TensorProto.FLOAT)
PROBABILITIES = ("probabilities", [1, 2], TensorProto.FLOAT)

INPUT = [
    helper.make_node("Cast", ["image"], ["image_float"], to=TensorProto.FLOAT),
    helper.make_node("Transpose", ["image_float"], ["planes"], perm=[0, 3, 1, 2]),
    helper.make_node("Div", ["planes", "255"], ["pixels"]),
]
SEGMENT = [
    helper.make_node("Conv", ["pixels", "green"], ["dark"]),
    helper.make_node("Sigmoid", ["dark"], ["vessels"]),
    *(
        helper.make_node(
            "MaxPool", ["pixels"], [f"features_{level}"], kernel_shape=[SIDE // side] * 2, strides=[SIDE // side] * 2
        )
        for level, side in enumerate(SIDES)
    ),
]
RAW = [
    helper.make_node("GlobalAveragePool", ["pixels"], ["means_4d"]),
    helper.make_node("Flatten", ["means_4d"], ["means"]),
]
GUIDED = [
    helper.make_node("GlobalAveragePool", ["vessels"], ["vessel_mean"]),
    helper.make_node("Flatten", ["vessel_mean"], ["vessel_flat"]),
    *(
        node
        for level in range(len(SIDES))
        for node in (
            helper.make_node("GlobalMaxPool", [f"features_{level}"], [f"brightest_{level}"]),
            helper.make_node("Flatten", [f"brightest_{level}"], [f"flat_{level}"]),
        )
    ),
    helper.make_node(
        "Concat", ["means", "vessel_flat", *(f"flat_{level}" for level in range(len(SIDES)))], ["all"], axis=1
    ),
    helper.make_node("Gemm", ["all", "weights"], ["logits"]),
    helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
]
WEIGHTS = {
    "255": np.float32(255),
    "green": np.asarray([1, -6, 1], np.float32).reshape(1, 3, 1, 1),
    "weights": np.linspace(-3, 3, 32, dtype=np.float32).reshape(16, 2),
}
PARTS = {
    "segmentation": ([*INPUT, *SEGMENT], [IMAGE], [VESSELS, *FEATURES]),
    "classifier": ([*INPUT, *RAW, *GUIDED], [IMAGE, VESSELS, *FEATURES], [PROBABILITIES, LOGITS]),
    "raw": ([*INPUT, *RAW], [IMAGE], [MEANS]),
    "guided": (GUIDED, [MEANS, VESSELS, *FEATURES], [PROBABILITIES, LOGITS]),
}


def tiny_graph(name: str, *, free_batch: bool = False) -> bytes:
    """`segmentation`, `classifier`, or its parts `raw` and `guided`."""
    nodes, inputs, outputs = PARTS[name]
    batch: list[int | str] = ["batch"] if free_batch else [1]
    used = {tensor for node in nodes for tensor in node.input}
    graph = helper.make_graph(
        nodes,
        name,
        [_value(tensor, [*batch, *shape[1:]], kind) for tensor, shape, kind in inputs],
        [_value(tensor, [*batch, *shape[1:]], kind) for tensor, shape, kind in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in WEIGHTS.items() if key in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def files() -> dict[str, bytes]:
    """What `tests/runtime/engines/graphs` holds, by file name."""
    kept = {f"{name}.onnx": tiny_graph(name) for name in PARTS}
    return kept | {f"{name}.free.onnx": tiny_graph(name, free_batch=True) for name in ("segmentation", "classifier")}


if __name__ == "__main__":
    for name, content in files().items():
        (Path(__file__).parents[1] / "runtime" / "engines" / "graphs" / name).write_bytes(content)
