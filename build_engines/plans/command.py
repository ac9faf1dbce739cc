"""`python -m build_engines BUNDLE --target ...`: a bundle's graphs to plans for GPUs, written into the bundle."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from build_engines.arguments import plans_parser
from build_engines.errors import BuildError, ParityError
from build_engines.plans.build import PlanSettings, check_architecture, known_architectures, typed_by_graph
from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.machine import Machine, ask_machine, default_workspace_mib
from build_engines.plans.onnx_path import check_graphs, plan_from_graphs
from build_engines.plans.write import WrittenPlan, write_plan
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import aside
from runtime.errors import ScreeningError
from runtime.plan_key import MODULES, Library, PlanKey, precision_word, release, split_precision

TARGETS: dict[str, Library] = {"tensorrt": "trt", "tensorrt-rtx": "rtx", "torch-tensorrt": "trt"}


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(plans_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        _check(arguments)
        bundle = open_bundle(arguments.bundle)
        for written in _build(arguments, bundle):
            print(json.dumps(written.manifest.model_dump(by_alias=True)) if arguments.json else describe(written))
            sys.stdout.flush()
    except (PlanRefused, ParityError) as error:
        aside(error)
        return 1
    except (BuildError, ScreeningError, OSError) as error:
        aside(error)
        return 2
    return 0


def describe(written: WrittenPlan) -> str:
    """What a user wants to know of a plan: size, time, layers by precision."""
    manifest = written.manifest
    lines = [f"{written.path}: TensorRT{'-RTX' if '-rtx' in manifest.key else ''} {manifest.builder.version}"]
    for plan in manifest.plans:
        if plan.engine_layers is not None:
            kind, layers = "layers", plan.engine_layers
        else:
            kind, layers = "layers before fusion", plan.network_layers
        told = ", ".join(f"{count} {name}" for name, count in layers.items()) or "not told"
        lines.append(f"  {plan.name}: {plan.size / 1e6:.1f} MB in {plan.seconds:.1f} s; {kind}: {told}")
    return "\n".join(lines)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.workspace is not None and arguments.workspace < 1:
        raise CannotBuild(f"--workspace: got {arguments.workspace}, expected 1 MiB or more")
    if arguments.arch is not None and arguments.target != "tensorrt-rtx":
        raise CannotBuild(f"--arch: --target {arguments.target} builds for the GPU of this machine only; leave it out")
    if arguments.parts and arguments.target == "torch-tensorrt":
        raise CannotBuild("--parts: --target torch-tensorrt builds both networks whole; leave it out")
    if (arguments.checkpoint is None) == (arguments.target == "torch-tensorrt"):
        wanted = "needs the bundle's checkpoint" if arguments.checkpoint is None else "takes none, it has the graphs"
        raise CannotBuild(f"--checkpoint: --target {arguments.target} {wanted}")


def _build(arguments: argparse.Namespace, bundle: Bundle) -> Iterator[WrittenPlan]:
    library = TARGETS[arguments.target]
    backend = "tensorrt-rtx" if library == "rtx" else "tensorrt"
    precisions = [_precision(bundle, backend, word) for word in arguments.precision.split(",")]
    machine = ask_machine(MODULES[library], gpu_needed=library == "trt")
    trt = importlib.import_module(machine.module)
    keys = [
        PlanKey(architecture, library, release(machine.version), precision)
        for architecture in _architectures(arguments.arch, trt, machine)
        for precision in dict.fromkeys(precisions)
    ]
    if arguments.target != "torch-tensorrt":
        for key in keys:
            check_graphs(bundle, key, typed_by_graph(trt))
    settings = PlanSettings(arguments.level, arguments.workspace or default_workspace_mib(), arguments.tactics)
    for key in keys:
        if arguments.target == "torch-tensorrt":
            from build_engines.plans.torch_path import plan_from_checkpoint

            made = plan_from_checkpoint(trt, bundle, key, arguments.checkpoint, settings, _report)
            yield write_plan(bundle, key, machine, settings, "torch-tensorrt", made)
        else:
            made = plan_from_graphs(trt, machine, bundle, key, settings, _report, parts=arguments.parts)
            yield write_plan(bundle, key, machine, settings, "onnx", made)


def _report(line: str) -> None:
    aside(line)


def _precision(bundle: Bundle, backend: str, word: str) -> str:
    """The key's word for what was asked."""
    if word == "auto":
        return precision_word(bundle.resolve_precision(backend, "auto"))
    try:
        return precision_word(split_precision(word))
    except ValueError as error:
        raise CannotBuild(f"--precision: {error}, or auto") from None


def _architectures(asked: str | None, trt: Any, machine: Machine) -> Sequence[str]:
    known = ", ".join(known_architectures(trt))
    if asked is None:
        if machine.gpu is None:
            raise CannotBuild(f"--arch: there is no GPU here, so name the ones to build for: {known}")
        return (machine.gpu.architecture,)
    chosen = tuple(dict.fromkeys(asked.split(",")))
    for architecture in chosen:
        check_architecture(trt, architecture)
    return chosen
