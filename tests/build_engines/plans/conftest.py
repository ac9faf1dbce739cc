"""Fixtures of the plan builder's tests: graphs of a small network, a bundle of them, and TensorRT-RTX itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from build_engines.bundle import build_bundle
from build_engines.description import plain_description
from build_engines.segimgnet import NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import save_checkpoint
from runtime import Bundle, open_bundle

TINY = NetworkSize("tiny", (4, 8, 8, 8, 8), (8, 8, 8, 8), (1, 1, 1, 1), 8)


@pytest.fixture(scope="session")
def rtx() -> Any:
    """The module `tensorrt_rtx`: NVIDIA's own parser and builder, which need no GPU."""
    return pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (pip install tensorrt-rtx-cu13)")


@pytest.fixture(scope="session")
def tiny_network() -> SegImgNet:
    torch.manual_seed(0)
    network = SegImgNet(TINY, classes=2, layer_scale=0.5).eval()
    with torch.no_grad():
        network.classifier.output.weight.mul_(8)  # so that the classes' probabilities are not all alike
    return network


@pytest.fixture(scope="session")
def _tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_network: SegImgNet) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_checkpoint(tiny_network, folder / "tiny.pth")
    images = [np.zeros((256, 256, 3), np.uint8)]
    build_bundle(tiny_network, plain_description("tiny", 2), folder / "bundle", images)
    return folder


@pytest.fixture
def tiny_checkpoint(_tiny_folder: Path) -> Path:
    return _tiny_folder / "tiny.pth"


@pytest.fixture
def tiny_bundle(tmp_path: Path, _tiny_folder: Path) -> Bundle:
    """A bundle of one's own, which may be spoiled."""
    return open_bundle(shutil.copytree(_tiny_folder / "bundle", tmp_path / "bundle"))


@pytest.fixture
def run_graph() -> Callable[..., dict[str, Any]]:
    """Run an ONNX graph's bytes on the CPU in f32: inputs by name to outputs by name."""
    import openvino

    core = openvino.Core()

    def run(graph: bytes, inputs: dict[str, Any]) -> dict[str, Any]:
        compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compiled({port.get_any_name(): inputs[port.get_any_name()] for port in compiled.inputs})
        return {port.get_any_name(): np.array(found[port]) for port in compiled.outputs}

    return run
