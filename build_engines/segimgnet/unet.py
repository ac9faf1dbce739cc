"""The vessel segmentation module: a five-level U-Net that also hands out its encoder features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from build_engines.segimgnet.size import NetworkSize


class Segmentation(NamedTuple):
    """What the segmentation module gives for a batch of N images of H x W pixels."""

    vessels: Tensor
    """Vessel probability, float [N, 1, H, W]."""
    logits: Tensor
    """Background and vessel scores before the softmax, float [N, 2, H, W]."""
    features: tuple[Tensor, Tensor, Tensor, Tensor]
    """Encoder outputs of levels 2 to 5, float [N, width, H / 2^k, W / 2^k] for k = 1..4."""


class ConvPair(nn.Module):
    """Twice (3x3 convolution, batch normalisation, ReLU): one level of the U-Net."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(x)))


class UpStep(nn.Module):
    """Nearest-neighbour x2 upsampling, 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(self.upsample(x))))


class UNet(nn.Module):
    """U-Net with two output channels, background and vessel.

    Input: float RGB in [0, 1], [N, 3, H, W] with H and W multiples of 16. Output: `Segmentation`.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        widths = size.unet_widths
        self.encoder = nn.ModuleList(ConvPair(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        coarse_to_fine = list(zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True))
        self.up = nn.ModuleList(UpStep(coarse, fine) for coarse, fine in coarse_to_fine)
        self.decoder = nn.ModuleList(ConvPair(2 * fine, fine) for _, fine in coarse_to_fine)
        self.output = nn.Conv2d(widths[0], 2, 1)

    def forward(self, image: Tensor) -> Segmentation:
        levels = [self.encoder[0](image)]
        for level in self.encoder[1:]:
            levels.append(level(self.pool(levels[-1])))
        x = levels[-1]
        for up, decode, skip in zip(self.up, self.decoder, reversed(levels[:-1]), strict=True):
            x = decode(torch.cat((skip, up(x)), dim=1))
        logits = self.output(x)
        vessels = torch.softmax(logits, dim=1)[:, 1:2]
        return Segmentation(vessels, logits, (levels[1], levels[2], levels[3], levels[4]))
