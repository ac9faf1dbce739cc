"""Graphs of a small network, and smaller ones of the toy networks, once with Q/DQ, and frames for both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from build_engines.export import ExportedGraphs, export_graphs
from build_engines.quantize.calibrate import quantize
from build_engines.quantize.inputs import Runner, TrueInputs
from build_engines.quantize.layers import layers_of
from build_engines.segimgnet import NetworkSize, SegImgNet
from runtime.arrays import UInt8Array
from tests.build_engines.quantize.toy import write_toy

TINY = NetworkSize("tiny", (16, 16, 16, 16, 16), (16, 16, 16, 16), (1, 1, 1, 1), 16)


@dataclass(frozen=True)
class Made:
    """fp32 graphs of the toy networks, and both with Q/DQ before every layer that is not kept."""

    graphs: ExportedGraphs
    quantized: dict[str, onnx.ModelProto]


@pytest.fixture(scope="session")
def frames() -> UInt8Array:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(picture).resize((256, 256))) for picture in coarse])


@pytest.fixture(scope="session")
def tiny() -> SegImgNet:
    """As if trained: outputs differ from picture to picture."""
    torch.manual_seed(3)
    network = SegImgNet(TINY, 2, layer_scale=0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.05, 0.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=2 / module.in_features**0.5)
    nn.init.normal_(network.segmentation.output.weight, std=3.0)
    return network.eval()


@pytest.fixture(scope="session")
def exported(tiny: SegImgNet, tmp_path_factory: pytest.TempPathFactory) -> ExportedGraphs:
    """fp32 graphs of the small network."""
    return export_graphs(tiny, tmp_path_factory.mktemp("graphs"))


@pytest.fixture(scope="session")
def made(frames: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Made:
    graphs = write_toy(tmp_path_factory.mktemp("toy"))
    segmentation = Runner(graphs.segmentation)
    quantized = {}
    for path in (graphs.segmentation, graphs.classifier):
        inputs = TrueInputs(frames[:4], segmentation if path == graphs.classifier else None)
        model = onnx.load(path)
        quantized[model.graph.name] = quantize(path, layers_of(model), inputs, "max")
    return Made(graphs, quantized)
