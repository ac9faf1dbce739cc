"""Plans into a bundle: written aside with their own manifest `plan.json`, then renamed into place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from build_engines.errors import BuildError
from build_engines.plans.build import PlanSettings, Serialized
from build_engines.plans.layers import Inspection
from build_engines.plans.machine import Machine
from runtime.bundle import Bundle
from runtime.commands.say import aside as say_aside
from runtime.plan_key import PlanKey, PlanName
from runtime.plan_key import host_platform as this_platform
from runtime.plan_manifest import PLAN_MANIFEST, PLAN_SCHEMA, BuilderFacts, PlanFile, PlanManifest
from runtime.plans import PLANS
from runtime.sinks.files import folder_aside, replace_folder


@dataclass(frozen=True)
class MadePlan:
    """A serialized plan of one network, ready to be written."""

    name: PlanName
    graph: str
    """File name of the graph in the bundle that it was made from, or whose weights it has."""
    precision: str
    serialized: Serialized
    inspection: Inspection | None
    """None where no GPU could be asked."""


@dataclass(frozen=True)
class WrittenPlan:
    """A plan that stands in its bundle."""

    path: Path
    manifest: PlanManifest


def write_plan(
    bundle: Bundle,
    key: PlanKey,
    machine: Machine,
    settings: PlanSettings,
    tool: Literal["onnx", "torch-tensorrt"],
    made: Sequence[MadePlan],
) -> WrittenPlan:
    """Write `plans/<key>/`; an earlier plan of the key is replaced whole, at the very end, or not at all.

    Raises `BuildError` where the bundle's folder cannot be written.
    """
    out = bundle.path / PLANS / str(key)
    manifest = PlanManifest(
        schema=PLAN_SCHEMA,
        key=str(key),
        bundle_name=bundle.manifest.name,
        bundle_version=bundle.manifest.version,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        platform=this_platform(),
        builder=_builder_facts(key, machine, settings, tool, made),
        plans=tuple(_plan_file(bundle, plan) for plan in made),
    )
    try:
        with folder_aside(out, say_aside) as aside:
            for plan in made:
                (aside / f"{plan.name}.plan").write_bytes(plan.serialized.content)
                if plan.inspection is not None:
                    layers = json.dumps(plan.inspection.layers, indent=1)
                    (aside / f"{plan.name}.layers.json").write_text(layers + "\n", encoding="utf-8")
            text = manifest.model_dump_json(by_alias=True, indent=2)
            (aside / PLAN_MANIFEST).write_text(text + "\n", encoding="utf-8")
            aside.chmod(0o755)
            replace_folder(out, aside)
    except OSError as error:
        raise BuildError(
            f"{out}: cannot be written ({error.strerror}); make room, or copy the bundle to where it can"
        ) from error
    return WrittenPlan(out, manifest)


def _builder_facts(
    key: PlanKey,
    machine: Machine,
    settings: PlanSettings,
    tool: Literal["onnx", "torch-tensorrt"],
    made: Sequence[MadePlan],
) -> BuilderFacts:
    timed_here = machine.gpu is not None and machine.gpu.architecture == key.architecture
    return BuilderFacts(
        tool=tool,
        version=machine.version,
        strongly_typed=all(plan.serialized.strongly_typed for plan in made),
        flags=tuple(dict.fromkeys(flag for plan in made for flag in plan.serialized.flags)),
        optimization_level=settings.optimization_level,
        workspace_bytes=None if settings.workspace_mib is None else settings.workspace_mib * 2**20,
        tactics=settings.tactics,
        hardware_compatibility="none",
        gpu=machine.gpu.name if machine.gpu is not None and timed_here else None,
        gpu_memory_mib=(machine.gpu.memory_mib or None) if machine.gpu is not None and timed_here else None,
    )


def _plan_file(bundle: Bundle, plan: MadePlan) -> PlanFile:
    graphs = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    content = {
        "name": plan.name,
        "size": len(plan.serialized.content),
        "sha256": hashlib.sha256(plan.serialized.content).hexdigest(),
        "graph": plan.graph,
        "graph_sha256": graphs[plan.graph],
        "precision": plan.precision,
        "tensors": plan.serialized.tensors,
        "seconds": plan.serialized.seconds,
        "network_layers": plan.serialized.network_layers,
        "engine_layers": plan.inspection.types if plan.inspection is not None else None,
    }
    return PlanFile.model_validate(content)
