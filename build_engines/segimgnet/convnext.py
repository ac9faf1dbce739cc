"""The classifier's image encoder: ConvNeXt stages, with a gate between them where a branch has one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.segimgnet.size import NetworkSize

LAYER_NORM_EPS = 1e-6
"""As in the reference ConvNeXt, arXiv 2201.03545."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of an [N, C, H, W] tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself, in float32 also where autocast says bfloat16.

    Its backward pass on a CPU takes 2.5 times as long in bfloat16, channels last (oneDNN of torch 2.13, one thread).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 7, padding=3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class Block(nn.Module):
    """7x7 depthwise convolution, LayerNorm, Linear x4, exact GELU, Linear, layer scale, residual."""

    def __init__(self, channels: int, layer_scale: float) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels)
        self.norm = nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.layer_scale = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.project(functional.gelu(self.expand(y)))
        scaled: Tensor = (y * self.layer_scale).permute(0, 3, 1, 2)
        return x + scaled


class Stage(nn.Module):
    """An optional halving (LayerNorm, 2x2 stride-2 convolution) and a run of blocks."""

    def __init__(self, in_channels: int, channels: int, depth: int, layer_scale: float, halve: bool) -> None:
        super().__init__()
        self.downsample = (
            nn.Sequential(ChannelNorm(in_channels), nn.Conv2d(in_channels, channels, 2, stride=2))
            if halve
            else nn.Identity()
        )
        self.blocks = nn.Sequential(*(Block(channels, layer_scale) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.downsample(x))
        return out


class Branch(nn.Module):
    """One ConvNeXt encoder with its head: image [N, 3, 256, 256] to features [N, head_width].

    `gates`, when given, holds one [N, C_i, H_i, W_i] tensor a stage; each multiplies that stage's output.
    """

    def __init__(self, size: NetworkSize, layer_scale: float = 1e-6) -> None:
        super().__init__()
        dims, depths = size.convnext_dims, size.convnext_depths
        self.stem = nn.Sequential(nn.Conv2d(3, dims[0], 4, stride=4), ChannelNorm(dims[0]))
        self.stages = nn.ModuleList(
            Stage(dims[max(i - 1, 0)], dims[i], depths[i], layer_scale, halve=i > 0) for i in range(4)
        )
        self.head_norm = nn.LayerNorm(dims[3], eps=LAYER_NORM_EPS)
        self.head_fc = nn.Linear(dims[3], dims[3])
        self.linear1 = nn.Linear(dims[3], size.head_width)
        self.linear2 = nn.Linear(size.head_width, size.head_width)

    def stage_outputs(self, image: Tensor, gates: tuple[Tensor, ...] | None = None) -> list[Tensor]:
        """The (gated) output of each of the four stages, finest first."""
        outputs: list[Tensor] = []
        x = self.stem(image)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if gates is not None:
                x = x * gates[i]
            outputs.append(x)
        return outputs

    def head(self, x: Tensor) -> Tensor:
        """The last stage's output [N, C, H, W] to the branch's features [N, head_width]."""
        x = self.head_fc(self.head_norm(x.mean(dim=(2, 3))))
        x = functional.gelu(self.linear1(x))
        return functional.gelu(self.linear2(x))

    def forward(self, image: Tensor, gates: tuple[Tensor, ...] | None = None) -> Tensor:
        return self.head(self.stage_outputs(image, gates)[-1])
