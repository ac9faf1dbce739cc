"""The segmentation-guided classifier: a raw branch, a vessel branch gated by SGA, and the fused head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.segimgnet.convnext import Branch
from build_engines.segimgnet.size import NetworkSize
from build_engines.segimgnet.unet import Segmentation, UNet


class Classification(NamedTuple):
    """What the classifier gives for a batch of N images."""

    probabilities: Tensor
    """Softmax over the classes, float [N, C]."""
    logits: Tensor
    """Scores before the softmax, float [N, C]."""
    embedding: Tensor
    """The last hidden layer, float [N, head_width]."""


class SGAGates(nn.Module):
    """Segmentation-guided attention: sigmoid(3x3 stride-2 convolution) of each encoder feature map."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, c, 3, stride=2, padding=1) for c in size.convnext_dims)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.sigmoid(conv(f)) for conv, f in zip(self.convs, features, strict=True))


class SGAClassifier(nn.Module):
    """Two ConvNeXt branches fused by an MLP.

    Input: float RGB in [0, 1] [N, 3, 256, 256] and the segmentation module's output for it.
    """

    def __init__(self, size: NetworkSize, classes: int, layer_scale: float = 1e-6) -> None:
        super().__init__()
        width = size.head_width
        self.raw = Branch(size, layer_scale)
        self.guided = Branch(size, layer_scale)
        self.gates = SGAGates(size)
        self.fuse = nn.Linear(2 * width, width)
        self.hidden1 = nn.Linear(width, width)
        self.hidden2 = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(width, classes)

    def forward(self, image: Tensor, vessels: Tensor, features: tuple[Tensor, ...]) -> Classification:
        raw = self.raw(image)
        guided = self.guided(image * vessels, self.gates(features))
        return self.fused(raw, guided)

    def fused(self, raw: Tensor, guided: Tensor) -> Classification:
        """The two branches' features, each [N, head_width], to the classification."""
        x = functional.gelu(self.fuse(torch.cat((raw, guided), dim=1)))
        x = self.dropout(functional.gelu(self.hidden1(x)))
        x = self.dropout(functional.gelu(self.hidden2(x)))
        logits = self.output(x)
        return Classification(torch.softmax(logits, dim=1), logits, x)


class SegImgNet(nn.Module):
    """Both networks: image to (segmentation, classification)."""

    def __init__(self, size: NetworkSize, classes: int = 2, layer_scale: float = 1e-6) -> None:
        super().__init__()
        self.size = size
        self.classes = classes
        self.segmentation = UNet(size)
        self.classifier = SGAClassifier(size, classes, layer_scale)

    def forward(self, image: Tensor) -> tuple[Segmentation, Classification]:
        segmentation = self.segmentation(image)
        return segmentation, self.classifier(image, segmentation.vessels, segmentation.features)
