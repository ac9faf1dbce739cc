"""The first way in: the bundle's ONNX graphs through NVIDIA's parser and builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from build_engines.plans.build import Settings, serialize, typed_by_graph
from build_engines.plans.layers import inspect
from build_engines.plans.machine import Machine
from build_engines.plans.timing_cache import cache_file
from build_engines.plans.write import MadePlan
from runtime.bundle import Bundle
from runtime.manifest import graph_name
from runtime.plans import WHOLE, PlanKey


def plan_from_graphs(
    trt: Any, machine: Machine, bundle: Bundle, key: PlanKey, settings: Settings, report: Callable[[str], None]
) -> list[MadePlan]:
    """Both networks' plans for a key. trt: the module that the machine was asked for.

    Raises `PlanRefused`, `CannotBuild`, and `BundleError` for a graph that the bundle lacks or that was altered.
    """
    return list(_plans(trt, machine, bundle, key, settings, report))


def graph_of(network: str, precision: str, typed: bool) -> str:
    """The graph that a plan is made from.

    typed: the library takes the types from the graph. One that does not (8.6) makes FP16 of the fp32 graph itself.
    """
    return graph_name(network, "fp32" if precision == "fp16" and not typed else precision)


def _plans(
    trt: Any, machine: Machine, bundle: Bundle, key: PlanKey, settings: Settings, report: Callable[[str], None]
) -> Iterator[MadePlan]:
    at_hand = machine.gpu is not None and machine.gpu.architecture == key.architecture
    for name in WHOLE:
        precision = key.precisions[name]
        graph = graph_of(name, precision, typed_by_graph(trt))
        report(f"{key}: {name} from {graph}")
        serialized = serialize(
            trt,
            bundle.read(graph),
            precision,
            title=f"{name} for {key}",
            architecture=key.architecture if key.library == "rtx" else None,
            settings=settings,
            cache=cache_file(machine) if key.library == "trt" else None,
        )
        for remark in serialized.remarks:
            report(remark)
        inspection = inspect(trt, serialized.content) if at_hand else None
        if isinstance(inspection, str):
            report(f"{name}: {inspection}")
            inspection = None
        yield MadePlan(name, graph, precision, serialized, inspection)
