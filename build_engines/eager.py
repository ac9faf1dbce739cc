"""The networks as they were trained, as an engine: PyTorch, to compare with."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from build_engines.segimgnet.classifier import SegImgNet
from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines.base import Engine, Inference
from runtime.reading import EngineFacts


class EagerEngine(Engine):
    """The networks as they were trained: PyTorch, eager or compiled, float32, on the CPU, in inference mode."""

    encodes = True

    def __init__(self, network: SegImgNet, *, compiled: bool = False) -> None:
        """compiled: by `torch.compile`, which needs a C++ compiler and takes minutes in the first frame."""
        network.eval()
        self._segmentation: Any = torch.compile(network.segmentation) if compiled else network.segmentation
        self._classifier: Any = torch.compile(network.classifier) if compiled else network.classifier
        self.class_count = network.classes
        how = "compiled" if compiled else "eager"
        self.facts = EngineFacts(
            f"pytorch {torch.__version__} {how}", "fp32", f"CPU, {torch.get_num_threads()} threads"
        )

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        with torch.inference_mode():
            start = time.perf_counter()
            pixels = torch.from_numpy(np.array(image)).permute(0, 3, 1, 2).float().div(255)
            segmentation = self._segmentation(pixels)
            middle = time.perf_counter()
            found = self._classifier(pixels, segmentation.vessels, segmentation.features)
            end = time.perf_counter()
        return Inference(
            segmentation.vessels[0, 0].numpy(),
            found.probabilities[0].numpy(),
            found.logits[0].numpy(),
            (middle - start) * 1e3,
            (end - middle) * 1e3,
            np.concatenate([maps[0].mean(dim=(1, 2)).numpy() for maps in segmentation.features[2:]]),
        )

    def close(self) -> None:
        """Nothing is held open."""
