"""The time of each layer, by OpenVINO's own counters, with an engine compiled to keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.arrays import UInt8Array
from runtime.engines.base import LayerTime
from runtime.engines.load_openvino import open_core
from runtime.engines.openvino.engine import OpenVINOEngine

if TYPE_CHECKING:
    from runtime.bundle import Bundle


def layer_times(
    bundle: Bundle, precision: Mapping[str, str], threads: int | None, images: Sequence[UInt8Array]
) -> list[list[LayerTime]]:
    """Of each image the layers in the order in which they run. images: uint8 [1, 256, 256, 3] each.

    Counting slows the layers down by little; those that run side by side add up to more than the frame took. Raises
    `EngineError`.
    """
    core = open_core()
    core.set_property("CPU", {"PERF_COUNT": True})
    times = []
    engine = OpenVINOEngine(bundle, precision, threads, core=core)
    with engine:
        engine.infer(images[0])  # the first one still allocates
        for image in images:
            engine.infer(image)
            times.append([LayerTime(*facts) for facts in engine.layer_facts()])
    return times
