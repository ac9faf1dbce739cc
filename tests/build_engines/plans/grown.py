"""A graph of the `edge` size as it is at the size `base`: four times the channels, and the missing blocks.

What ModelOpt put into the shipped graphs (casts, Q/DQ, kept layers) is in the grown ones at the same places: so the
published size in FP16 and INT8 costs seconds instead of a calibration's minutes. Weights are noise, since a builder
keeps equal ones only once; scales and zero-points are the shipped ones, repeated.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from build_engines.segimgnet import BASE, EDGE

WIDER = 4
NARROWEST = min(EDGE.unet_widths)
"""Sides of weights from here on are channels; the others are kernels, classes, and the colours of a picture."""
BRANCHES = ("raw", "guided")
NO_WEIGHT = re.compile(r"_(scale|zero_point)(_\d+)?$")


def grown(content: bytes) -> bytes:
    """A shipped graph of any precision, grown from `EDGE` to `BASE`."""
    model = onnx.load_model_from_string(content)
    graph = model.graph
    del graph.value_info[:]  # shapes that hold no more
    for branch in BRANCHES:
        for stage, (few, many) in enumerate(zip(EDGE.convnext_depths, BASE.convnext_depths, strict=True)):
            _deepen(graph, f"classifier.{branch}.stages.{stage}.blocks", few, many)
    noise = np.random.default_rng(0)
    for tensor in graph.initializer:
        array = _widened(numpy_helper.to_array(tensor))
        if array.size >= NARROWEST and not NO_WEIGHT.search(tensor.name):
            array = _noise(noise, array.shape, array.dtype)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "group" and attribute.i > 1:
                attribute.i *= WIDER
    for value in (*graph.input, *graph.output):
        if value.name.startswith("features_"):
            value.type.tensor_type.shape.dim[1].dim_value *= WIDER
    grown_content: bytes = model.SerializeToString()
    return grown_content


def _widened(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.int64:  # shapes
        return np.where(array >= NARROWEST, array * WIDER, array)
    return np.tile(array, [WIDER if side >= NARROWEST else 1 for side in array.shape])


def _noise(source: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if dtype == np.int8:
        return source.integers(-127, 128, shape, dtype=np.int8)
    return ((source.random(shape, dtype=np.float32) - np.float32(0.5)) * np.float32(0.05)).astype(dtype)


def _deepen(graph: onnx.GraphProto, blocks: str, few: int, many: int) -> None:
    """Put copies of the last of `few` blocks behind it, until there are `many`."""
    last = re.compile(rf"{re.escape(blocks)}\.{few - 1}(?=[./])")
    begin, end = f"{blocks}.{few - 2}/Add", f"{blocks}.{few - 1}/Add"
    places = [index for index, node in enumerate(graph.node) if last.match(node.name)]
    if not places:  # the segmentation has no such blocks
        return
    originals = [graph.node[index] for index in places]
    assert originals[-1].output[0] == end
    weights = [tensor for tensor in graph.initializer if last.match(tensor.name)]
    copies = []
    for index in range(few, many):
        renamed = f"{blocks}.{index}"
        for node in originals:
            copy = onnx.NodeProto.FromString(node.SerializeToString())
            copy.name = last.sub(renamed, node.name)
            for names in (copy.input, copy.output):
                for place, name in enumerate(names):
                    names[place] = f"{blocks}.{index - 1}/Add" if name == begin else last.sub(renamed, name)
            copies.append(copy)
        for tensor in weights:
            copied = TensorProto.FromString(tensor.SerializeToString())
            copied.name = last.sub(renamed, tensor.name)
            graph.initializer.append(copied)
    for node in graph.node:
        if not last.match(node.name):
            for place, name in enumerate(node.input):
                if name == end:
                    node.input[place] = f"{blocks}.{many - 1}/Add"
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    nodes[places[-1] + 1 : places[-1] + 1] = copies
    del graph.node[:]
    graph.node.extend(nodes)
