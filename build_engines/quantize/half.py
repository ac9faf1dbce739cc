"""FP16 by ModelOpt's AutoCast: inputs and outputs keep their types, LayerNorm and softmax stay in fp32."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from build_engines.errors import QuantizationError
from build_engines.quantize.calibrate import quiet
from build_engines.quantize.inputs import Inputs
from build_engines.quantize.layers import WEIGHTED

IN_FP32 = ("LayerNormalization", "Softmax")
"""Sums over many values, and the probabilities themselves."""
LARGEST = 512.0
"""A node with larger inputs or outputs than this on the sample stays in fp32: there FP16 steps by a half."""


def to_half(graph: Path, sample: Iterable[Inputs]) -> onnx.ModelProto:
    """An fp32 graph in FP16, as far as its values on the sample allow. Raises `QuantizationError`."""
    with quiet(), tempfile.TemporaryDirectory(prefix="half.") as folder:
        from modelopt.onnx.autocast import convert_to_mixed_precision

        frames = Path(folder) / "sample"
        frames.mkdir()
        for index, inputs in enumerate(sample):
            np.savez(frames / f"{index:04d}.npz", **inputs)
        try:
            model: onnx.ModelProto = convert_to_mixed_precision(
                shutil.copy(graph, folder),
                low_precision_type="fp16",
                op_types_to_exclude=list(IN_FP32),
                data_max=LARGEST,
                keep_io_types=True,
                calibration_data=str(frames),
            )
        except Exception as error:  # whatever AutoCast can raise; the text is for the user
            raise QuantizationError(f"{graph.name}: AutoCast failed: {type(error).__name__}: {error}") from error
    return model


def half_between(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph with Q/DQ in fp32: the same with FP16 between, and weights rounded to INT8, of which only DQ is left."""
    with quiet():
        from modelopt.onnx.autocast.convert import convert_to_f16
        from modelopt.onnx.quantization.qdq_utils import qdq_to_dq

        try:
            converted: onnx.ModelProto = convert_to_f16(model, keep_io_types=True, op_block_list=list(IN_FP32))
            return qdq_to_dq(converted)  # type: ignore[no-any-return, unused-ignore]
        except Exception as error:
            raise QuantizationError(f"int8 graph: AutoCast failed: {type(error).__name__}: {error}") from error


def require_half(model: onnx.ModelProto, where: str) -> None:
    """Raise `QuantizationError` unless weights are FP16 (or INT8 behind DQ) and LayerNorm's tensors are fp32.

    AutoCast passes over nodes without a word, so that the dtypes themselves are looked at.
    """
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    producer = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type in WEIGHTED:
            weight = node.input[1]
            source = producer.get(weight)
            if source is not None and source.op_type == "DequantizeLinear":
                _expect(types.get(source.input[0]), TensorProto.INT8, source.input[0], where)
                _expect(types.get(source.input[1]), TensorProto.FLOAT16, source.input[1], where)
            else:
                _expect(types.get(weight), TensorProto.FLOAT16, weight, where)
        elif node.op_type == "LayerNormalization":
            for name in node.input[1:]:
                _expect(types.get(name), TensorProto.FLOAT, name, where)


def _expect(found: int | None, expected: int, name: str, where: str) -> None:
    if found != expected:
        got = "no constant" if found is None else TensorProto.DataType.Name(found)
        raise QuantizationError(
            f"{where}: {name} is {got}, expected {TensorProto.DataType.Name(expected)}: the conversion passed over it; "
            f"use the versions of setup.cfg"
        )
