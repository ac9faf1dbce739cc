"""The GPU backends `tensorrt` and `tensorrt-rtx`: what this machine has for them, and loading what fits."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cuda import open_cuda
from runtime.cuda.errors import CudaError
from runtime.cuda.probe import has_driver, probe
from runtime.engines.base import Backend
from runtime.engines.tensorrt.engine import TensorRTEngine
from runtime.engines.tensorrt.layers import profiled
from runtime.engines.tensorrt.network import import_library
from runtime.errors import EngineError
from runtime.plan_key import MODULES, TARGETS, Library, PlanKey, architecture_name, precision_word, release
from runtime.plans import find_plan, list_plans, require_gpu

if TYPE_CHECKING:
    from runtime.bundle import Bundle

INSTALL: dict[Library, str] = {
    "trt": "install it from NVIDIA's index (JetPack brings it along)",
    "rtx": "install it: pip install tensorrt-rtx-cu13",
}
SYSTEM_PACKAGES = Path("/usr/lib")
"""Beneath it lie the packages of the system's Pythons: where JetPack and NVIDIA's Debian packages put TensorRT."""


EXACTNESS = ("fp32", "fp16", "int8")
"""The most exact first."""


def missing(bundle: Bundle, library: Library) -> str:
    """Why the bundle cannot run by that library here, as far as it can be told at no cost; "" when it may well."""
    if not _installed(MODULES[library]):
        return unseen(MODULES[library]) or "not installed"
    if not has_driver():
        return "no NVIDIA driver on this machine"
    if not any(key.library == library for key in list_plans(bundle)):
        build = f"python -m build_engines BUNDLE --target {TARGETS[library]}"
        return f"bundle {bundle.manifest.name} has no plan for it; build one: {build}"
    return ""


def load_tensorrt(bundle: Bundle, library: Library, precision: Mapping[str, str]) -> TensorRTEngine:
    """The engine for the plan that fits this machine.

    Driver and library are asked in a child process first, since they crash where they do not fit. Raises
    `EngineError` when there is no library, driver or GPU, `IncompatiblePlan` when there is no plan for them,
    `BundleError` when the plan is altered.
    """
    backend, module = TARGETS[library], MODULES[library]
    if not _installed(module):
        why = unseen(module) or f"{module} is not installed; {INSTALL[library]}"
        raise EngineError(f"{backend}: {why}, or choose --engine openvino")
    if not has_driver():
        raise EngineError(
            f"{backend}: no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded); "
            f"install one, or choose --engine openvino"
        )
    found = probe(module)
    architecture = architecture_name(*found.compute_capability)
    try:
        key = PlanKey(architecture, library, release(found.library_version), precision_word(precision))
    except ValueError as error:
        raise EngineError(f"{backend}: {error}; install a release of NVIDIA's") from error
    plan = find_plan(bundle, key)
    require_gpu(plan, found.gpu, found.memory_mib)
    return TensorRTEngine(
        plan, len(bundle.class_names), lambda: import_library(library), open_cuda, encodes=bundle.tells_strangers
    )


def unseen(module: str) -> str:
    """What to do about a library that the system has and this environment does not see; "" where there is none."""
    for found in sorted(SYSTEM_PACKAGES.glob(f"python3*/dist-packages/{module}/__init__.py")):
        folder = found.parents[1]
        version = re.fullmatch(r"python(3\.\d+)", folder.parent.name)
        theirs = version[1] if version else ""
        if theirs and theirs != "{}.{}".format(*sys.version_info[:2]):
            remedy = f"make PYTHON=python{theirs} VENV=.venv-{theirs} jetson"
            return f"{module} is in {folder} for Python {theirs}, this is {sys.version.split()[0]}; {remedy}"
        return f"{module} is in {folder}, which this environment does not see; make one that does: make jetson"
    return ""


def plans_there(bundle: Bundle, library: Library) -> dict[str, str] | None:
    """The precisions of the most exact plan that is there for this machine's GPU, or for any; None without one.

    A bundle whose makers measured no default for GPUs is then run by the plan that its site built, and not refused for
    want of an fp32 one.
    """
    held = [key for key in list_plans(bundle) if key.library == library]
    if len({key.precision for key in held}) > 1:
        with contextlib.suppress(EngineError, CudaError, ValueError):  # loading tells what is wrong
            found = probe(MODULES[library])
            here = (architecture_name(*found.compute_capability), release(found.library_version))
            held = [key for key in held if (key.architecture, key.version) == here] or held
    if not held:
        return None
    return min((key.precisions for key in held), key=lambda words: sorted(map(EXACTNESS.index, words.values()))[::-1])


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # what stands in the module's place is not one
        return False


def _backend(library: Library) -> Backend:
    return Backend(
        lambda bundle, precision, threads: load_tensorrt(bundle, library, precision),
        lambda bundle: missing(bundle, library),
        auto=True,
        there=lambda bundle: plans_there(bundle, library),
        layers=lambda bundle, precision, threads, images: profiled(load_tensorrt(bundle, library, precision), images),
    )


TENSORRT, TENSORRT_RTX = _backend("trt"), _backend("rtx")
