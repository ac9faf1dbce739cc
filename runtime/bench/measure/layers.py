"""`--layers`: the time of each layer of both networks, by what the backend itself counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.bench.schema import LayerPart
from runtime.engines import layer_times
from runtime.preprocess import network_input

if TYPE_CHECKING:
    from device.frame import Frame
    from runtime.bundle import Bundle
    from runtime.engines.base import LayerTime


def measure_layers(
    bundle: Bundle, backend: str, precision: str, threads: int | None, frames: Sequence[Frame]
) -> tuple[LayerPart, ...]:
    """Each layer's median over the frames, the slowest first. Raises `EngineError` where the backend tells none."""
    images = [network_input(frame.pixels) for frame in frames]
    return medians(layer_times(bundle, backend, precision, threads, images))


def medians(runs: Sequence[Sequence[LayerTime]]) -> tuple[LayerPart, ...]:
    """Of each layer over runs, and its share in all of them together."""
    took: dict[tuple[str, str, str], list[float]] = {}
    for run in runs:
        for layer in run:
            took.setdefault((layer.network, layer.name, layer.kind), []).append(layer.ms)
    middle = {layer: float(np.median(values)) for layer, values in took.items()}
    whole = sum(middle.values()) or 1.0
    ordered = sorted(middle.items(), key=lambda item: -item[1])
    return tuple(
        LayerPart(network=network, name=name, kind=kind, median_ms=ms, share=ms / whole)
        for (network, name, kind), ms in ordered
    )
