"""What the networks really get: frames for the segmentation, its true outputs for the classifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from build_engines.errors import BuildError
from runtime.arrays import FloatArray, UInt8Array

Inputs = dict[str, Any]
"""Arrays by the name of a graph's input, batch of one."""


class Runner:
    """A graph compiled for this CPU as the runtime does it, in f32 beside whatever the graph itself quantizes."""

    def __init__(self, graph: Path | bytes) -> None:
        from runtime.engines.load_openvino import open_core
        from runtime.engines.openvino.unsigned import unsigned_after_relu

        core = open_core()
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        try:
            model = core.read_model(graph)
            unsigned_after_relu(model)
            self.compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1][:160]
            raise BuildError(f"OpenVINO cannot run a graph that was built ({reason}); report it") from error
        self._names = [port.get_any_name() for port in self.compiled.inputs]

    def __call__(self, inputs: Inputs) -> dict[str, FloatArray]:
        """Outputs by name, copies; inputs that the graph does not take are passed over."""
        found = self.compiled({name: inputs[name] for name in self._names})
        return {port.get_any_name(): np.array(found[port]) for port in self.compiled.outputs}


class TrueInputs:
    """Inputs of a network for each of the frames, made one by one so that memory does not grow with their number.

    frames: RGB, uint8 [N, 256, 256, 3]. segmentation: the fp32 graph whose outputs the classifier gets; None for the
    segmentation's own inputs.
    """

    def __init__(self, frames: UInt8Array, segmentation: Runner | None) -> None:
        self._frames = frames
        self._segmentation = segmentation

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Inputs]:
        for frame in self._frames:
            image = frame[np.newaxis]
            yield {"image": image, **(self._segmentation({"image": image}) if self._segmentation else {})}
