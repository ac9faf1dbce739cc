from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from build_engines.errors import CheckpointError
from build_engines.export import export_graphs
from build_engines.from_graphs import network_from_graphs
from build_engines.segimgnet import NetworkSize, SegImgNet
from runtime import BundleError, open_bundle
from tests.runtime.conftest import manifest_content

TINY = NetworkSize("tiny", (4, 8, 8, 16, 16), (8, 8, 16, 16), (1, 2, 1, 1), 16)


@pytest.fixture(scope="module")
def network() -> SegImgNet:
    torch.manual_seed(3)
    network = SegImgNet(TINY, 3, layer_scale=0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training, so that folding them changes the weights
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(scope="module")
def graphs(network: SegImgNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    export_graphs(network, folder)
    return folder


def bundle_of(graphs: Path, folder: Path, change: Callable[[onnx.ModelProto], None] = lambda model: None) -> Path:
    """A bundle of the graphs, each changed before it is written."""
    files = {}
    for path in sorted(graphs.glob("*.onnx")):
        model = onnx.load(path)
        change(model)
        files[path.name] = model.SerializeToString()
        (folder / path.name).write_bytes(files[path.name])
    (folder / "manifest.json").write_text(json.dumps(manifest_content(files)))
    return folder


def test_the_network_gives_what_the_one_before_the_export_gave(
    network: SegImgNet, graphs: Path, tmp_path: Path
) -> None:
    rebuilt = network_from_graphs(open_bundle(bundle_of(graphs, tmp_path)))
    assert not rebuilt.training
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (ours, ours_class), (theirs, theirs_class) = rebuilt(image), network(image)
    torch.testing.assert_close(ours.vessels, theirs.vessels, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours_class.logits, theirs_class.logits, atol=1e-5, rtol=0)


def test_a_frame_costs_what_it_costs_with_the_checkpoint(network: SegImgNet, graphs: Path, tmp_path: Path) -> None:
    """Each layer of the checkpoint's network is there, the normalisations too."""
    rebuilt = network_from_graphs(open_bundle(bundle_of(graphs, tmp_path)))
    assert [type(module) for module in rebuilt.modules()] == [type(module) for module in network.modules()]
    state, before = rebuilt.state_dict(), network.state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {n: t.shape for n, t in before.items()}
    assert {tensor.device.type for tensor in state.values()} == {"cpu"}


def _nameless(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _weightless(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.name = node.name.replace("gates", "doors")


def test_graphs_of_another_exporter_are_refused(graphs: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="do not say which SegImgNet they are"):
        network_from_graphs(open_bundle(bundle_of(graphs, tmp_path, _nameless)))
    with pytest.raises(CheckpointError, match=r"classifier\.gates\.convs\.0 has \[\] in the fp32 graphs, expected"):
        network_from_graphs(open_bundle(bundle_of(graphs, tmp_path, _weightless)))


def test_a_bundle_without_fp32_graphs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(manifest_content({})))
    with pytest.raises(BundleError, match=r"segmentation\.fp32\.onnx is not in its manifest"):
        network_from_graphs(open_bundle(tmp_path))
