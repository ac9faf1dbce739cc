"""What this machine can build with: the library, and the GPU beside it. Asked in a child process, which may crash."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from build_engines.plans.errors import CannotBuild
from device.telemetry.files import Files
from device.telemetry.jetson import is_jetson
from runtime.cuda.errors import CudaError
from runtime.cuda.probe import has_driver, probe
from runtime.plan_key import architecture_name

TIMEOUT_S = 180
"""Loading a library of 2 GB from a slow disk takes its time; a hang takes longer."""
MAKE_A_BUILDER = """
import sys
library = __import__(sys.argv[1])
library.Builder(library.Logger(library.Logger.ERROR))
print(library.__version__)
"""


@dataclass(frozen=True)
class Gpu:
    """The first GPU that the driver shows."""

    name: str
    architecture: str
    """`sm87`."""
    driver: str
    """CUDA version of the driver, `12.6`."""
    memory_mib: int = 0
    """0 where it is not known."""


@dataclass(frozen=True)
class Machine:
    """A library that can build, and the GPU beside it."""

    module: str
    """`tensorrt` or `tensorrt_rtx`."""
    version: str
    """As the library says it itself."""
    gpu: Gpu | None
    """None where there is none, or none that its driver will start."""


def default_workspace_mib(root: Path = Path("/")) -> int | None:
    """Half of the memory that is free, where GPU and system share it (a Jetson); None elsewhere: all that the GPU has.

    Left to itself the builder tries kernels whose scratch memory is nearly all there is, and the kernel ends it.
    """
    files = Files(root)
    free = re.search(r"^MemAvailable:\s+(\d+) kB$", files.text("proc/meminfo") or "", re.MULTILINE)
    if not is_jetson(files) or free is None:
        return None
    return max(int(free[1]) // 2048, 64)


def ask_machine(module: str, *, gpu_needed: bool) -> Machine:
    """Look for the GPU and the library.

    gpu_needed: TensorRT's own builder cannot do without, TensorRT-RTX's can. Raises `CannotBuild` with what to do.
    """
    try:
        found = probe(module) if gpu_needed or has_driver() else None
    except CudaError as error:
        if gpu_needed:
            raise CannotBuild(
                f"{error}; plans are built where the GPU is (a workstation's also without: "
                f"--target tensorrt-rtx --arch sm86)"
            ) from error
        found = None
    if found is None:
        return Machine(module, _builder_version(module), None)
    gpu = Gpu(found.gpu, architecture_name(*found.compute_capability), found.driver, found.memory_mib)
    return Machine(module, found.library_version, gpu)


def _builder_version(module: str) -> str:
    """The version of a library whose builder was made, in a child process."""
    try:
        command = [sys.executable, "-c", MAKE_A_BUILDER, module]
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{module}: made no builder in {TIMEOUT_S} s; install it again") from None
    if child.returncode == 0:
        return child.stdout.split()[-1]
    last = (child.stderr.strip().splitlines() or ["no word"])[-1]
    how = last if child.returncode > 0 else f"it ends by signal {-child.returncode}"
    install = "pip install tensorrt-rtx-cu13" if module == "tensorrt_rtx" else "on a Jetson it comes with JetPack"
    raise CannotBuild(f"{module}: no builder can be made ({how}); install the library ({install})")
