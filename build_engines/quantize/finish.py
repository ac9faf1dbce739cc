"""The last step of every graph that was converted: names, facts, valid ONNX, inputs and outputs as they were."""

from __future__ import annotations

import os
from pathlib import Path

import onnx

from build_engines.errors import QuantizationError
from build_engines.export.tidy import IR_VERSION
from build_engines.quantize.layers import require_names


def save(model: onnx.ModelProto, original: onnx.ModelProto, path: Path) -> None:
    """Write the graph, which must take and give what the original does.

    Raises `QuantizationError` when it does not, when it is not valid ONNX, or when it cannot be written.
    """
    model.graph.name = original.graph.name
    model.ir_version = IR_VERSION
    model.producer_name = original.producer_name
    model.doc_string = ""
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    _drop_doubles(model)
    for kind in ("input", "output"):
        _require_same(kind, getattr(model.graph, kind), getattr(original.graph, kind), path.name)
    require_names(model, path.name)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise QuantizationError(f"{path.name}: not valid ONNX: {str(error).splitlines()[0]}") from error
    beside = path.with_name(path.name + ".partial")
    try:
        onnx.save(model, beside)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise QuantizationError(f"{path}: cannot be written ({error.strerror}); name a place with room") from error


def _drop_doubles(model: onnx.ModelProto) -> None:
    """Constants that the tools copied for each use, by content: they are small, but many."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in list(model.graph.initializer):
        if len(tensor.raw_data) > 4096:
            continue
        key = (tensor.data_type, tuple(tensor.dims), onnx.numpy_helper.to_array(tensor).tobytes())
        if key in first:
            same[tensor.name] = first[key]
            model.graph.initializer.remove(tensor)
        else:
            first[key] = tensor.name
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)


def _require_same(kind: str, found: object, expected: object, where: str) -> None:
    got, want = (
        {value.name: value.type.SerializeToString(deterministic=True) for value in values}  # type: ignore[attr-defined]
        for values in (found, expected)
    )
    if got != want:
        names = sorted(name for name in got.keys() | want.keys() if got.get(name) != want.get(name))
        raise QuantizationError(f"{where}: {kind} {', '.join(names)} changed, expected it as in fp32; report it")
