from __future__ import annotations

import gzip
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from build_engines.errors import CheckpointError
from build_engines.segimgnet import NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import load_checkpoint, to_published
from build_engines.segimgnet.state_file import read_state

TINY = NetworkSize("tiny", (4, 8, 16, 32, 64), (8, 16, 32, 64), (1, 1, 1, 1), 16)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {key: value.clone() for key, value in to_published(SegImgNet(TINY, classes=3).eval()).items()}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "prefix",
    ["_orig_mod.", "model.", "net.", "ema.", "network.", "module._orig_mod.", "_orig_mod.module.", "model.backbone."],
)
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model_state_dict", "ema_state_dict"])
def test_what_stands_before_every_name_is_taken_away(
    state: dict[str, Tensor], tmp_path: Path, prefix: str, wrapper: str
) -> None:
    prefixed = OrderedDict((f"{prefix}{key}", value) for key, value in state.items())
    network = load_checkpoint(saved({wrapper: prefixed, "epoch": 3} if wrapper else prefixed, tmp_path / "x.pth"))
    assert torch.equal(network.classifier.output.weight, state["linear2.weight"])


def test_an_averaged_model_is_read_without_its_counter(state: dict[str, Tensor], tmp_path: Path) -> None:
    averaged = {"n_averaged": torch.tensor(12), **{f"module.{key}": value for key, value in state.items()}}
    network = load_checkpoint(saved(averaged, tmp_path / "swa.pth"))
    assert torch.equal(network.classifier.output.weight, state["linear2.weight"])


def test_two_networks_in_one_dict_are_not_chosen_between(state: dict[str, Tensor], tmp_path: Path) -> None:
    both = {f"{name}.{key}": value for name in ("model", "ema") for key, value in state.items()}
    with pytest.raises(CheckpointError, match=r"holds several networks, under 'ema\.', 'model\.'; save the one"):
        load_checkpoint(saved(both, tmp_path / "both.pth"))


def test_a_foreign_tensor_beside_the_prefix_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    content = {**{f"net.{key}": value for key, value in state.items()}, "optimizer.step": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"optimizer\.step: not a tensor of this network"):
        load_checkpoint(saved(content, tmp_path / "x.pth"))


def test_every_flipped_bit_of_a_weight_is_seen(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = saved(state, tmp_path / "x.pth")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: (info.header_offset, info.file_size) for info in archive.infolist()}
    rng = np.random.default_rng(0)
    names = [name for name, (_, size) in sizes.items() if size > 64]
    for name in rng.choice(names, 40):
        offset, size = sizes[name]
        # The data lie after the local header, whose own length says where.
        start = offset + 30 + sum(int.from_bytes(whole[offset + i : offset + i + 2], "little") for i in (26, 28))
        damaged = bytearray(whole)
        damaged[start + int(rng.integers(size))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_a_file_cut_short_is_refused(state: dict[str, Tensor], tmp_path: Path, share: float) -> None:
    path = saved(state, tmp_path / "x.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 907\n", "git lfs pull"),
        (b"\n <!DOCTYPE html><html><body>Sign in</body></html>", "a web page, not a checkpoint"),
        (b"<html><head>", "a web page, not a checkpoint"),
        (b'{"name": "demonstration"}', "JSON, not a checkpoint"),
        (gzip.compress(b"PK" * 100), "packed with gzip; unpack it first"),
        (b"BZh91AY&SY", "packed with bzip2"),
        (b"", "an empty file"),
    ],
    ids=["Git LFS", "page", "bare page", "JSON", "gzip", "bzip2", "empty"],
)
def test_what_is_no_checkpoint_is_told_apart(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "network.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(path)


def test_a_network_with_one_output_is_refused_with_what_to_do(state: dict[str, Tensor], tmp_path: Path) -> None:
    sigmoid = {**state, "linear2.weight": state["linear2.weight"][:1], "linear2.bias": state["linear2.bias"][:1]}
    with pytest.raises(CheckpointError, match="a sigmoid's"):
        load_checkpoint(saved(sigmoid, tmp_path / "x.pth"))
    # What the message advises gives the sigmoid's probability.
    z = torch.tensor([[0.7]])
    assert torch.allclose(torch.softmax(torch.cat((torch.zeros(1, 1), z), 1), 1)[:, 1:], torch.sigmoid(z))


@pytest.mark.parametrize(
    ("inside", "wrapped"),
    [
        ("seg_Net.", "seg_Net._orig_mod."),
        ("blocks.0.", "blocks.0._checkpoint_wrapped_module."),
        ("convNeXt_raw_stage1.", "_fsdp_wrapped_module.convNeXt_raw_stage1.module."),
    ],
)
def test_wrappers_of_parts_of_a_network_are_taken_away_wherever_they_stand(
    state: dict[str, Tensor], tmp_path: Path, inside: str, wrapped: str
) -> None:
    renamed = {key.replace(inside, wrapped): value for key, value in state.items()}
    assert renamed.keys() != state.keys()
    found = to_published(load_checkpoint(saved(renamed, tmp_path / "x.pth")))
    assert all(torch.equal(found[key], value) for key, value in state.items())
    twice = {**renamed, **state}
    with pytest.raises(CheckpointError, match="several networks"):
        load_checkpoint(saved(twice, tmp_path / "twice.pth"))


def test_two_networks_beside_one_another_are_not_chosen_between(state: dict[str, Tensor], tmp_path: Path) -> None:
    content = {"epoch": 3, "state_dict": state, "ema_state_dict": {key: value * 1 for key, value in state.items()}}
    with pytest.raises(CheckpointError, match="several networks, under 'state_dict', 'ema_state_dict'"):
        load_checkpoint(saved(content, tmp_path / "both.pth"))
    content["ema_state_dict"] = {"decay": 0.999}
    load_checkpoint(saved(content, tmp_path / "one.pth"))


def test_every_damaged_byte_of_an_archives_directory_is_seen(tmp_path: Path) -> None:
    """Of the end's records and of one entry; a folder's mark there once left a tensor to whatever lay in memory."""
    content = {name: torch.arange(9.0).reshape(3, 3) + number for number, name in enumerate(("first", "second"))}
    path = saved(content, tmp_path / "x.pth")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    for spot in range(start, len(whole)):
        for bit in {0x10, 1 << spot % 8}:
            damaged = bytearray(whole)
            damaged[spot] ^= bit
            path.write_bytes(damaged)
            try:
                found = read_state(path)
            except CheckpointError:
                continue
            assert all(torch.equal(found[key], value) for key, value in content.items()), f"byte {spot - start}"
