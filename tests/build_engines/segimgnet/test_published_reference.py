"""The published network written a second time, plainly, from its description: ours must give the same outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from build_engines.segimgnet import BASE
from build_engines.segimgnet.checkpoint import from_published, to_published

State = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """Widths and depths, written out here so that the package's own table is not its own judge."""

    unet: tuple[int, ...]
    depths: tuple[int, ...]
    head: int
    classes: int


PUBLISHED_BASE = Shape((64, 128, 256, 512, 1024), (3, 3, 27, 3), 512, 5)
UNEVEN = Shape((4, 8, 12, 16, 24), (1, 2, 3, 1), 10, 3)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def _random(self, *shape: int) -> Tensor:
        return torch.empty(shape).uniform_(-1, 1, generator=self.generator)

    def dense(self, key: str, out: int, *fan: int, gain: float = 1.0) -> None:
        self.state[f"{key}.weight"] = self._random(out, *fan) * (gain * math.sqrt(3 / math.prod(fan)))
        self.state[f"{key}.bias"] = self._random(out) * 0.1

    def norm(self, key: str, channels: int) -> None:
        self.state[f"{key}.weight"] = 1 + self._random(channels) * 0.3
        self.state[f"{key}.bias"] = self._random(channels) * 0.2

    def batch_norm(self, key: str, channels: int) -> None:
        self.norm(key, channels)
        self.state[f"{key}.running_mean"] = self._random(channels) * 0.2
        self.state[f"{key}.running_var"] = 1 + self._random(channels) * 0.5
        self.state[f"{key}.num_batches_tracked"] = torch.tensor(1234)

    def gamma(self, key: str, channels: int) -> None:
        self.state[key] = 0.3 + self._random(channels) * 0.2


def published_state(shape: Shape, seed: int = 0) -> State:
    """A state_dict with the published keys and random, well-scaled values."""
    make = _Maker(seed)
    _make_unet(make, shape.unet)
    dims = shape.unet[1:]
    for i, channels in enumerate(dims):
        make.dense(f"Unet_stage_{i}_feature_transform", channels, channels, 3, 3)
    for branch in ("raw", "seg"):
        _make_branch(make, f"convNeXt_{branch}_", dims, shape)
    make.dense("linear1", shape.head, 2 * shape.head, gain=1.5)
    make.dense("mlp_layers.0", shape.head, shape.head, gain=1.5)
    make.dense("mlp_layers.3", shape.head, shape.head, gain=1.5)
    make.dense("linear2", shape.classes, shape.head, gain=1.5)
    return make.state


def _make_unet(make: _Maker, widths: tuple[int, ...]) -> None:
    def pair(key: str, into: int, out: int) -> None:
        for conv, norm, fan in ((0, 1, into), (3, 4, out)):
            make.dense(f"seg_Net.{key}.conv.{conv}", out, fan, 3, 3, gain=1.2)
            make.batch_norm(f"seg_Net.{key}.conv.{norm}", out)

    for n, (into, out) in enumerate(zip((3, *widths), widths, strict=False), start=1):
        pair(f"Conv{n}", into, out)
    for n in (5, 4, 3, 2):
        make.dense(f"seg_Net.Up{n}.up.1", widths[n - 2], widths[n - 1], 3, 3, gain=1.2)
        make.batch_norm(f"seg_Net.Up{n}.up.2", widths[n - 2])
        pair(f"Up_conv{n}", 2 * widths[n - 2], widths[n - 2])
    make.dense("seg_Net.Conv_1x1", 2, widths[0], 1, 1)


def _make_branch(make: _Maker, key: str, dims: tuple[int, ...], shape: Shape) -> None:
    make.dense(f"{key}stem.0", dims[0], 3, 4, 4)
    make.norm(f"{key}stem.1", dims[0])
    for stage, (channels, depth) in enumerate(zip(dims, shape.depths, strict=True)):
        if stage > 0:
            make.norm(f"{key}stage{stage}.downsample.0", dims[stage - 1])
            make.dense(f"{key}stage{stage}.downsample.1", channels, dims[stage - 1], 2, 2)
        for n in range(depth):
            block = f"{key}stage{stage}.blocks.{n}."
            make.gamma(f"{block}gamma", channels)
            make.dense(f"{block}conv_dw", channels, 1, 7, 7)
            make.norm(f"{block}norm", channels)
            make.dense(f"{block}mlp.fc1", 4 * channels, channels)
            make.dense(f"{block}mlp.fc2", channels, 4 * channels)
    make.norm(f"{key}head.norm", dims[-1])
    make.dense(f"{key}head.fc", dims[-1], dims[-1])
    make.dense(f"{key}linear1", shape.head, dims[-1], gain=1.5)
    make.dense(f"{key}linear2", shape.head, shape.head, gain=1.5)


@dataclass(frozen=True)
class Outputs:
    vessels: Tensor
    probabilities: Tensor
    logits: Tensor
    embedding: Tensor


def published_forward(state: State, image: Tensor) -> Outputs:
    """What the published description gives for float RGB [N, 3, H, W], in inference."""
    vessel_map, encoder = unet_forward({k[8:]: v for k, v in state.items() if k.startswith("seg_Net.")}, image)
    raw = _branch(state, "convNeXt_raw_", image, None)
    guided = _branch(state, "convNeXt_seg_", image * vessel_map.repeat(1, 3, 1, 1), encoder)
    x = F.gelu(_linear(state, "linear1", torch.cat([raw, guided], 1)))
    for key in ("mlp_layers.0", "mlp_layers.3"):
        x = F.gelu(_linear(state, key, x))
    logits = _linear(state, "linear2", x)
    return Outputs(vessel_map, logits.softmax(-1), logits, x)


def unet_forward(state: State, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Vessel probability and the encoder's levels 2 to 5, from keys without `seg_Net.`."""

    def unit(x: Tensor, conv: str, norm: str) -> Tensor:
        x = F.conv2d(x, state[f"{conv}.weight"], state[f"{conv}.bias"], padding=1)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return (x * state[f"{norm}.weight"][:, None, None] + state[f"{norm}.bias"][:, None, None]).clamp_min(0)

    def pair(x: Tensor, key: str) -> Tensor:
        return unit(unit(x, f"{key}.conv.0", f"{key}.conv.1"), f"{key}.conv.3", f"{key}.conv.4")

    levels = [pair(image, "Conv1")]
    for n in (2, 3, 4, 5):
        levels.append(pair(F.max_pool2d(levels[-1], 2, 2), f"Conv{n}"))
    x = levels[4]
    for n in (5, 4, 3, 2):
        doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = pair(torch.cat([levels[n - 2], unit(doubled, f"Up{n}.up.1", f"Up{n}.up.2")], 1), f"Up_conv{n}")
    scores = F.conv2d(x, state["Conv_1x1.weight"], state["Conv_1x1.bias"])
    return scores.softmax(1)[:, 1].unsqueeze(1), levels[1:]


def _linear(state: State, key: str, x: Tensor) -> Tensor:
    return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]


def _layer_norm(state: State, key: str, x: Tensor, dim: int) -> Tensor:
    shape = [1] * x.ndim
    shape[dim] = -1
    x = x - x.mean(dim, keepdim=True)
    x = x / (x.square().mean(dim, keepdim=True) + 1e-6).sqrt()
    return x * state[f"{key}.weight"].view(shape) + state[f"{key}.bias"].view(shape)


def _branch(state: State, key: str, image: Tensor, encoder: list[Tensor] | None) -> Tensor:
    x = F.conv2d(image, state[f"{key}stem.0.weight"], state[f"{key}stem.0.bias"], stride=4)
    x = _layer_norm(state, f"{key}stem.1", x, 1)
    for stage in range(4):
        name = f"{key}stage{stage}"
        if stage > 0:
            x = _layer_norm(state, f"{name}.downsample.0", x, 1)
            down = f"{name}.downsample.1"
            x = F.conv2d(x, state[f"{down}.weight"], state[f"{down}.bias"], stride=2)
        n = 0
        while f"{name}.blocks.{n}.gamma" in state:
            x = x + _block(state, f"{name}.blocks.{n}.", x)
            n += 1
        if encoder is not None:
            gate = f"Unet_stage_{stage}_feature_transform"
            x = x * F.conv2d(encoder[stage], state[f"{gate}.weight"], state[f"{gate}.bias"], 2, 1).sigmoid()
    x = _layer_norm(state, f"{key}head.norm", x.flatten(2).mean(2), 1)
    x = F.gelu(_linear(state, f"{key}linear1", _linear(state, f"{key}head.fc", x)))
    return F.gelu(_linear(state, f"{key}linear2", x))


def _block(state: State, key: str, x: Tensor) -> Tensor:
    channels = x.shape[1]
    y = F.conv2d(x, state[f"{key}conv_dw.weight"], state[f"{key}conv_dw.bias"], padding=3, groups=channels)
    y = _layer_norm(state, f"{key}norm", y, 1).movedim(1, -1)
    y = _linear(state, f"{key}mlp.fc2", F.gelu(_linear(state, f"{key}mlp.fc1", y)))
    return (y * state[f"{key}gamma"]).movedim(-1, 1)


def _image(count: int, side: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The network is convolutional: a side below 256 takes the same weights in less time."""
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.fixture(scope="module")
def base_state() -> State:
    return published_state(PUBLISHED_BASE)


def test_base_has_the_published_tensors(base_state: State) -> None:
    network = from_published(base_state)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert len(base_state) == 868
    assert round(parameters / 1e6, 1) == 226.9
    assert network.size is BASE
    assert network.classes == 5
    assert to_published(network).keys() == base_state.keys()


@pytest.mark.slow
@torch.inference_mode()
def test_base_gives_the_published_outputs_to_1e_5(base_state: State) -> None:
    image = _image(1, 128)
    expected = published_forward(base_state, image)
    segmentation, classification = from_published(base_state)(image)
    assert expected.vessels.std() > 0.02, "the reference must not be trivial"
    torch.testing.assert_close(segmentation.vessels, expected.vessels, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(classification.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(classification.probabilities, expected.probabilities, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(classification.embedding, expected.embedding, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_uneven_widths_and_depths_agree_to_the_last_digits_in_double_precision() -> None:
    state = published_state(UNEVEN, seed=2)
    network = from_published(state).double()
    doubles = {key: value.double() if value.is_floating_point() else value for key, value in state.items()}
    image = _image(2, 64, torch.float64)
    expected = published_forward(doubles, image)
    segmentation, classification = network(image)
    assert (expected.logits[0] - expected.logits[1]).abs().max() > 1e-6, "the two images must differ in their logits"
    torch.testing.assert_close(segmentation.vessels, expected.vessels, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(classification.logits, expected.logits, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(classification.embedding, expected.embedding, atol=1e-12, rtol=1e-10)
