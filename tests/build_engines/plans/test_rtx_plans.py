"""Every graph of the shipped bundle and of a `base` one compiles: NVIDIA's real parser and builder, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from build_engines.export import export_graphs
from build_engines.plans.build import serialize
from build_engines.plans.graph import for_tensorrt
from build_engines.plans.parts import classifier_parts
from build_engines.segimgnet import BASE, SegImgNet
from runtime import open_bundle
from runtime.manifest import graph_name

ARCHITECTURE = "sm86"
SMALLEST, LARGEST = 0.9, 1.6
"""Plausible sizes of a plan, as shares of its graph's: the weights, and some code for each kernel."""
SHIPPED = [entry.path for entry in open_bundle().manifest.files if entry.path.endswith(".onnx")]
CODE_BYTES = 16e6
"""Kernels take as much in a plan whose weights are small; 13 MB were seen, in INT8."""
QUANTIZED_FRAMES = 8


def check(rtx: Any, name: str, graph: bytes) -> bytes:
    """Compile a graph; its plan's size must fit its weights."""
    network, precision, _ = name.split(".")
    made = serialize(rtx, graph, precision, title=network, architecture=ARCHITECTURE)
    assert made.strongly_typed
    assert SMALLEST * len(graph) <= len(made.content) <= LARGEST * len(graph) + CODE_BYTES
    assert {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}[precision] in made.network_layers
    if precision == "int8":
        # What TensorRT 8.6 gets of it: no parser of 8.6 can be had here, but it is a sound graph in fp32 with Q and DQ.
        plain = serialize(rtx, for_tensorrt(graph, typed=False), precision, title=network, architecture=ARCHITECTURE)
        assert not {"fp16"} & plain.network_layers.keys()
        assert plain.network_layers["int8"] > 0
    return made.content


@pytest.mark.parametrize("name", SHIPPED)
def test_every_graph_of_the_shipped_bundle_compiles(rtx: Any, name: str) -> None:
    check(rtx, name, open_bundle().read(name))


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("classifier")])
def test_the_shipped_classifier_compiles_in_two_parts(rtx: Any, name: str) -> None:
    graph = open_bundle().read(name)
    plans = {
        part: serialize(rtx, content, name.split(".")[1], title=part, architecture=ARCHITECTURE)
        for part, content in classifier_parts(graph).items()
    }
    total = sum(len(plan.content) for plan in plans.values())
    assert SMALLEST * len(graph) <= total <= LARGEST * len(graph) + CODE_BYTES


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The published size in fp32, random weights."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    export_graphs(SegImgNet(BASE, classes=2, layer_scale=0.5), folder)
    yield folder
    for path in folder.glob("*.onnx"):  # 900 MB
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["segmentation", "classifier"])
def test_the_published_size_compiles_in_fp32(rtx: Any, base_folder: Path, network: str) -> None:
    name = graph_name(network, "fp32")
    check(rtx, name, (base_folder / name).read_bytes())


@pytest.mark.soak
def test_the_published_size_compiles_in_fp16_and_int8(rtx: Any, base_folder: Path) -> None:
    from build_engines.quantize.graphs import Settings, add_graphs

    frames = np.random.default_rng(0).integers(0, 256, (QUANTIZED_FRAMES, 256, 256, 3), dtype=np.uint8)
    add_graphs(base_folder, Settings(("fp16", "int8"), method="max", frames=QUANTIZED_FRAMES), frames)
    sizes = {}
    for network in ("segmentation", "classifier"):
        for precision in ("fp16", "int8"):
            name = graph_name(network, precision)
            sizes[name] = len(check(rtx, name, (base_folder / name).read_bytes()))
    assert sizes["segmentation.int8.onnx"] < sizes["segmentation.fp16.onnx"]
