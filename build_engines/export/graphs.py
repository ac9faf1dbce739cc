"""Export of both networks to ONNX: uint8 pictures in, probabilities out, the same nodes for every batch."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset18
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from build_engines.errors import BuildError
from build_engines.export.tidy import tidy
from build_engines.segimgnet import INPUT_SIDE, SegImgNet, SGAClassifier, UNet
from build_engines.segimgnet.unet import ConvPair, UpStep
from runtime.manifest import graph_name

OPSET = 19
"""The oldest in which Q/DQ scales may be FP16, and without the Gelu operator: TensorRT 8.6 knows neither that nor
anything else that is newer, and the operators used here have not changed since 17 and 18, which it was made for."""

BATCH = "batch"
FEATURES = ("features_0", "features_1", "features_2", "features_3")


@dataclass(frozen=True)
class ExportedGraphs:
    """The two ONNX files of a network."""

    segmentation: Path
    """`image` to `vessels` and `features_0..3`."""
    classifier: Path
    """`image`, `vessels` and `features_0..3` to `probabilities` and `logits`."""


def export_graphs(network: SegImgNet, folder: Path, *, dynamic_batch: bool = False) -> ExportedGraphs:
    """Write `segmentation.fp32.onnx` and `classifier.fp32.onnx` into an existing folder.

    Both are traced with a free batch. Without `dynamic_batch` it is then set to 1, which is what a cart runs: a
    compiler needs no optimisation profile for it. With it the first dimension of every input and output is `batch`.
    Nodes, tensors and weights bear the names that the modules have in `network`, which is put in evaluation mode.
    Raises BuildError when a file cannot be written or the exported graph is not a valid one.
    """
    network = network.eval()
    segmentation = _SegmentationGraph(_fused(network.segmentation)).eval()
    classifier = _ClassifierGraph(network.classifier).eval()
    with torch.no_grad():
        image = torch.zeros((2, INPUT_SIDE, INPUT_SIDE, 3), dtype=torch.uint8)  # one would be taken for a constant
        outputs = segmentation(image)
    facts = {
        "network": "SegImgNet",
        "size": network.size.name,
        "classes": str(network.classes),
        "unet_widths": _joined(network.size.unet_widths),
        "convnext_depths": _joined(network.size.convnext_depths),
        "head_width": str(network.size.head_width),
        "exporter": f"torch {torch.__version__}",
    }
    batch = None if dynamic_batch else 1
    paths = ExportedGraphs(folder / graph_name("segmentation", "fp32"), folder / graph_name("classifier", "fp32"))
    model = _traced(segmentation, (image,), ("image",), ("vessels", *FEATURES))
    _write(tidy(model, "segmentation", facts, batch), paths.segmentation)
    inputs = ("image", "vessels", *FEATURES)
    model = _traced(classifier, (image, *outputs), inputs, ("probabilities", "logits"))
    _write(tidy(model, "classifier", facts, batch), paths.classifier)
    return paths


class _Input(nn.Module):
    """uint8 RGB [N, 256, 256, 3] to float RGB in [0, 1] [N, 3, 256, 256], as ToTensor makes it."""

    def forward(self, image: Tensor) -> Tensor:
        return image.permute(0, 3, 1, 2).to(torch.float32) / 255


class _SegmentationGraph(nn.Module):
    def __init__(self, segmentation: UNet) -> None:
        super().__init__()
        self.input = _Input()
        self.segmentation = segmentation

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        out = self.segmentation(self.input(image))
        return out.vessels, *out.features


class _ClassifierGraph(nn.Module):
    def __init__(self, classifier: SGAClassifier) -> None:
        super().__init__()
        self.input = _Input()
        self.classifier = classifier

    def forward(
        self, image: Tensor, vessels: Tensor, f0: Tensor, f1: Tensor, f2: Tensor, f3: Tensor
    ) -> tuple[Tensor, Tensor]:
        out = self.classifier(self.input(image), vessels, (f0, f1, f2, f3))
        return out.probabilities, out.logits


def _fused(segmentation: UNet) -> UNet:
    """A copy whose batch normalisations are folded into the convolutions before them.

    Every compiler does it anyway; done here, quantization sees the weights that will really run.
    """
    fused = copy.deepcopy(segmentation)
    for module in fused.modules():
        pairs: dict[str, str] = {}
        if isinstance(module, ConvPair):
            pairs = {"conv1": "norm1", "conv2": "norm2"}
        elif isinstance(module, UpStep):
            pairs = {"conv": "norm"}
        for conv, norm in pairs.items():
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
            setattr(module, norm, nn.Identity())
    return fused


def _mean(x: Any, dim: Sequence[int], keepdim: bool = False, dtype: int | None = None) -> Any:
    """aten::mean over the picture, as GlobalAveragePool.

    From opset 18 on ReduceMean takes its axes as an input. TensorRT before 10 ignores that input and averages over
    the wrong axes without a word (github.com/NVIDIA/TensorRT/issues/3467).
    """
    if list(dim) != [2, 3] or keepdim or dtype is not None:
        raise BuildError(f"export: mean over {list(dim)}, expected the last two of four dimensions; extend the export")
    return opset18.Flatten(opset18.GlobalAveragePool(x), axis=1)


def _traced(module: nn.Module, inputs: tuple[Tensor, ...], names: Sequence[str], outputs: Sequence[str]) -> ir.Model:
    """The module as an ONNX model with a free batch."""
    batch = torch.export.Dim(BATCH, min=1)
    same = torch.export.Dim.AUTO  # the exporter finds that it is the first input's batch; naming it again is warned of
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=tuple({0: same if i else batch} for i in range(len(inputs))),
            custom_translation_table={torch.ops.aten.mean.dim: _mean},
            verbose=False,
        )
    if program is None:
        raise BuildError("export: torch gave no ONNX program; expected one from the dynamo exporter; use torch 2.13")
    return program.model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's two standing remarks: torchvision is not installed, and its own use of LeafSpec."""
    remarks = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = remarks.level
    remarks.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            yield
    finally:
        remarks.setLevel(level)


def _write(model: ir.Model, path: Path) -> None:
    beside = path.with_name(path.name + ".partial")
    try:
        ir.save(model, beside)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BuildError(f"{path}: the graph cannot be written: {error.strerror}; name a place with room") from error


def _joined(values: Sequence[int]) -> str:
    return "-".join(str(value) for value in values)
