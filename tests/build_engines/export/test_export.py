from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from PIL import Image
from torch import nn

from build_engines.errors import BuildError, ParityError
from build_engines.export import PARITY_LIMIT, ExportedGraphs, check_parity, export_graphs
from build_engines.segimgnet import EDGE, NetworkSize, SegImgNet
from runtime.arrays import UInt8Array

TINY = NetworkSize("tiny", (4, 8, 16, 32, 64), (8, 16, 32, 64), (1, 1, 1, 1), 16)
SHAPES = {
    "image": [256, 256, 3],
    "vessels": [1, 256, 256],
    "features_0": [8, 128, 128],
    "features_1": [16, 64, 64],
    "features_2": [32, 32, 32],
    "features_3": [64, 16, 16],
    "probabilities": [3],
    "logits": [3],
}
FEATURES = ["features_0", "features_1", "features_2", "features_3"]


def _network(size: NetworkSize, classes: int, seed: int) -> SegImgNet:
    """As if trained: batch statistics, layer scale and output weights that leave their mark on the outputs."""
    torch.manual_seed(seed)
    network = SegImgNet(size, classes, layer_scale=0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.05, 0.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=2 / module.in_features**0.5)
    nn.init.normal_(network.segmentation.output.weight, std=3.0)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> SegImgNet:
    return _network(TINY, 3, seed=3)


@pytest.fixture(scope="module")
def images() -> list[UInt8Array]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(picture).resize((256, 256))) for picture in coarse]


@pytest.fixture(scope="module")
def single(network: SegImgNet, tmp_path_factory: pytest.TempPathFactory) -> ExportedGraphs:
    return export_graphs(network, tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def dynamic(network: SegImgNet, tmp_path_factory: pytest.TempPathFactory) -> ExportedGraphs:
    return export_graphs(network, tmp_path_factory.mktemp("dynamic"), dynamic_batch=True)


def _tensors(values: object) -> dict[str, tuple[int, list[int | str]]]:
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in values  # type: ignore[attr-defined]
    }


def _described(names: list[str], batch: int | str) -> dict[str, tuple[int, list[int | str]]]:
    return {
        name: (TensorProto.UINT8 if name == "image" else TensorProto.FLOAT, [batch, *SHAPES[name]]) for name in names
    }


def _models(graphs: ExportedGraphs) -> list[onnx.ModelProto]:
    return [onnx.load(graphs.segmentation), onnx.load(graphs.classifier)]


@pytest.mark.parametrize(("kind", "batch"), [("single", 1), ("dynamic", "batch")])
def test_inputs_and_outputs_are_the_contract(kind: str, batch: int | str, request: pytest.FixtureRequest) -> None:
    graphs: ExportedGraphs = request.getfixturevalue(kind)
    assert graphs.segmentation.name == "segmentation.fp32.onnx"
    assert graphs.classifier.name == "classifier.fp32.onnx"
    segmentation, classifier = _models(graphs)
    assert _tensors(segmentation.graph.input) == _described(["image"], batch)
    assert _tensors(segmentation.graph.output) == _described(["vessels", *FEATURES], batch)
    assert _tensors(classifier.graph.input) == _described(["image", "vessels", *FEATURES], batch)
    assert _tensors(classifier.graph.output) == _described(["probabilities", "logits"], batch)


def test_both_batches_have_the_same_nodes_and_weights(single: ExportedGraphs, dynamic: ExportedGraphs) -> None:
    for one, free in zip(_models(single), _models(dynamic), strict=True):
        assert list(one.graph.node) == list(free.graph.node)
        assert list(one.graph.initializer) == list(free.graph.initializer)


def test_every_node_is_named_after_its_module_and_once(single: ExportedGraphs, network: SegImgNet) -> None:
    modules = {"input", *dict(network.named_modules())}
    for model in _models(single):
        names = [node.name for node in model.graph.node]
        assert len(set(names)) == len(names)
        for node in model.graph.node:
            module, *_ = node.name.split("/")
            assert module in modules, node.name
            assert re.search(rf"/{node.op_type}(_\d+)?$", node.name), node.name
    segmentation = {node.name for node in _models(single)[0].graph.node}
    assert {"segmentation.encoder.0.conv1/Conv", "segmentation.up.3.upsample/Resize"} <= segmentation


def test_weights_bear_the_parameters_names_and_values(single: ExportedGraphs, network: SegImgNet) -> None:
    state = network.state_dict()
    for model in _models(single):
        for weight in model.graph.initializer:
            if weight.name.startswith("constant/"):
                continue
            parameter = state[weight.name.removesuffix(".T")].numpy()
            assert weight.data_type == TensorProto.FLOAT
            if not weight.name.startswith("segmentation."):  # there, batch normalisation is folded into them
                expected = parameter.T if weight.name.endswith(".T") else parameter
                np.testing.assert_array_equal(numpy_helper.to_array(weight), expected)


def test_only_operators_that_every_backend_knows(single: ExportedGraphs) -> None:
    segmentation, classifier = _models(single)
    plain = {"Transpose", "Cast", "Div", "Conv", "Concat", "Softmax"}
    assert {node.op_type for node in segmentation.graph.node} == plain | {"Relu", "MaxPool", "Resize", "Slice"}
    assert {node.op_type for node in classifier.graph.node} == plain | {
        *("Mul", "Add", "Erf", "MatMul", "Gemm", "LayerNormalization", "Sigmoid", "GlobalAveragePool", "Reshape")
    }
    for model in (segmentation, classifier):
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 19)]
        assert model.ir_version == 9


def test_every_tensor_has_a_float_type_and_a_full_shape(single: ExportedGraphs) -> None:
    for model in _models(single):
        known = {**_tensors(model.graph.value_info), **_tensors(model.graph.output)}
        for node in model.graph.node:
            for name in node.output:
                dtype, shape = known[name]
                assert dtype == (TensorProto.UINT8 if name == "input/Transpose" else TensorProto.FLOAT), name
                assert shape, name
                assert all(isinstance(side, int) and side > 0 for side in shape), name


def test_the_model_says_what_it_is_and_nothing_of_the_build_machine(single: ExportedGraphs) -> None:
    for kind, path in (("segmentation", single.segmentation), ("classifier", single.classifier)):
        model = onnx.load(path)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert model.producer_name == "build_engines"
        assert model.graph.name == kind
        assert (facts["kind"], facts["network"], facts["size"], facts["classes"]) == (kind, "SegImgNet", "tiny", "3")
        assert facts["unet_widths"] == "4-8-16-32-64"
        content = path.read_bytes()
        for trace in (b'File "', b"stack_trace", b"site-packages"):
            assert trace not in content


def test_graphs_equal_the_network(network: SegImgNet, single: ExportedGraphs, images: list[UInt8Array]) -> None:
    parity = check_parity(network, single, images)
    assert parity.images == 3
    assert 0 < parity.vessels <= PARITY_LIMIT
    assert 0 < parity.probabilities <= PARITY_LIMIT
    with torch.no_grad():
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
        segmentation, classification = network(batch)
    assert segmentation.vessels.std() > 0.01, "a flat vessel map would prove nothing"
    assert classification.probabilities.std(dim=0).max() > 1e-3, "equal answers to all images would prove nothing"


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_free_batch_gives_the_same(
    network: SegImgNet, dynamic: ExportedGraphs, images: list[UInt8Array], batch: int
) -> None:
    parity = check_parity(network, dynamic, images, batch=batch)
    assert parity.vessels <= PARITY_LIMIT
    assert parity.probabilities <= PARITY_LIMIT


def _changed(graphs: ExportedGraphs, folder: Path, kind: str, weight: str, value: float) -> ExportedGraphs:
    """A copy of the graphs with one element of one weight set."""
    paths = {"segmentation": graphs.segmentation, "classifier": graphs.classifier}
    model = onnx.load(paths[kind])
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == weight)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, weight))
    paths[kind] = folder / paths[kind].name
    onnx.save(model, paths[kind])
    return ExportedGraphs(paths["segmentation"], paths["classifier"])


@pytest.mark.parametrize(
    ("kind", "weight", "value", "named"),
    [
        ("segmentation", "segmentation.output.bias", 9.0, "vessels of the graph differ by"),
        ("classifier", "classifier.output.bias", 9.0, "probabilities of the graph differ by"),
        ("classifier", "classifier.output.bias", float("nan"), "probabilities of the graph differ by nan"),
    ],
)
def test_a_tampered_graph_is_refused(
    network: SegImgNet,
    single: ExportedGraphs,
    images: list[UInt8Array],
    tmp_path: Path,
    kind: str,
    weight: str,
    value: float,
    named: str,
) -> None:
    tampered = _changed(single, tmp_path, kind, weight, value)
    with pytest.raises(ParityError, match=rf"{named}.*expected at most 1e-04.*export them again"):
        check_parity(network, tampered, images[:1])


def test_a_network_that_gives_no_numbers_is_blamed_itself(single: ExportedGraphs, images: list[UInt8Array]) -> None:
    spoilt = _network(TINY, 3, seed=0)
    with torch.no_grad():
        spoilt.classifier.output.bias[0] = float("inf")
    with pytest.raises(ParityError, match="the network itself gives probabilities that are not finite"):
        check_parity(spoilt, single, images[:1])


def test_another_networks_graphs_are_refused(single: ExportedGraphs, images: list[UInt8Array]) -> None:
    with pytest.raises(ParityError, match="not this checkpoint's"):
        check_parity(_network(TINY, 3, seed=1), single, images)
    five = _network(TINY, 3, seed=3)
    five.classifier.output = nn.Linear(16, 5)
    with pytest.raises(ParityError, match=r"probabilities has shape \[1, 3\], the network gives \[1, 5\]"):
        check_parity(five, single, images)


def test_a_graph_that_cannot_be_run_is_refused(
    network: SegImgNet, single: ExportedGraphs, images: list[UInt8Array], tmp_path: Path
) -> None:
    cut = tmp_path / "classifier.fp32.onnx"
    cut.write_bytes(single.classifier.read_bytes()[:5000])
    for path in (cut, tmp_path / "absent.onnx"):
        with pytest.raises(ParityError, match=rf"{path.name}: OpenVINO cannot run the graph"):
            check_parity(network, ExportedGraphs(single.segmentation, path), images)


def test_a_batch_that_the_graph_does_not_take_is_refused(
    network: SegImgNet, single: ExportedGraphs, images: list[UInt8Array]
) -> None:
    with pytest.raises(ParityError, match=r"refused image \[2, 256, 256, 3\]"):
        check_parity(network, single, images, batch=2)


def test_unusable_images_are_refused(network: SegImgNet, single: ExportedGraphs) -> None:
    with pytest.raises(ParityError, match="no images"):
        check_parity(network, single, [])
    with pytest.raises(ParityError, match=r"image 0 is uint8 \[255, 256, 3\]"):
        check_parity(network, single, [np.zeros((255, 256, 3), np.uint8)])
    with pytest.raises(ParityError, match="image 0 is float32"):
        check_parity(network, single, [np.zeros((256, 256, 3), np.float32)])


def test_a_folder_that_is_not_there_is_named(network: SegImgNet, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"absent/segmentation\.fp32\.onnx: the graph cannot be written"):
        export_graphs(network, tmp_path / "absent")


@pytest.mark.data
@pytest.mark.slow
def test_edge_equals_the_network_on_infants_images(data_root: Path, tmp_path: Path) -> None:
    edge = _network(EDGE, 2, seed=3)
    paths = sorted((data_root / "hvdropdb_ridge" / "images").iterdir())[::20]
    pictures = [np.asarray(Image.open(path).convert("RGB").resize((256, 256))) for path in paths]
    parity = check_parity(edge, export_graphs(edge, tmp_path), pictures)
    assert parity.images == len(paths) >= 4
