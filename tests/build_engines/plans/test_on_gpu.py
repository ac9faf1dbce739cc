"""Real plans on a real GPU, with whichever of NVIDIA's libraries is installed there."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

import pytest

from build_engines.__main__ import main
from build_engines.plans.build import known_architectures
from build_engines.plans.machine import ask_machine
from build_engines.plans.timing_cache import cache_file
from runtime import Bundle
from runtime.cuda.probe import has_driver
from runtime.plan_key import MODULES, TARGETS, Library, PlanKey, release
from runtime.plans import find_plan

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_driver(), reason="no NVIDIA driver on this machine")]


@pytest.mark.parametrize("library", ["trt", "rtx"])
def test_a_plan_is_built_for_this_gpu_and_its_layers_are_told(
    toy_bundle: Bundle, library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if importlib.util.find_spec(MODULES[library]) is None:
        pytest.skip(f"{MODULES[library]} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    machine = ask_machine(MODULES[library], gpu_needed=True)
    assert machine.gpu is not None
    known = known_architectures(importlib.import_module(machine.module))
    if library == "rtx" and machine.gpu.architecture not in known:
        pytest.skip(f"TensorRT-RTX {machine.version} does not build for {machine.gpu.architecture}")
    arguments = ["--target", TARGETS[library], "--precision", "fp32", "--tactics", "own", "--parts"]
    assert main([str(toy_bundle.path), *arguments]) == 0
    plan = find_plan(toy_bundle, PlanKey(machine.gpu.architecture, library, release(machine.version), "fp32"))
    assert plan.names == ("segmentation", "classifier", "raw", "guided")
    assert plan.manifest.builder.gpu == machine.gpu.name
    if library == "trt":
        assert all(entry.engine_layers for entry in plan.manifest.plans)
        assert json.loads((plan.path / "classifier.layers.json").read_text())
        cache = cache_file(machine)
        assert cache is not None
        assert cache.stat().st_size > 0
        first = plan.manifest.plans[1].seconds
        assert main([str(toy_bundle.path), *arguments]) == 0
        again = find_plan(toy_bundle, plan.key).manifest.plans[1].seconds
        assert again < 2 * first
