"""The first way in: the bundle's ONNX graphs through NVIDIA's parser and builder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from build_engines.plans.build import PlanSettings, Serialized, serialize, typed_by_graph
from build_engines.plans.errors import CannotBuild
from build_engines.plans.layers import Inspection, inspect
from build_engines.plans.machine import Machine
from build_engines.plans.parts import classifier_parts
from build_engines.plans.timing_cache import cache_file
from build_engines.plans.write import MadePlan
from runtime.bundle import Bundle
from runtime.manifest import graph_name
from runtime.plan_key import WHOLE, PlanKey, PlanName


def plan_from_graphs(
    trt: Any,
    machine: Machine,
    bundle: Bundle,
    key: PlanKey,
    settings: PlanSettings,
    report: Callable[[str], None],
    *,
    parts: bool = False,
) -> list[MadePlan]:
    """Both networks' plans for a key. trt: the module that the machine was asked for.

    parts: the classifier also in its two parts, `raw` and `guided`. Raises `PlanRefused`, `CannotBuild`, and
    `BundleError` for a graph that the bundle lacks or that was altered.
    """
    made = []
    for network in WHOLE:
        precision = key.precisions[network]
        graph = graph_of(network, precision, typed_by_graph(trt))
        content = bundle.graph(graph)
        pieces: dict[PlanName, bytes] = {network: content}
        if parts and network == "classifier":
            pieces |= classifier_parts(content)
        for name, piece in pieces.items():
            report(f"{key}: {name} from {graph}")
            serialized = serialize(
                trt,
                piece,
                precision,
                title=f"{name} for {key}",
                architecture=key.architecture if key.library == "rtx" else None,
                settings=settings,
                cache=cache_file(machine) if key.library == "trt" else None,
            )
            for remark in serialized.remarks:
                report(remark)
            made.append(
                MadePlan(name, graph, precision, serialized, _inspection(trt, machine, key, serialized, report))
            )
    return made


def check_graphs(bundle: Bundle, key: PlanKey, typed: bool) -> None:
    """Raises `CannotBuild` where the bundle lacks a graph that the key's plans are made from."""
    held = {entry.path for entry in bundle.manifest.files}
    for network in WHOLE:
        precision = key.precisions[network]
        if graph_of(network, precision, typed) not in held:
            raise CannotBuild(
                f"bundle {bundle.manifest.name}: no {precision} graph of the {network} network, it holds: "
                f"{', '.join(bundle.precisions(network))}; choose one of these with --precision, or build the bundle "
                f"with more"
            )


def graph_of(network: str, precision: str, typed: bool) -> str:
    """The graph that a plan is made from.

    typed: the library takes the types from the graph. One that does not (8.6) makes FP16 of the fp32 graph itself.
    """
    return graph_name(network, "fp32" if precision == "fp16" and not typed else precision)


def _inspection(
    trt: Any, machine: Machine, key: PlanKey, serialized: Serialized, report: Callable[[str], None]
) -> Inspection | None:
    """The layers of a plan for the GPU at hand; None for another's, or where they cannot be told."""
    if machine.gpu is None or machine.gpu.architecture != key.architecture:
        return None
    found = inspect(trt, serialized.content)
    if isinstance(found, str):
        report(f"{key}: {found}")
        return None
    return found
