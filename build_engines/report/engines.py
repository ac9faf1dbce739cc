"""The plans of a GPU on the same frames, in turn: results against fp32 on the CPU and the truth, and the time taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from itertools import product
from typing import Any

import numpy as np

from build_engines.errors import BuildError
from build_engines.report.choose import choose
from build_engines.report.frames import NamedFrames
from build_engines.report.measure import NETWORKS, WARM_UP, Pair, machine, require_enough, turned
from build_engines.report.schema import REPORT_SCHEMA, AdoptionLimits, MeasuredOn, ParityReport, Speed
from build_engines.report.tally import CombinationTally
from runtime.bundle import Bundle
from runtime.engines import load_engine, load_precisions
from runtime.engines.base import Engine, Inference
from runtime.engines.load_openvino import open_core
from runtime.errors import IncompatiblePlan
from runtime.manifest import Network, Precision

WHOLE: tuple[Network, Precision] = ("segmentation", "fp32")


def measure_engine(
    bundle: Bundle, source: NamedFrames, engine: str, report: Callable[[int], None] = lambda frames: None
) -> ParityReport:
    """Run every plan of a bundle that fits this machine on every frame. engine: `tensorrt` or `tensorrt-rtx`.

    Plans take turns on each frame. What they give is held against the fp32 graphs by OpenVINO, their time against the
    fp32 plan. Raises `BuildError` where there is none of fp32 or nothing beside it, and what loading raises.
    """
    with ExitStack() as stack:
        engines = {pair: stack.enter_context(found) for pair, found in _engines(bundle, engine)}
        if len(engines) < 2 or ("fp32", "fp32") not in engines:
            held = ", ".join(f"{first} + {second}" for first, second in engines) or "none"
            raise BuildError(
                f"report: plans of bundle {bundle.path} for this machine: {held}; one of fp32 and others are needed, "
                f"build them: python -m build_engines {bundle.path} --target {engine} --precision fp32,fp16,int8"
            )
        reference = stack.enter_context(load_engine(bundle, "openvino", "fp32"))
        tallies = {pair: CombinationTally(bundle) for pair in engines}
        times_ms: dict[tuple[Network, Precision], list[list[float]]] = defaultdict(list)
        judged = 0
        for number, frame in enumerate(source.frames):
            expected = _outputs(reference.infer(frame.image))
            spent: dict[tuple[Network, Precision], list[float]] = defaultdict(list)
            for pair in turned(engines, number):
                found = engines[pair].infer(frame.image)
                tallies[pair].add(frame, _outputs(found), expected)
                spent["segmentation", pair[0]].append(found.segment_ms)
                spent["classifier", pair[1]].append(found.classify_ms)
            for key, taken in spent.items():
                times_ms[key].append(taken)
            judged += frame.judged
            report(number + 1)
        require_enough(len(times_ms[WHOLE]), judged)
        facts = next(iter(engines.values())).facts
    speeds = tuple(_speed(times_ms, key) for key in sorted(times_ms, key=lambda key: NETWORKS.index(key[0])))
    combinations = tuple(tally.combination(*pair) for pair, tally in tallies.items())
    tolerance = AdoptionLimits()
    chosen, reasons = choose(speeds, combinations, tolerance)
    return ParityReport(
        schema=REPORT_SCHEMA,
        created=datetime.now(timezone.utc).date().isoformat(),
        machine=_machine(facts.backend, facts.device),
        tolerance=tolerance,
        truth=source.truth,
        speeds=speeds,
        combinations=combinations,
        chosen=chosen,
        reasons=reasons,
    )


def _engines(bundle: Bundle, engine: str) -> Iterator[tuple[Pair, Engine]]:
    """An engine for every pair of precisions that the bundle has a plan for here, fp32 first."""
    held = {network: bundle.precisions(network) for network in NETWORKS}
    for first, second in product(held["segmentation"], held["classifier"]):
        try:
            loaded = load_precisions(bundle, engine, {"segmentation": first, "classifier": second})
        except IncompatiblePlan:
            continue
        yield (first, second), loaded


def _outputs(found: Inference) -> dict[str, Any]:
    """As the graphs name and shape them. Copies: the next frame overwrites an engine's arrays."""
    return {
        "vessels": found.vessels.copy()[None, None],
        "probabilities": found.probabilities.copy()[None],
        "logits": found.logits.copy()[None],
    }


def _speed(times_ms: dict[tuple[Network, Precision], list[list[float]]], key: tuple[Network, Precision]) -> Speed:
    network, precision = key
    times, whole = (_by_frame(times_ms[found]) for found in (key, (network, "fp32")))
    return Speed(
        network=network,
        precision=precision,
        median_ms=float(np.median(times)),
        speed_up=float(np.median(whole / times)),
        int8_layers=0,  # of a plan's fused layers: `plan.json` tells them
    )


def _by_frame(times: list[list[float]]) -> Any:
    """Milliseconds a frame; of the plans that hold the same network in the same precision the median counts."""
    return np.asarray([np.median(taken) for taken in times])[WARM_UP:]


def _machine(backend: str, device: str) -> MeasuredOn:
    here = machine(open_core(), None)
    return here.model_copy(update={"backend": backend, "processor": device, "features": (), "half_precision": "f16"})
