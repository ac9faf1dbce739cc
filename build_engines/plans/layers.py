"""What a finished plan does: its layers as TensorRT's inspector tells them, and how many run in which type."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from runtime.engines.tensorrt.log import Remembered

TYPE_WORDS = {"FLOAT": "fp32", "HALF": "fp16", "FP32": "fp32", "FP16": "fp16"}


@dataclass(frozen=True)
class Inspection:
    """The layers of an engine."""

    layers: tuple[dict[str, Any], ...]
    """As TensorRT describes them."""
    types: dict[str, int]
    """How many write their first output in which type."""


def type_word(name: str) -> str:
    """`fp16` for TensorRT's `HALF`; other types keep their own name, in small letters."""
    return TYPE_WORDS.get(name.upper(), name.lower())


def inspect(trt: Any, plan: bytes) -> Inspection | str:
    """The layers of a plan that was built on this very machine; why not, where they cannot be had. Needs its GPU."""
    log = Remembered(trt)
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    if engine is None:
        return f"layers cannot be told: the plan does not load: {log.reason()}"
    told = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return read_inspection(told)


def read_inspection(told: str) -> Inspection | str:
    """What the inspector's JSON says; why not, where it holds no descriptions of layers."""
    try:
        found = json.loads(told)["Layers"]
    except (ValueError, KeyError, TypeError):
        return "layers cannot be told: the inspector gives no list of them"
    layers = tuple(layer for layer in found if isinstance(layer, dict))
    if not layers:
        return "layers cannot be told: the inspector gives names only"
    counts = Counter(_output_type(layer) for layer in layers)
    return Inspection(layers, dict(counts.most_common()))


def _output_type(layer: dict[str, Any]) -> str:
    """`Format/Datatype` reads `Half`, `Int8`, or a sentence such as `Row major linear FP16 format`."""
    outputs = layer.get("Outputs") or [{}]
    words = str(outputs[0].get("Format/Datatype", "")).replace("(", " ").replace(")", " ").split()
    known = {"half", "float", "fp16", "fp32", "int8", "int32", "int64", "uint8", "bool", "fp8", "bf16"}
    return next((type_word(word) for word in words if word.lower() in known), "other")
