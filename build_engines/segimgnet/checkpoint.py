"""Checkpoints under the published key names: read with every tensor checked, written so that a crash leaves the old."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from build_engines.errors import CheckpointError
from build_engines.segimgnet.classifier import SegImgNet
from build_engines.segimgnet.size import SIZES, NetworkSize
from build_engines.segimgnet.state_file import read_state
from build_engines.segimgnet.unet import UNet
from device.outputs import PUBLIC, writing

SEGMENTATION_PREFIX = "seg_Net."
LISTED = 10
"""How many unfit tensors a message names before it only counts them."""

Network = TypeVar("Network", SegImgNet, UNet)


def load_checkpoint(path: Path) -> SegImgNet:
    """The whole network from a file of `torch.save(model.state_dict())`, in evaluation mode, float32, on the CPU.

    Size and class count are read off the tensors. All keys may share a prefix (`module.` of DataParallel, `_orig_mod.`,
    `model.`, ...) and the dict may lie inside another (`state_file.WRAPPERS`). Raises CheckpointError for a file that
    is damaged or cannot be read without running code from it, and for missing, extra, misshapen or non-finite tensors.
    """
    return from_published(read_state(path), where=str(path))


def save_checkpoint(network: SegImgNet | UNet, path: Path) -> None:
    """Write the network under the published key names: beside the target, then renamed over it."""
    try:
        with writing(path, PUBLIC) as file:
            torch.save(to_published(network), file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk or a missing folder as RuntimeError
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {error}; name a place with room") from error


def to_published(network: SegImgNet | UNet) -> dict[str, Tensor]:
    """The network's state under the published key names (868 tensors for `base`); tensors share its memory."""
    names = _key_names(network)
    return {names[ours]: tensor.detach() for ours, tensor in network.state_dict().items()}


def from_published(state: Mapping[str, Tensor], where: str = "state_dict") -> SegImgNet:
    """A network that takes over the tensors of a published-style state_dict (float32 ones are not copied)."""
    if not any(key.startswith(SEGMENTATION_PREFIX) for key in state) and "Conv_1x1.weight" in state:
        raise CheckpointError(f"{where}: holds a segmentation module alone, expected a whole SegImgNet with classifier")
    size, classes = _size_and_classes(state, where)
    if classes < 2:
        raise CheckpointError(
            f"{where}: linear2 has {classes} output (a sigmoid's), expected two or more for a softmax; put a row of "
            f"zeros before its weight and bias: the second class then has the sigmoid's probability"
        )
    with torch.device("meta"):
        network = SegImgNet(size, classes)
    return _fill(network, state, where)


def _size_and_classes(state: Mapping[str, Tensor], where: str) -> tuple[NetworkSize, int]:
    """The size that the tensors' shapes tell, under its own name where it has one."""
    depths = []
    for stage in range(4):
        pattern = re.compile(rf"convNeXt_raw_stage{stage}\.blocks\.(\d+)\.gamma")
        depths.append(sum(pattern.fullmatch(key) is not None for key in state))
    widths = _unet_widths(state, SEGMENTATION_PREFIX, where)
    stem, *others = _out_channels(
        state,
        [
            "convNeXt_raw_stem.0.weight",
            *(f"convNeXt_raw_stage{i}.downsample.1.weight" for i in (1, 2, 3)),
            "convNeXt_raw_linear1.weight",
            "linear2.weight",
        ],
        where,
    )
    dims = (stem, others[0], others[1], others[2])
    try:
        size = NetworkSize("custom", widths, dims, (depths[0], depths[1], depths[2], depths[3]), others[3])
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    return _named(size), others[4]


def _unet_widths(state: Mapping[str, Tensor], prefix: str, where: str) -> tuple[int, int, int, int, int]:
    a, b, c, d, e = _out_channels(state, [f"{prefix}Conv{level}.conv.0.weight" for level in range(1, 6)], where)
    return a, b, c, d, e


def _out_channels(state: Mapping[str, Tensor], keys: list[str], where: str) -> list[int]:
    missing = [key for key in keys if key not in state or state[key].ndim < 2 or state[key].shape[0] == 0]
    if missing:
        problems = [f"{key}: missing or no weight matrix" for key in missing]
        raise CheckpointError(_listing(where, "the network's size cannot be read off it", problems, len(keys)))
    return [state[key].shape[0] for key in keys]


def _named(size: NetworkSize) -> NetworkSize:
    return next((known for known in SIZES.values() if replace(size, name=known.name) == known), size)


def _fill(network: Network, state: Mapping[str, Tensor], where: str) -> Network:
    """Check every tensor against the network (built on the meta device) and put them in."""
    names = _key_names(network)
    expected = network.state_dict()
    problems = []
    for ours, published in names.items():
        want, got = expected[ours], state.get(published)
        if got is None:
            problems.append(f"{published}: missing, expected {_shape(want)}")
        elif got.shape != want.shape:
            problems.append(f"{published}: got {_shape(got)}, expected {_shape(want)}")
        elif got.is_floating_point() != want.is_floating_point() or got.is_complex():
            problems.append(f"{published}: got {got.dtype}, expected {want.dtype}")
    problems += [f"{key}: not a tensor of this network" for key in state.keys() - set(names.values())]
    if problems:
        raise CheckpointError(_listing(where, "does not fit SegImgNet", problems, len(names)))
    ready = {ours: state[key].detach().to(expected[ours].dtype).contiguous() for ours, key in names.items()}
    unusable = [f"{names[ours]}: {fault}" for ours, tensor in ready.items() if (fault := _fault(ours, tensor))]
    if unusable:
        raise CheckpointError(_listing(where, "cannot be used", unusable, len(names)))
    network.load_state_dict(ready, assign=True)
    return network.eval()


def _fault(name: str, tensor: Tensor) -> str | None:
    if not bool(torch.isfinite(tensor).all()):
        return "NaN or infinite values, expected finite ones"
    if name.endswith("running_var") and bool((tensor < 0).any()):
        return "negative variance, expected zero or more"
    return None


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def _listing(where: str, trouble: str, problems: list[str], total: int) -> str:
    shown = "\n  ".join(sorted(problems)[:LISTED])
    more = f"\n  and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    return f"{where}: {trouble}, {len(problems)} of {total} tensors are unfit or unknown:\n  {shown}{more}"


def _key_names(network: SegImgNet | UNet) -> dict[str, str]:
    """Published key of each key of our state_dict."""
    if isinstance(network, UNet):
        modules = dict(_segmentation_modules("", ""))
    else:
        modules = dict(_segmentation_modules("segmentation.", SEGMENTATION_PREFIX))
        modules.update(_classifier_modules(network.size))
    names = {}
    for ours in network.state_dict():
        module, leaf = ours.rsplit(".", 1)
        names[ours] = f"{modules[module]}.{'gamma' if leaf == 'layer_scale' else leaf}"
    return names


def _segmentation_modules(ours: str, published: str) -> Iterator[tuple[str, str]]:
    pair = {"conv1": 0, "norm1": 1, "conv2": 3, "norm2": 4}
    for level in range(5):
        for name, index in pair.items():
            yield f"{ours}encoder.{level}.{name}", f"{published}Conv{level + 1}.conv.{index}"
    for step in range(4):
        yield f"{ours}up.{step}.conv", f"{published}Up{5 - step}.up.1"
        yield f"{ours}up.{step}.norm", f"{published}Up{5 - step}.up.2"
        for name, index in pair.items():
            yield f"{ours}decoder.{step}.{name}", f"{published}Up_conv{5 - step}.conv.{index}"
    yield f"{ours}output", f"{published}Conv_1x1"


def _classifier_modules(size: NetworkSize) -> Iterator[tuple[str, str]]:
    for gate in range(4):
        yield f"classifier.gates.convs.{gate}", f"Unet_stage_{gate}_feature_transform"
    yield from _branch_modules("classifier.raw", "convNeXt_raw", size)
    yield from _branch_modules("classifier.guided", "convNeXt_seg", size)
    yield "classifier.fuse", "linear1"
    yield "classifier.hidden1", "mlp_layers.0"
    yield "classifier.hidden2", "mlp_layers.3"
    yield "classifier.output", "linear2"


def _branch_modules(ours: str, published: str, size: NetworkSize) -> Iterator[tuple[str, str]]:
    block = {"depthwise": "conv_dw", "norm": "norm", "expand": "mlp.fc1", "project": "mlp.fc2"}
    for index in (0, 1):
        yield f"{ours}.stem.{index}", f"{published}_stem.{index}"
    for stage, depth in enumerate(size.convnext_depths):
        for index in (0, 1):
            yield f"{ours}.stages.{stage}.downsample.{index}", f"{published}_stage{stage}.downsample.{index}"
        for n in range(depth):
            there = f"{published}_stage{stage}.blocks.{n}"
            yield f"{ours}.stages.{stage}.blocks.{n}", there  # of its own it holds the layer scale
            for name, theirs in block.items():
                yield f"{ours}.stages.{stage}.blocks.{n}.{name}", f"{there}.{theirs}"
    yield f"{ours}.head_norm", f"{published}_head.norm"
    yield f"{ours}.head_fc", f"{published}_head.fc"
    for name in ("linear1", "linear2"):
        yield f"{ours}.{name}", f"{published}_{name}"
