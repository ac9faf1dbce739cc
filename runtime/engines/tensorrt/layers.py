"""The time of each layer, by TensorRT's own profiler, with the networks put into the stream by single calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.arrays import UInt8Array
from runtime.engines.base import LayerTime
from runtime.engines.tensorrt.engine import TensorRTEngine


def profiled(engine: TensorRTEngine, images: Sequence[UInt8Array]) -> list[list[LayerTime]]:
    """Of each image the layers in the order in which they run. Closes the engine, which is slower from then on.

    images: uint8 [1, 256, 256, 3] each. A profiler times what is put into a stream, not what a CUDA graph holds.
    Source: TensorRT's documentation of `IProfiler`. Raises `EngineError`.
    """
    with engine:
        taken: list[LayerTime] = []
        for network in engine.by_single_calls():
            network.profile(_noting(network.module, network.name, taken))
        times = []
        for number, image in enumerate((images[0], *images)):  # the first run with a profiler builds its lists
            taken.clear()
            engine.infer(image)
            if number:
                times.append(list(taken))
        return times


def _noting(trt: Any, network: str, taken: list[LayerTime]) -> Any:
    """An `IProfiler` that keeps what it is told."""

    class Noting(trt.IProfiler):  # type: ignore[misc]  # the library comes at run time
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            taken.append(LayerTime(network, layer_name, "", ms))

    return Noting()
