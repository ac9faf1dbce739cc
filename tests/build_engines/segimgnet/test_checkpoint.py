from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from build_engines.errors import CheckpointError
from build_engines.segimgnet import EDGE, NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import (
    from_published,
    load_checkpoint,
    save_checkpoint,
    to_published,
)

TINY = NetworkSize("tiny", (4, 8, 16, 32, 64), (8, 16, 32, 64), (1, 1, 1, 1), 16)


@pytest.fixture(scope="module")
def network() -> SegImgNet:
    torch.manual_seed(0)
    return SegImgNet(TINY, classes=3).eval()


@pytest.fixture
def state(network: SegImgNet) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in to_published(network).items()}


def _saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_what_is_saved_is_loaded(network: SegImgNet, tmp_path: Path) -> None:
    save_checkpoint(network, tmp_path / "network.pth")
    loaded = load_checkpoint(tmp_path / "network.pth")
    assert loaded.size.unet_widths == TINY.unet_widths
    assert loaded.size.convnext_depths == TINY.convnext_depths
    assert (loaded.size.name, loaded.size.head_width, loaded.classes) == ("custom", 16, 3)
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_known_size_is_known_by_name(tmp_path: Path) -> None:
    edge = SegImgNet(EDGE)
    save_checkpoint(edge, tmp_path / "edge.pth")
    assert load_checkpoint(tmp_path / "edge.pth").size is EDGE


def test_the_loaded_network_can_be_trained_on(state: dict[str, Tensor]) -> None:
    network = from_published(state)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".pt"])
@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model", "parallel", "wrapped parallel"])
def test_wrapped_and_parallel_state_dicts_are_read(
    state: dict[str, Tensor], network: SegImgNet, tmp_path: Path, wrap: str, suffix: str
) -> None:
    prefixed = OrderedDict((f"module.{key}", value) for key, value in state.items())
    content = {
        "plain": state,
        "state_dict": {"epoch": 7, "state_dict": state},
        "model": {"model": state, "note": "x"},
        "parallel": prefixed,
        "wrapped parallel": {"state_dict": prefixed},
    }[wrap]
    loaded = load_checkpoint(_saved(content, tmp_path / f"network{suffix}"))
    assert torch.equal(loaded.classifier.output.weight, network.classifier.output.weight)


def test_half_precision_weights_become_float32(state: dict[str, Tensor], tmp_path: Path) -> None:
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    loaded = load_checkpoint(_saved(halves, tmp_path / "half.pth"))
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())


def test_missing_extra_and_misshapen_tensors_are_listed(state: dict[str, Tensor]) -> None:
    del state["linear1.bias"]
    state["optimizer.step"] = torch.zeros(1)
    state["convNeXt_seg_head.fc.weight"] = torch.zeros(64, 63)
    state["linear2.bias"] = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(CheckpointError) as caught:
        from_published(state, where="net.pkl")
    message = str(caught.value)
    assert message.startswith("net.pkl: does not fit SegImgNet, 4 of ")
    assert "linear1.bias: missing, expected [16]" in message
    assert "optimizer.step: not a tensor of this network" in message
    assert "convNeXt_seg_head.fc.weight: got [64, 63], expected [64, 64]" in message
    assert "linear2.bias: got torch.int64, expected torch.float32" in message


def test_at_most_ten_tensors_are_listed_and_the_rest_counted(state: dict[str, Tensor]) -> None:
    for n in range(33):
        state[f"extra{n:02}"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        from_published(state)
    assert str(caught.value).count("not a tensor of this network") == 10
    assert str(caught.value).endswith("and 23 more")


def test_a_gap_in_the_blocks_is_named(state: dict[str, Tensor]) -> None:
    renamed = {key.replace("raw_stage2.blocks.0", "raw_stage2.blocks.999999999"): t for key, t in state.items()}
    with pytest.raises(CheckpointError, match=r"convNeXt_raw_stage2\.blocks\.0\.gamma: missing"):
        from_published(renamed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(state: dict[str, Tensor], value: float) -> None:
    state["seg_Net.Conv3.conv.3.weight"][0, 0, 1, 1] = value
    with pytest.raises(CheckpointError, match=r"cannot be used.*\n.*seg_Net\.Conv3\.conv\.3\.weight: NaN or infinite"):
        from_published(state)


def test_a_negative_running_variance_is_refused(state: dict[str, Tensor]) -> None:
    state["seg_Net.Up3.up.2.running_var"][1] = -0.1
    with pytest.raises(CheckpointError, match=r"seg_Net\.Up3\.up\.2\.running_var: negative variance"):
        from_published(state)


def test_widths_that_do_not_belong_together_are_refused(state: dict[str, Tensor]) -> None:
    state["convNeXt_raw_stem.0.weight"] = torch.zeros(9, 3, 4, 4)
    with pytest.raises(CheckpointError, match=r"ConvNeXt dims must be \(8, 16, 32, 64\), got \(9, 16, 32, 64\)"):
        from_published(state)


def test_a_strange_state_dict_says_that_the_size_cannot_be_read(tmp_path: Path) -> None:
    path = _saved({"layer.weight": torch.zeros(3, 3)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"size cannot be read(.|\n)*seg_Net\.Conv1\.conv\.0\.weight"):
        load_checkpoint(path)


def test_a_segmentation_module_alone_is_told_apart(network: SegImgNet, tmp_path: Path) -> None:
    save_checkpoint(network.segmentation, tmp_path / "alone.pth")
    with pytest.raises(CheckpointError, match="a segmentation module alone, expected a whole SegImgNet"):
        load_checkpoint(tmp_path / "alone.pth")


class Trap:
    """Unpickling it makes a folder: the proof that code of the file would have run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    state: dict[str, Tensor], tmp_path: Path, zipped: bool
) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / "trap.pkl"
    torch.save({**state, "trap": Trap(sprung)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"mkdir.*save it again .*torch\.save\(model\.state_dict\(\), PATH\)"):
        load_checkpoint(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", pickle.dumps({"a": 1}), b"PK\x03\x04" + bytes(400)]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable checkpoint") as caught:
        load_checkpoint(path)
    assert "weights_only=False" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(network: SegImgNet, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "weights.pth"
    save_checkpoint(network, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointError, match="not a readable checkpoint, truncated"):
        load_checkpoint(path)


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ([1, 2], "a list"),
        ({}, "an empty dict"),
        ({"a": 1}, "'a' holds a int"),
        ({"a": torch.eye(3).to_sparse()}, "torch.sparse_coo"),
        ({"a": torch.empty(3, device="meta")}, "on meta"),
        ({1: torch.zeros(1)}, "1 holds"),
    ],
)
def test_what_is_no_state_dict_is_named(content: object, got: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=got):
        load_checkpoint(_saved(content, tmp_path / "content.pth"))


def test_a_failed_write_leaves_the_earlier_checkpoint(
    network: SegImgNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "network.pth"
    save_checkpoint(network, path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(network, path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]


def test_nothing_is_left_beside_a_checkpoint(network: SegImgNet, tmp_path: Path) -> None:
    save_checkpoint(network, tmp_path / "network.pth")
    save_checkpoint(network, tmp_path / "network.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(network, tmp_path / "absent" / "network.pth")
