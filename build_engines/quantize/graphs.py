"""FP16 and INT8 graphs beside the fp32 graphs of a folder, and what is to be said of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import onnx

from build_engines.errors import QuantizationError
from build_engines.quantize.calibrate import METHODS, Method, quantize
from build_engines.quantize.finish import save
from build_engines.quantize.half import half_between, require_half, to_half
from build_engines.quantize.inputs import Runner, TrueInputs
from build_engines.quantize.layers import Layer, kept_by_reason, layers_of, require_names
from build_engines.quantize.qdq import inspect, lift_weight_scales, require, strip
from build_engines.quantize.sensitivity import Judge, block_effects, spare_worst
from runtime.arrays import UInt8Array
from runtime.manifest import NETWORKS, QuantizedNetwork, graph_name

FEWEST_FRAMES = 8
"""For INT8: fewer tell nothing of the ranges."""
SAMPLE_FRAMES = 4
"""Whose values decide what FP16 can hold."""
JUDGED_FRAMES = 16
"""On which methods and blocks are compared."""
SENSITIVE = "sensitive"
Report = Callable[[str], None]


@dataclass(frozen=True)
class QuantizeSettings:
    """What graphs to add, and how."""

    precisions: tuple[str, ...]
    """Of `fp16` and `int8`."""
    method: Method | None = None
    """How ranges are found; None tries both on each network and takes the one nearer to fp32."""
    frames: int = 64
    """Of the calibration set, at most: its first ones are its most different."""
    max_drop: float | None = None
    """Blocks are kept in half precision, the worst first, until each network's drop is within this."""


@dataclass(frozen=True)
class Quantized:
    """What was added."""

    networks: dict[str, QuantizedNetwork] = field(default_factory=dict)
    """By network; empty without `int8`."""


def add_graphs(
    folder: Path, settings: QuantizeSettings, frames: UInt8Array, report: Report = lambda line: None
) -> Quantized:
    """Write the graphs beside `segmentation.fp32.onnx` and `classifier.fp32.onnx`.

    frames: RGB, uint8 [N, 256, 256, 3], in the order of the calibration set. Raises `QuantizationError`.
    """
    frames = frames[: settings.frames]
    if "int8" in settings.precisions:
        require_frames(len(frames))
    graphs = {network: folder / graph_name(network, "fp32") for network in NETWORKS}
    segmentation = Runner(graphs["segmentation"])
    found: dict[str, QuantizedNetwork] = {}
    for network in reversed(NETWORKS):  # the larger one while memory is whole
        graph = graphs[network]
        original = onnx.load(graph)
        require_names(original, graph.name)
        layers = layers_of(original)
        del original.graph.initializer[:]  # what is left says what goes in and out; weights may take a gigabyte
        inputs = TrueInputs(frames, segmentation if network == "classifier" else None)
        if "fp16" in settings.precisions:
            report(f"{network}: fp16")
            model = to_half(graph, islice(inputs, SAMPLE_FRAMES))
            require_half(model, graph_name(network, "fp16"))
            save(model, original, folder / graph_name(network, "fp16"))
        if "int8" in settings.precisions:
            judge = Judge(network, segmentation, graphs["classifier"], frames[:JUDGED_FRAMES])
            model, found[network] = int8_graph(graph, layers, inputs, settings, judge, report)
            save(model, original, folder / graph_name(network, "int8"))
            del model
        gc.collect()
    return Quantized({network: found[network] for network in NETWORKS if network in found})


def require_frames(count: int) -> None:
    """Raise `QuantizationError` when so many frames are too few for INT8."""
    if count < FEWEST_FRAMES:
        raise QuantizationError(
            f"calibration: got {count} frames, needed {FEWEST_FRAMES} or more for int8; make a larger set: "
            f"python -m calibration create"
        )


def int8_graph(
    graph: Path, layers: tuple[Layer, ...], inputs: TrueInputs, settings: QuantizeSettings, judge: Judge, report: Report
) -> tuple[onnx.ModelProto, QuantizedNetwork]:
    """The INT8 graph of a network, and what was quantized in it.

    graph: the fp32 graph's file, and its layers. inputs: of the calibration. judge: tells how far it strays.
    """
    network = graph.name.split(".")[0]
    wanted = [layer.name for layer in layers if not layer.kept]
    kept = kept_by_reason(layers)
    model, method = calibrated(graph, layers, inputs, settings.method, judge, report)
    if settings.max_drop is not None:
        say: Report = lambda line: report(f"{network}: {line}")  # noqa: E731
        spared: Iterable[str] = ()
        if judge(strip(model, wanted)).drop > settings.max_drop:
            effects = block_effects(model, layers, judge, say)
            spared = spare_worst(model, wanted, effects, judge, settings.max_drop, say)
        wanted = [name for name in wanted if name not in set(spared)]
        if spared:
            kept[SENSITIVE] = tuple(spared)
    name = graph_name(network, "int8")
    model = strip(model, wanted)
    gc.collect()
    lifted = lift_weight_scales(model)
    if lifted:
        report(f"{network}: {lifted} channels have decayed to nearly nothing: their scales raised to what f16 holds")
    model = half_between(model)
    require(model, wanted, name)
    require_half(model, name)
    report(f"{network}: int8 in {len(wanted)} of {len(layers)} layers, ranges by {method}")
    return model, QuantizedNetwork(method=method, frames=len(inputs), layers=len(wanted), kept=kept)


def calibrated(
    graph: Path, layers: tuple[Layer, ...], inputs: TrueInputs, method: Method | None, judge: Judge, report: Report
) -> tuple[onnx.ModelProto, Method]:
    """The graph with Q/DQ before every layer not kept, by the method asked for or by the better of both."""
    best: tuple[float, onnx.ModelProto, Method] | None = None
    for tried in (method,) if method else METHODS:
        report(f"{graph.name}: int8, finding ranges by {tried} over {len(inputs)} frames")
        model = quantize(graph, layers, inputs, tried)
        inspect(model, f"{graph.name} by {tried}")
        drop = judge(model).drop if method is None else 0.0
        if method is None:
            report(f"{graph.name}: ranges by {tried}: drop {drop:.4f}")
        if best is None or drop < best[0]:
            best = (drop, model, tried)
    assert best is not None  # METHODS is not empty
    return best[1], best[2]
