"""The graphs that a server runs: the bundle's, with a batch that is free, and the one that marks each answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from build_engines.errors import BuildError
from runtime.arrays import FloatArray, UInt8Array
from runtime.engines.base import ENCODED_FROM
from runtime.engines.triton.contract import ENCODED, MARK, mark_of

OPSET = 17
AGREE = 1e-4
"""Most that an answer may differ when a frame is read together with others."""


def tensors_of(graph: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type (`UINT8`, `FP32`) and shape of each input and output of an ONNX graph; a free dimension is -1."""
    names = {TensorProto.UINT8: "UINT8", TensorProto.FLOAT: "FP32"}
    found = {}
    model = onnx.load_from_string(graph)
    for value in (*model.graph.input, *model.graph.output):
        kind = value.type.tensor_type
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
        found[value.name] = names.get(kind.elem_type, str(kind.elem_type)), shape
    return found


def with_free_batch(graph: bytes) -> bytes:
    """The graph with a first dimension of any size in its inputs and outputs; the nodes stay as they are."""
    model = onnx.load_from_string(graph)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = "batch"
    return bytes(model.SerializeToString())


def marking_graph(features: Mapping[str, tuple[int, ...]], sha256: str, precision: str) -> bytes:
    """The graph that takes the encoder's two deepest maps and gives their means and the mark of the bundle.

    features: shape of each map [N, C, H, W], N -1 for a free batch. The means are those of `Inference.encoded`.
    """
    shapes = [features[name] for name in ENCODED_FROM]
    batch: int | str = "batch" if shapes[0][0] == -1 else shapes[0][0]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape[1:]])
        for name, shape in zip(ENCODED_FROM, shapes, strict=True)
    ]
    numbers = sum(shape[1] for shape in shapes)
    mark = mark_of(sha256, precision)
    nodes = [
        *(helper.make_node("ReduceMean", [name], [f"{name}_means"], axes=[2, 3], keepdims=0) for name in ENCODED_FROM),
        helper.make_node("Concat", [f"{name}_means" for name in ENCODED_FROM], [ENCODED], axis=1),
        helper.make_node("Shape", [ENCODED_FROM[0]], ["batch_size"], start=0, end=1),
        helper.make_node("Concat", ["batch_size", "mark_length"], ["marks_shape"], axis=0),
        helper.make_node("Expand", ["mark", "marks_shape"], [MARK]),
    ]
    graph = helper.make_graph(
        nodes,
        "mark",
        inputs,
        [
            helper.make_tensor_value_info(ENCODED, TensorProto.FLOAT, [batch, numbers]),
            helper.make_tensor_value_info(MARK, TensorProto.UINT8, [batch, mark.shape[1]]),
        ],
        [
            numpy_helper.from_array(mark, "mark"),
            numpy_helper.from_array(np.array([mark.shape[1]], np.int64), "mark_length"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def check_batches(segmentation: bytes, classifier: bytes) -> None:
    """Read two frames one by one and together by the freed graphs. Raises `BuildError` where that is not the same."""
    from device.cameras.simulated import SimulatedCamera, SimulatedConfig
    from runtime.engines.load_openvino import open_core
    from runtime.preprocess import network_input

    with SimulatedCamera(SimulatedConfig(frames_per_eye=1, size=(320, 320), faults=0.0)) as camera:
        frames = [frame for frame in (camera.read(), camera.read()) if frame is not None]
    images = np.concatenate([network_input(frame.pixels) for frame in frames])
    core = open_core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    first = core.compile_model(core.read_model(segmentation, b""), "CPU", exact)
    second = core.compile_model(core.read_model(classifier, b""), "CPU", exact)
    taken = [name for name in tensors_of(classifier) if name not in ("image", "probabilities", "logits")]

    def read(image: UInt8Array) -> list[FloatArray]:
        maps = first({"image": image})
        handed = {name: maps[first.output(name)] for name in taken}
        return [handed["vessels"].copy(), second({"image": image, **handed})[second.output("probabilities")].copy()]

    alone = [np.concatenate(parts) for parts in zip(*(read(image[np.newaxis]) for image in images), strict=True)]
    off = max(float(np.abs(one - both).max()) for one, both in zip(alone, read(images), strict=True))
    if not off <= AGREE:
        raise BuildError(
            f"frames read together differ by {off:.2g} from frames read alone, at most {AGREE:g}; choose --batch 1"
        )
