"""Asking a machine for its GPU and its TensorRT in a process of its own, since an unfit library crashes its process."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.cuda.errors import CudaError

CHILD = Path(__file__).with_name("probe_child.py")
TIMEOUT_S = 120.0
"""The first call to a driver may load its kernel module, and a library may be slow to load from a cart's disk."""


@dataclass(frozen=True)
class Probe:
    """What a machine has, found without harm to this process."""

    gpu: str
    """Name of the first GPU."""
    compute_capability: tuple[int, int]
    driver: str
    """CUDA version of the driver, `12.6`."""
    library_version: str
    """Of the library, as it says it itself."""
    memory_mib: int = 0
    """Of the GPU; 0 where it is not known."""


def has_driver() -> bool:
    """Whether an NVIDIA driver can be loaded at all. Costs next to nothing where there is none."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def probe(module: str) -> Probe:
    """Ask for the first GPU and for the library `module` (`tensorrt`, `tensorrt_rtx`), in a child process.

    Raises `CudaError`: no driver, no GPU, a library that cannot be imported, has no runtime, crashes, or hangs.
    """
    # The same places to import from as here, and no others; the child's text goes in by -c, so that no file beside it
    # can be taken for a library.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", CHILD.read_text(encoding="utf-8"), module]
    try:
        child = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise CudaError(
            f"CUDA: driver and {module} gave no answer in {TIMEOUT_S:g} s; look with nvidia-smi whether the GPU is well"
        ) from None
    found = _answers(child.stdout)
    if "error" in found:
        raise CudaError(str(found["error"]))
    if child.returncode or "library_version" not in found:
        step = f"{module} crashes when it is loaded" if "gpu" in found else "the CUDA driver crashes when it is asked"
        raise CudaError(
            f"CUDA: {step} ({_ending(child.returncode)}); install a {module} and a driver that fit together"
        )
    major, minor = found["compute_capability"]
    return Probe(
        str(found["gpu"]),
        (int(major), int(minor)),
        str(found["driver"]),
        str(found["library_version"]),
        int(found.get("memory_mib", 0)),
    )


def _answers(output: bytes) -> dict[str, Any]:
    """All that the child said: a JSON object a line; other lines are a library's own chatter."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            found |= said
    return found


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
