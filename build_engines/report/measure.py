"""Every precision of a bundle on the same frames, in turn: results against fp32 and the truth, and the time taken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from itertools import product
from typing import Any

import numpy as np

from build_engines.errors import BuildError
from build_engines.report.choose import choose
from build_engines.report.frames import NamedFrames, ReportFrame
from build_engines.report.schema import REPORT_SCHEMA, AdoptionLimits, MeasuredOn, ParityReport, Speed
from build_engines.report.tally import CombinationTally
from runtime.bench.measure.environment import environment
from runtime.bundle import Bundle
from runtime.cpu_class import cpu_class, cpu_flags, limit
from runtime.engines.load_openvino import load_openvino, open_core
from runtime.engines.openvino.graph import FEATURES as GRAPH_FEATURES
from runtime.engines.openvino.graph import compile_graph, half_precision
from runtime.manifest import Network, Precision

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
FEATURES_ARM = ("asimddp", "asimdhp", "bf16", "i8mm", "sve")
NETWORKS: tuple[Network, ...] = ("segmentation", "classifier")
WARM_UP = 3
"""Frames that are not timed."""
Pair = tuple[Precision, Precision]
"""Precision of the segmentation and of the classifier."""
Networks = dict[tuple[Network, Precision], "_Network"]


class _Network:
    """One network in one precision, and how long it took on each frame."""

    def __init__(self, core: Any, bundle: Bundle, network: str, precision: str, threads: int | None) -> None:
        self.features = "f32" if precision == "fp32" else half_precision(core)
        """Element type of the feature maps that it gives or takes."""
        compiled = compile_graph(core, bundle, network, precision, self.features, threads)
        self.int8_layers = compiled.int8_layers if precision == "int8" else 0
        self._request = compiled.request()
        self._names, self._outputs = compiled.inputs, compiled.outputs
        self.times_ms: list[float] = []

    def __call__(self, inputs: dict[str, Any], given: str = "f32") -> dict[str, Any]:
        """Outputs by name. given: element type of the feature maps among the inputs."""
        for name in self._names:
            taken = inputs[name]
            if name in GRAPH_FEATURES:
                taken = _in_type(taken, given, self.features)
            self._request.get_tensor(name).data[:] = taken
        start = time.perf_counter()
        self._request.infer()
        self.times_ms.append((time.perf_counter() - start) * 1e3)
        return {name: self._request.get_tensor(name).data.copy() for name in self._outputs}


def _in_type(values: Any, given: str, taken: str) -> Any:
    """Feature maps in another element type. OpenVINO shows bf16 to numpy as 16 bits that are called float16."""
    if given == taken:
        return values
    if "bf16" not in (given, taken):
        return values.astype({"f32": np.float32, "f16": np.float16}[taken])
    if given == "bf16":
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).view(np.float16)  # to the nearest, ties to even


def measure(
    bundle: Bundle, source: NamedFrames, threads: int | None = None, report: Callable[[int], None] = lambda frames: None
) -> ParityReport:
    """Run every combination of the bundle's precisions on every frame with OpenVINO. Raises `BuildError`.

    Precisions take turns on each frame, so that a busy machine burdens all of them alike.
    """
    core = open_core()
    precisions = {network: bundle.precisions(network) for network in NETWORKS}
    if not all("fp32" in held for held in precisions.values()):
        raise BuildError(f"report: bundle {bundle.path} holds no fp32 graphs to compare with; build it again")
    networks = {
        (network, precision): _Network(core, bundle, network, precision, threads)
        for network in NETWORKS
        for precision in precisions[network]
    }
    pairs = list(product(precisions["segmentation"], precisions["classifier"]))
    tallies = {pair: CombinationTally(bundle) for pair in pairs}
    count = judged = 0
    for frame in source.frames:
        _read(frame, networks, tallies, turn=count)
        count, judged = count + 1, judged + frame.judged
        report(count)
    require_enough(count, judged)
    speeds = tuple(_speed(networks, *key) for key in networks)
    combinations = tuple(tally.combination(*pair) for pair, tally in tallies.items())
    tolerance = AdoptionLimits()
    chosen, reasons = choose(speeds, combinations, tolerance)
    return ParityReport(
        schema=REPORT_SCHEMA,
        created=datetime.now(timezone.utc).date().isoformat(),
        machine=machine(core, threads),
        tolerance=tolerance,
        truth=source.truth,
        speeds=speeds,
        combinations=combinations,
        chosen=chosen,
        reasons=reasons,
    )


def require_enough(frames: int, judged: int) -> None:
    """Raise `BuildError` where so many frames, and so many of them to be judged, tell nothing."""
    if frames <= WARM_UP or not judged:
        raise BuildError(
            f"report: got {frames} frames, {judged} of them to be judged; needed more than {WARM_UP} and one such; "
            f"name others with --data"
        )


def machine(core: Any, threads: int | None) -> MeasuredOn:
    """Facts of this machine that low precision depends on."""
    flags = cpu_flags()
    return MeasuredOn(
        processor=environment().processor,
        features=tuple(name for name in (*FEATURES, *FEATURES_ARM) if name in flags),
        cores=threads or os.cpu_count() or 1,
        half_precision=half_precision(core),
        openvino=load_openvino().__version__.split("-")[0],
        cpu_class=cpu_class(),
        held_to=limit() or None,
    )


def _read(frame: ReportFrame, networks: Networks, tallies: dict[Pair, CombinationTally], turn: int) -> None:
    """Run every combination on a frame; the segmentation runs once for each of its precisions."""
    maps = {
        precision: networks["segmentation", precision]({"image": frame.image})
        for precision in turned(dict.fromkeys(first for first, _ in tallies), turn)
    }
    answers = {
        (first, second): networks["classifier", second](
            {"image": frame.image, **maps[first]}, networks["segmentation", first].features
        )
        for first, second in turned(tallies, turn)
    }
    expected = {**maps["fp32"], **answers["fp32", "fp32"]}
    for pair, tally in tallies.items():
        tally.add(frame, {**maps[pair[0]], **answers[pair]}, expected)


def turned(items: Iterable[Any], turn: int) -> Iterator[Any]:
    """The items, another one first each time."""
    order = list(items)
    start = turn % len(order)
    yield from order[start:] + order[:start]


def _speed(networks: Networks, network: Network, precision: Precision) -> Speed:
    runs = networks[network, precision]
    times, reference = _by_frame(networks, network, precision), _by_frame(networks, network, "fp32")
    return Speed(
        network=network,
        precision=precision,
        median_ms=float(np.median(times)),
        speed_up=float(np.median(reference / times)),
        int8_layers=runs.int8_layers,
    )


def _by_frame(networks: Networks, network: Network, precision: Precision) -> Any:
    """Milliseconds a frame; the classifier runs once for each precision of the segmentation, the median counts."""
    times = np.asarray(networks[network, precision].times_ms)
    runs = len(times) // len(networks["segmentation", "fp32"].times_ms)
    return np.median(times.reshape(-1, runs), axis=1)[WARM_UP:]
