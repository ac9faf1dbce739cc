"""Plans built on this machine's GPU, for tests that run them. Nothing here runs without a GPU."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.cuda.probe import Probe, has_driver, probe
from runtime.plan_key import MODULES, TARGETS, Library, PlanKey, architecture_name, release
from runtime.plans import list_plans

BUNDLES = [Path(name) for name in os.environ.get("ROP_GPU_BUNDLES", "").split(os.pathsep) if name] or [DEMONSTRATION]
"""ROP_GPU_BUNDLES names others than the demonstration bundle, as PATH names folders."""


@pytest.fixture(scope="session", params=["trt", "rtx"])
def library(request: pytest.FixtureRequest) -> Library:
    chosen: Library = request.param
    if not has_driver():
        pytest.skip("no NVIDIA driver on this machine")
    if find_spec(MODULES[chosen]) is None:
        pytest.skip(f"{MODULES[chosen]} is not installed")
    return chosen


@pytest.fixture(scope="session")
def found(library: Library) -> Probe:
    return probe(MODULES[library])


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A copy, since the plans go into it."""
    folder = tmp_path_factory.mktemp("gpu") / request.param.name
    shutil.copytree(request.param, folder)
    return open_bundle(folder)


@pytest.fixture(scope="session", params=["fp32", "fp16", "int8"])
def precision(request: pytest.FixtureRequest, bundle: Bundle, library: Library, found: Probe) -> str:
    """A precision of the bundle, its plan built, or taken as it is where the bundle holds one for this machine."""
    chosen: str = request.param
    if any(chosen not in bundle.precisions(network) for network in ("segmentation", "classifier")):
        pytest.skip(f"bundle {bundle.manifest.name} has no {chosen} graphs")
    architecture = architecture_name(*found.compute_capability)
    if PlanKey(architecture, library, release(found.library_version), chosen) in list_plans(bundle):
        return chosen
    pytest.importorskip("onnx", reason="plans are built from ONNX graphs")
    from build_engines.plans.build import known_architectures
    from build_engines.plans.command import main

    if library == "rtx" and architecture not in known_architectures(import_module(MODULES[library])):
        pytest.skip(f"TensorRT-RTX {found.library_version} does not build for {architecture}")
    words = [str(bundle.path), "--target", TARGETS[library], "--precision", chosen, "--parts"]
    tactics = os.environ.get("ROP_TACTICS")  # `own` where cuBLAS and cuDNN are missing
    assert main([*words, *(["--tactics", tactics] if tactics else [])]) == 0
    return chosen
